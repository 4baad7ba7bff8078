"""Real data with reference posteriors: ``python -m benchmarks.posteriordb --data DIR [names ...]``.

The models of posteriordb (Magnusson et al.) that come with reference draws, written for ppl, sampled by four chains at default
settings and compared with the reference means and standard deviations.
"""
