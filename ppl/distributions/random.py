"""Draws from the elementary laws, in less time than those of `jax.random`, whose names and arguments these have.

One call of the generator gives two words, and both are used; JAX's draws use half of them. Gamma variates are proposed for a whole
array at once, by one loop; JAX loops over each element by itself, with keys of its own, which takes a multiple of the time to run
and to compile. A shape is that of the result: parameters broadcast to it.

Sources: Marsaglia & Tsang (2000), "A simple method for generating gamma variables", ACM TOMS 26(3); Figurnov, Mohamed & Mnih
(2018), "Implicit reparameterization gradients", section 4.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.random import binomial, fold_in, randint, split

from ppl._random import generate, is_typed, to_normal, to_uniform, words
from ppl._typing import Array, ArrayLike, Key, Shape
from ppl.distributions.special import angles

__all__ = [
    "bernoulli",
    "beta",
    "binomial",
    "categorical",
    "cauchy",
    "dirichlet",
    "exponential",
    "fold_in",
    "gamma",
    "gumbel",
    "laplace",
    "loggamma",
    "logistic",
    "normal",
    "open_uniform",
    "rademacher",
    "randint",
    "split",
    "uniform",
]

ELEMENTARY, PROPOSALS = 0x656C65, 0x676D61  # keep apart what is drawn from one key in different ways
MOST_BLOCKS = 2**32 - 1  # a counter is one word


_drawing = partial(jax.jit, static_argnames=("shape", "dtype"))


def _unit(key: Key, shape: Shape, dtype: Any) -> Array:
    """Uniform on [0, 1)."""
    dtype = jax.dtypes.canonicalize_dtype(dtype)
    size = math.prod(shape)
    blocks = size if dtype.itemsize == 8 else (size + 1) // 2
    if blocks > MOST_BLOCKS or not _is_threefry(key):
        return jax.random.uniform(key, shape, dtype)
    bits = generate(words(key), ELEMENTARY, 0, blocks)
    return lax.reshape(to_uniform(bits, dtype)[:size], shape)


@_drawing
def open_uniform(key: Key, shape: Shape = (), dtype: Any = float) -> Array:
    """Uniform on (0, 1), in the middle of the cells of `uniform`, so that one minus it is exact."""
    unit = _unit(key, shape, dtype)
    return unit + 0.5 * jnp.finfo(unit.dtype).eps


def _is_threefry(key: Key) -> bool:
    return not is_typed(key) or jax.random.key_impl(key) == "threefry2x32"


@_drawing
def uniform(
    key: Key, shape: Shape = (), dtype: Any = float, minval: ArrayLike | None = None, maxval: ArrayLike | None = None
) -> Array:
    """Uniform on `[minval, maxval)`, by default [0, 1)."""
    unit = _unit(key, shape, dtype)
    if minval is None and maxval is None:
        return unit
    low = jnp.asarray(0.0 if minval is None else minval, unit.dtype)
    high = jnp.asarray(1.0 if maxval is None else maxval, unit.dtype)
    return jnp.maximum(low, unit * (high - low) + low)


@_drawing
def normal(key: Key, shape: Shape = (), dtype: Any = float) -> Array:
    """Standard normal."""
    unit = _unit(key, shape, dtype)
    return to_normal(unit, unit.dtype)


@_drawing
def exponential(key: Key, shape: Shape = (), dtype: Any = float) -> Array:
    """Exponential with mean 1."""
    return -lax.log1p(-open_uniform(key, shape, dtype))


@_drawing
def logistic(key: Key, shape: Shape = (), dtype: Any = float) -> Array:
    """Logistic of scale 1."""
    unit = open_uniform(key, shape, dtype)
    return lax.log(unit) - lax.log1p(-unit)


@_drawing
def gumbel(key: Key, shape: Shape = (), dtype: Any = float) -> Array:
    """Gumbel of scale 1."""
    return -lax.log(exponential(key, shape, dtype))


@_drawing
def laplace(key: Key, shape: Shape = (), dtype: Any = float) -> Array:
    """Laplace of scale 1."""
    both = 2 * open_uniform(key, shape, dtype) - 1
    return -lax.sign(both) * lax.log1p(-lax.abs(both))


@_drawing
def cauchy(key: Key, shape: Shape = (), dtype: Any = float) -> Array:
    """Cauchy of scale 1."""
    return cauchy_quantile(open_uniform(key, shape, dtype))


def cauchy_quantile(u: Array) -> Array:
    """`tan(pi (u - 1/2))`, for `0 < u < 1`."""
    upper = angles.cot(jnp.minimum(u, 1.0 - u))
    return jnp.where(u < 0.5, -upper, upper)


@partial(jax.jit, static_argnames="shape")
def bernoulli(key: Key, p: ArrayLike = 0.5, shape: Shape | None = None) -> Array:
    """True with probability `p`."""
    p = jnp.asarray(p, jnp.result_type(float, p))
    shape = p.shape if shape is None else shape
    return _unit(key, shape, p.dtype) < jnp.broadcast_to(p, shape)


@_drawing
def rademacher(key: Key, shape: Shape = (), dtype: Any = int) -> Array:
    """-1 or 1, with equal probability."""
    return jnp.where(bernoulli(key, shape=shape), 1, -1).astype(dtype)


@partial(jax.jit, static_argnames="shape")
def categorical(key: Key, logits: ArrayLike, shape: Shape | None = None) -> Array:
    """Indices along the last axis of `logits (..., k)`, drawn with probabilities proportional to their exponentials."""
    logits = jnp.asarray(logits)
    shape = logits.shape[:-1] if shape is None else shape
    noise = gumbel(key, (*shape, logits.shape[-1]), logits.dtype)
    return jnp.argmax(noise + jnp.expand_dims(logits, tuple(range(noise.ndim - logits.ndim))), -1)


# gamma variates and what is made of them --------------------------------------------------------------------------------


@_drawing
def loggamma(key: Key, a: ArrayLike, shape: Shape | None = None, dtype: Any = float) -> Array:
    """The logarithm of a gamma variate with shape parameter `a` and rate 1, also where the variate itself is too small to hold.

    Differentiable in `a`, by the implicit derivative of the distribution function.
    """
    a = jnp.asarray(a, jax.dtypes.canonicalize_dtype(dtype))
    return _loggamma(words(key), jnp.broadcast_to(a, a.shape if shape is None else shape))


@_drawing
def gamma(key: Key, a: ArrayLike, shape: Shape | None = None, dtype: Any = float) -> Array:
    """A gamma variate with shape parameter `a` and rate 1."""
    return lax.exp(loggamma(key, a, shape, dtype))


@_drawing
def beta(key: Key, a: ArrayLike, b: ArrayLike, shape: Shape | None = None, dtype: Any = float) -> Array:
    """A beta variate: the share of a gamma variate of shape parameter `a` in the sum of it and one of `b`."""
    shape = np.broadcast_shapes(np.shape(a), np.shape(b)) if shape is None else shape
    dtype = jax.dtypes.canonicalize_dtype(dtype)
    both = jnp.stack([jnp.broadcast_to(jnp.asarray(x, dtype), shape) for x in (a, b)])
    log_gammas = loggamma(key, both, dtype=dtype)
    return lax.logistic(log_gammas[0] - log_gammas[1])


@_drawing
def dirichlet(key: Key, alpha: ArrayLike, shape: Shape | None = None, dtype: Any = float) -> Array:
    """Dirichlet variates, of shape `shape + (k,)`, with concentrations `alpha (..., k)`."""
    shape = np.shape(alpha)[:-1] if shape is None else shape
    return jax.nn.softmax(loggamma(key, alpha, (*shape, np.shape(alpha)[-1]), dtype), -1)


@jax.custom_jvp
def _loggamma(key: Array, a: Array) -> Array:
    """Marsaglia & Tsang: `d (1 + c x)^3` with normal `x`, `d = a - 1/3`, `c = 1 / sqrt(9 d)`, accepted with probability above 0.95.

    Where `a < 1`, a variate of `a + 1` times `u^(1 / a)`; what the accepted level leaves is exponential, and makes this factor.
    """
    dtype, size = a.dtype, a.size
    small = a < 1
    d = jnp.where(small, a + 1, a) - 1 / 3
    c = lax.rsqrt(9 * d)
    blocks = dtype.itemsize // 4 * size

    def step(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        i, found, log_v, level = state
        unit = lax.reshape(to_uniform(generate(key, PROPOSALS, i * np.uint32(blocks), blocks), dtype), (2, *a.shape))
        x = to_normal(unit[0], dtype)
        y = c * x
        inside = y > -1
        log_root = lax.log1p(jnp.where(inside, y, 0.0))
        # log of the probability of acceptance: x^2 / 2 + d (1 - v + log v) with v = (1 + y)^3
        bound = jnp.minimum(0.5 * x * x + 3 * d * (log_root - y * (1 + y * (1 + y / 3))), 0.0)
        log_u = lax.log1p(-unit[1])
        accepted = ~((log_u >= bound) & (bound < 0) | (y <= -1)) & ~found  # where a is nan too, which ends the loop
        return (
            i + np.uint32(1),
            found | accepted,
            jnp.where(accepted, 3 * log_root, log_v),
            jnp.where(accepted, log_u - bound, level),
        )

    start: Any = (np.uint32(0), jnp.zeros(a.shape, bool), jnp.zeros_like(a), jnp.zeros_like(a))
    _, _, log_v, level = lax.while_loop(lambda state: ~state[1].all(), step, start)
    return lax.log(d) + log_v + jnp.where(small, jnp.minimum(level, 0.0) / jnp.where(small, a, 1.0), 0.0)


@_loggamma.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Any, Array]) -> tuple[Array, Array]:
    """`-dF/da / (dF/dlog x)`; where `x` is tiny, `F` is `x^a / Gamma(a + 1)`."""
    a = primals[1]
    out = _loggamma(*primals)
    tiny = out < 2 * math.log(float(jnp.finfo(a.dtype).eps))
    x = lax.exp(jnp.where(tiny, 0.0, out))
    slope = jnp.where(tiny, (lax.digamma(a + 1) - out) / a, lax.random_gamma_grad(a, x) / x)
    return out, slope * tangents[1]
