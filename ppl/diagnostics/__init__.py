"""Diagnostics of Markov chains: convergence, effective sample sizes, Monte Carlo errors, intervals and tables.

Arrays are NumPy, in and out. Draws are ``(chains, draws, *shape)``, and the result has the shape of one draw.
"""

from ppl.diagnostics.autocovariance import _fft_next_fast_len, autocorrelation, autocovariance
from ppl.diagnostics.convergence import ebfmi, gelman_rubin, rank_normalized_rhat, split_gelman_rubin
from ppl.diagnostics.effective_size import effective_sample_size, ess_bulk, ess_mean, ess_quantile, ess_tail
from ppl.diagnostics.live import live_diagnostics
from ppl.diagnostics.monte_carlo_error import mcse_mean, mcse_quantile, mcse_sd
from ppl.diagnostics.table import format_summary, hpdi, print_summary, summary

__all__ = [
    "autocorrelation",
    "autocovariance",
    "ebfmi",
    "effective_sample_size",
    "ess_bulk",
    "ess_mean",
    "ess_quantile",
    "ess_tail",
    "format_summary",
    "gelman_rubin",
    "hpdi",
    "live_diagnostics",
    "mcse_mean",
    "mcse_quantile",
    "mcse_sd",
    "print_summary",
    "rank_normalized_rhat",
    "split_gelman_rubin",
    "summary",
]
