"""Operations on arrays and functions that models and tools use."""

from ppl.ops import indexing, provenance, pytree

__all__ = ["indexing", "provenance", "pytree"]
