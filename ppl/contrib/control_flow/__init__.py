"""Loops and branches that JAX traces once, with sample statements inside."""

from ppl.contrib.control_flow.cond import cond
from ppl.contrib.control_flow.scan import scan

__all__ = ["cond", "scan"]
