"""Posterior draws of enumerated sites, under NumPyro's module path."""

from ppl.infer.discrete import infer_discrete

__all__ = ["infer_discrete"]
