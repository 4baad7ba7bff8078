"""Parts beyond the core."""
