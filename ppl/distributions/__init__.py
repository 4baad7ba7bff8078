"""Distributions, their constraints and transforms."""
