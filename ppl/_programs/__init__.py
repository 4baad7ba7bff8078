"""Programs as JAX traces them: what they consist of, and their evaluation anew, to say the same in fewer operations."""
