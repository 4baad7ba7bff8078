"""Test settings: a compilation cache shared by the workers, and both float widths by environment."""

import os
from pathlib import Path

import jax

jax.config.update("jax_compilation_cache_dir", os.environ.get("PPL_TEST_CACHE", str(Path(__file__).parent.parent / ".jax_cache")))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
