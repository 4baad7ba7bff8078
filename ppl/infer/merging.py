"""One posterior of draws from several, each of a part of the data with a part of the prior.

With the data in S parts, sample each part with the prior to the power 1 / S; the product of the S densities is the posterior.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jax.flatten_util import ravel_pytree

from ppl._typing import Array, Key, PyTree
from ppl.infer.arguments import check_count
from ppl.util import as_key, describe, dtype_of, not_jax_tracer

__all__ = ["consensus", "parametric", "parametric_draws"]

SINGULAR = 1e-6  # smallest over largest eigenvalue of correlations that float32 cannot invert


def _flat(name: str, subposteriors: Sequence[PyTree]) -> tuple[list[Array], Any]:
    """The draws of each subposterior as a matrix `(n, d)`, and the function that makes a draw of a row."""
    if not isinstance(subposteriors, Sequence) or not subposteriors:
        raise ValueError(f"{name}: expected a list of draws, one pytree for each part of the data; found {describe(subposteriors)}")
    structures = [_structure(draws) for draws in subposteriors]
    for number, structure in enumerate(structures):
        if structure != structures[0]:
            raise ValueError(
                f"{name}: subposterior {number} has not the sites and shapes of the first: found {structure}, expected "
                f"{structures[0]}"
            )
        sizes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(subposteriors[number])}
        if len(sizes) != 1 or sizes == {()} or min(sizes)[0] < 2:
            raise ValueError(
                f"{name}: subposterior {number} needs at least two draws, the same number for all sites; found {sizes}"
            )
    numbers = [jax.tree.map(_floating, draws) for draws in subposteriors]
    _, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], numbers[0]))
    ravel = jax.vmap(lambda draw: ravel_pytree(draw)[0])
    return [ravel(draws) for draws in numbers], unravel


def _floating(leaf: Any) -> Array:
    """Draws as floats: a mean of whole numbers is none."""
    return jnp.asarray(leaf, jnp.result_type(float) if dtype_of(leaf).kind in "biu" else None)


def _structure(draws: PyTree) -> Any:
    leaves, structure = jax.tree.flatten(draws)
    return structure, tuple(np.shape(leaf)[1:] for leaf in leaves)


def _why_singular(x: np.ndarray, diagonal: bool) -> str | None:
    """Why the sample covariance of draws `(n, d)` cannot be inverted, and what to do; None if it can."""
    deviation = np.std(x, axis=0)
    if not (deviation > 0).all():
        return "a component that never changes; leave it out"
    if diagonal:
        return None
    lengths = np.linalg.svd((x - x.mean(axis=0)) / deviation, compute_uv=False)
    if len(x) > x.shape[1] and (lengths[-1] / lengths[0]) ** 2 > SINGULAR:
        return None
    return (
        f"{len(x)} draws in {x.shape[1]} dimensions and a sample covariance without an inverse; pass more draws, leave out what "
        "follows from other components (one of a simplex, deterministic sites), or pass diagonal=True"
    )


def _precisions(name: str, draws: Sequence[Array], diagonal: bool) -> list[Array]:
    """The inverse of the sample covariance of each subposterior, `(d, d)`, or of the variances, `(d,)`.

    Raises:
        ValueError: if there is none.
    """
    for number, x in enumerate(draws):
        why = _why_singular(np.asarray(x, np.float64), diagonal) if not_jax_tracer(x) else None
        if why is not None:
            raise ValueError(f"{name}: subposterior {number} has {why}")
    if diagonal:
        return [1.0 / jnp.var(x, axis=0, ddof=1) for x in draws]
    return [jnp.linalg.inv(jnp.atleast_2d(jnp.cov(x, rowvar=False))) for x in draws]


def _times(matrix: Array, vectors: Array) -> Array:
    """The product with each row of `(..., d)`."""
    return matrix * vectors if matrix.ndim == 1 else vectors @ matrix.T


def _inverse(matrix: Array) -> Array:
    return 1.0 / matrix if matrix.ndim == 1 else jnp.linalg.inv(matrix)


def consensus(
    subposteriors: Sequence[PyTree], num_draws: int | None = None, diagonal: bool = False, rng_key: Key | None = None
) -> PyTree:
    """Draws of the posterior as weighted means of draws of the subposteriors.

    Args:
        subposteriors: a list of pytrees of draws, with a leading axis for the draws.
        num_draws: how many draws to make, from each subposterior drawn anew; None: one of each row of draws.
        diagonal: weight by inverse variances instead of inverse covariances.
        rng_key: a random key, for `num_draws`; default: that of the seed 0.

    Returns:
        A pytree of draws.

    Raises:
        ValueError: if the subposteriors do not fit together, or the covariance of one cannot be inverted.

    Source: Scott, Blocker, Bonassi, Chipman, George, McCulloch (2016), "Bayes and big data: the consensus Monte Carlo algorithm",
    section 3.1.

    Example:
        >>> import jax.numpy as jnp
        >>> from ppl.infer.hmc_util import consensus
        >>> parts = [{"x": jnp.array([0.0, 2.0])}, {"x": jnp.array([2.0, 4.0])}]
        >>> consensus(parts)["x"]
        Array([1., 3.], dtype=float32)
    """
    draws, unravel = _flat("consensus", subposteriors)
    if num_draws is not None:
        check_count("consensus", "num_draws", num_draws)
    if num_draws is None and len({len(x) for x in draws}) > 1:
        raise ValueError(
            f"consensus: the subposteriors have {[len(x) for x in draws]} draws; pass num_draws to draw from each anew"
        )
    precisions = _precisions("consensus", draws, diagonal)
    if num_draws is not None:
        keys = random.split(as_key(0 if rng_key is None else rng_key), len(draws))
        draws = [x[random.randint(key, (num_draws,), 0, len(x))] for key, x in zip(keys, draws)]
    total = _inverse(sum(precisions[1:], precisions[0]))
    weighted = [_times(precision, x) for precision, x in zip(precisions, draws)]
    return jax.vmap(unravel)(_times(total, sum(weighted[1:], weighted[0])))


def parametric(subposteriors: Sequence[PyTree], diagonal: bool = False) -> tuple[Array, Array]:
    """Mean and covariance of the product of normal densities that are fitted to the subposteriors.

    Args:
        subposteriors: as in `consensus`.
        diagonal: use variances alone.

    Returns:
        The mean `(d,)` and the covariance `(d, d)`, or the variances `(d,)`, of a draw as one vector.

    Raises:
        ValueError: if the subposteriors do not fit together, or the covariance of one cannot be inverted.

    Source: Neiswanger, Wang, Xing (2014), "Asymptotically exact, embarrassingly parallel MCMC", UAI, section 3.1.
    """
    draws, _ = _flat("parametric", subposteriors)
    return _product("parametric", draws, diagonal)


def _product(name: str, draws: Sequence[Array], diagonal: bool) -> tuple[Array, Array]:
    precisions = _precisions(name, draws, diagonal)
    covariance = _inverse(sum(precisions[1:], precisions[0]))
    weighted = [_times(precision, jnp.mean(x, axis=0)) for precision, x in zip(precisions, draws)]
    return _times(covariance, sum(weighted[1:], weighted[0])), covariance


def parametric_draws(subposteriors: Sequence[PyTree], num_draws: int, diagonal: bool = False, rng_key: Key | None = None) -> PyTree:
    """Draws from the normal law of `parametric`, as pytrees like those of the subposteriors.

    Args:
        subposteriors: as in `consensus`.
        num_draws: how many draws.
        diagonal: use variances alone.
        rng_key: a random key; default: that of the seed 0.

    Raises:
        ValueError: if the subposteriors do not fit together, or the covariance of one cannot be inverted.
    """
    check_count("parametric_draws", "num_draws", num_draws)
    draws, unravel = _flat("parametric_draws", subposteriors)
    mean, covariance = _product("parametric_draws", draws, diagonal)
    noise = random.normal(as_key(0 if rng_key is None else rng_key), (num_draws, mean.shape[0]), mean.dtype)
    root = jnp.sqrt(covariance) if diagonal else jnp.linalg.cholesky(covariance)
    return jax.vmap(unravel)(mean + _times(root, noise))
