"""Malformed uses of ensemble samplers: more of the table in `errors.py`."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from errors import KEY, Case, normal

import ppl
import ppl.distributions as dist
from ppl.infer import AIES, ESS, MCMC, init_to_median, init_to_value
from ppl.infer.ensemble import EnsembleSampler
from ppl.infer.ensemble_util import batch_ravel_pytree


def wide() -> None:
    ppl.sample("x", dist.Normal(0.0, 1.0).expand([3]).to_event(1))


class Narrow(EnsembleSampler):
    """An ensemble that loses a walker."""

    def init_inner_state(self, rng_key: Any) -> Any:
        return ()

    def update_active_chains(self, active: Any, inactive: Any, inner_state: Any) -> Any:
        return active[1:], inner_state


def run(kernel: Any, num_chains: int = 8, *, chain_method: Any = "vectorized", init_params: Any = None) -> None:
    """A short run."""
    mcmc = MCMC(kernel, num_warmup=1, num_samples=1, num_chains=num_chains, chain_method=chain_method, progress_bar=False)
    mcmc.run(KEY, init_params=init_params)


CASES = [
    Case("ensemble: neither", lambda: AIES(), ValueError, ("AIES", "exactly one of `model` and `potential_fn`", "neither")),
    Case(
        "ensemble: parallel chains",
        lambda: run(AIES(normal), chain_method="parallel"),
        AssertionError,
        ("AIES", 'chain_method="vectorized"', "'parallel'"),
    ),
    Case("ensemble: odd number", lambda: run(ESS(normal), 7), AssertionError, ("ESS", "even", "found 7", "num_chains")),
    Case("ensemble: one chain", lambda: run(ESS(normal), 1), AssertionError, ("ESS", "even", "found 1", "chain_method")),
    Case("ensemble: a move that is none", lambda: AIES(normal, moves={"stretch": 1.0}), AssertionError, ("Each move", "'stretch'")),
    Case("ensemble: a class of moves", lambda: AIES(normal, moves={AIES.DEMove: 1.0}), AssertionError, ("Each move", "DEMove()")),
    Case(
        "ensemble: a move of the other kernel",
        lambda: ESS(normal, moves={AIES.StretchMove(): 1.0}),
        AssertionError,
        ("ESS", "Each move", "ESS.DifferentialMove()", "StretchMove(a=2.0)"),
    ),
    Case("ensemble: a list of moves", lambda: AIES(normal, moves=[AIES.DEMove()]), TypeError, ("moves must be a dict", "DEMove")),
    Case("ensemble: negative weight", lambda: AIES(normal, moves={AIES.DEMove(): -1}), ValueError, ("weight", "at least 0", "-1")),
    Case("ensemble: weight a word", lambda: AIES(normal, moves={AIES.DEMove(): "1"}), ValueError, ("weight", "number", "'1'")),
    Case("ensemble: no weight", lambda: AIES(normal, moves={AIES.DEMove(): 0.0}), ValueError, ("positive weight", "DEMove")),
    Case("ensemble: stretch of 1", lambda: AIES.StretchMove(a=1.0), ValueError, ("StretchMove", "a must", "greater than 1", "1.0")),
    Case("ensemble: stretch a word", lambda: AIES.StretchMove(a="2"), TypeError, ("StretchMove", "a must be a number", "'2'")),
    Case("ensemble: g0 of 0", lambda: AIES.DEMove(g0=0.0), ValueError, ("DEMove", "g0", "greater than 0", "0.0")),
    Case("ensemble: negative sigma", lambda: AIES.DEMove(sigma=-0.1), ValueError, ("DEMove", "sigma", "-0.1")),
    Case("ensemble: bandwidth", lambda: ESS.KDEMove("scot"), ValueError, ("KDEMove", "bw_method", '"scott"', "'scot'")),
    Case("ensemble: bandwidth 0", lambda: ESS.KDEMove(0.0), ValueError, ("KDEMove", "bw_method", "greater than 0", "0.0")),
    Case("ensemble: max_steps 0", lambda: ESS(normal, max_steps=0), ValueError, ("ESS", "max_steps", "greater than 0")),
    Case("ensemble: max_iter 1.5", lambda: ESS(normal, max_iter=1.5), TypeError, ("ESS", "max_iter", "whole number", "1.5")),
    Case("ensemble: init_mu", lambda: ESS(normal, init_mu=-1.0), ValueError, ("ESS", "init_mu", "greater than 0", "-1.0")),
    Case("ensemble: tune_mu", lambda: ESS(normal, tune_mu="yes"), TypeError, ("ESS", "tune_mu", "True or False", "'yes'")),
    Case("ensemble: split", lambda: AIES(normal, randomize_split=0.5), TypeError, ("AIES", "randomize_split", "0.5")),
    Case(
        "ensemble: too few chains",
        lambda: run(AIES(wide), 4),
        ValueError,
        ("AIES", "4 chains in 3 dimensions", "subspace", "num_chains=6 at least"),
    ),
    Case(
        "ensemble: few chains",
        lambda: run(AIES(wide, moves={AIES.StretchMove(): 1.0}), 4),
        UserWarning,
        ("AIES", "num_chains=4", "twice the number of dimensions, 3", "num_chains=6"),
    ),
    Case(
        "ensemble: one start for all",
        lambda: run(ESS(normal), init_params={"x": 0.5}),
        ValueError,
        ("ESS", "start at one point", "never leave", "init_params with a leading axis"),
    ),
    Case(
        "ensemble: starts on a line",
        lambda: run(AIES(wide), init_params={"x": np.linspace(-1, 1, 8)[:, None] * np.ones(3)}),
        ValueError,
        ("subspace of dimension 1 of 3", "leading axis"),
    ),
    Case(
        "ensemble: a strategy without chance",
        lambda: run(AIES(normal, init_strategy=init_to_value(values={"x": 1.0}))),
        ValueError,
        ("start at one point", "init_to_sample"),
        compiles=True,
    ),
    Case(
        "ensemble: shapes of starts",
        lambda: run(AIES(normal), init_params={"x": np.zeros(6)}),
        ValueError,
        ("init_params", "site 'x'", "(6,)", "8 chains"),
    ),
    Case("ensemble: no start", lambda: run(AIES(potential_fn=jnp.sum)), ValueError, ("AIES", "potential_fn", "init_params")),
    Case(
        "ensemble: one key",
        lambda: AIES(normal, init_strategy=init_to_median).init(KEY, 0),
        AssertionError,
        ("AIES.init", "array of keys", "chain_method"),
    ),
    Case("ensemble: sample before init", lambda: AIES(normal).sample(None), ValueError, ("AIES.sample", "`init` first")),
    Case(
        "ensemble: energies outside a run",
        lambda: AIES(normal).potential_energies(np.zeros((2, 1))),
        RuntimeError,
        ("while the kernel runs", "update_active_chains"),
    ),
    Case(
        "ensemble: an update of another shape",
        lambda: run(Narrow(normal, randomize_split=False)),
        ValueError,
        ("Narrow.update_active_chains", "(3, 1)", "expected (4, 1)"),
        compiles=True,
    ),
    Case(
        "batch_ravel_pytree", lambda: batch_ravel_pytree({"a": np.zeros(2), "b": 1.0}), ValueError, ("leading axis", "(2,)", "()")
    ),
]
