"""Test settings: a compilation cache shared by the workers, and code generators of XLA that compile in a third of the time."""

import gc
import os
from pathlib import Path

import jax
import jaxlib

# Programs run once here. The older emitters of loops, one module for each program and no optimisation of machine code change the
# code of a fusion, not the passes on whole programs. XLA stops at names it does not know; XLA_FLAGS set by hand, also to
# nothing, is obeyed.
FLAGS = [
    "--xla_cpu_parallel_codegen_split_count=1",
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
]
if jaxlib.version.__version_info__ < (0, 11):
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))

jax.config.update("jax_compilation_cache_dir", os.environ.get("PPL_TEST_CACHE", str(Path(__file__).parent.parent / ".jax_cache")))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
jax.config.update("jax_traceback_in_locations_limit", 0)  # a tenth of the time for lowering, and nothing here reads them

# Traced programs are millions of objects that stay: to look through all of them for cycles takes seconds each time.
gc.set_threshold(100_000, 20, 1000)
