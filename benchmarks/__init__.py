"""Measurements of ppl: speed beside NumPyro (``python -m benchmarks``) and right answers (``python -m benchmarks.posteriordb``)."""
