"""Functions of numbers and vectors, accurate at their edges."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike
from ppl.distributions.util.concrete import float_dtype
from ppl.distributions.util.shapes import promote_shapes


@jax.custom_jvp
def softplus(x: Array) -> Array:
    """`log(1 + exp(x))` without overflow; its derivative is the logistic function."""
    return lax.max(x, lax.full_like(x, 0)) + lax.log1p(lax.exp(-lax.abs(x)))


@softplus.defjvp
def _softplus_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    return softplus(x), lax.logistic(x) * dx


def clamp_probs(probs: ArrayLike) -> Array:
    """`probs` moved into `[tiny, 1 - eps]` of its dtype, so that logarithms of it and of its complement are finite."""
    finfo = jnp.finfo(float_dtype(probs))
    return jnp.clip(probs, finfo.tiny, 1.0 - finfo.eps)


def log1mexp(x: ArrayLike) -> Array:
    """`log(1 - exp(x))` for `x < 0`, accurate for small and large `-x` (Maechler 2012); -inf at 0, nan above."""
    x = jnp.asarray(x, float_dtype(x))
    near = x > -math.log(2.0)
    return jnp.where(
        near,
        jnp.log(-jnp.expm1(jnp.where(near, x, -1.0))),
        jnp.log1p(-jnp.exp(jnp.where(near, -1.0, x))),
    )


def logdiffexp(a: ArrayLike, b: ArrayLike) -> Array:
    """`log(exp(a) - exp(b))` for `a >= b`; -inf where `a == b`."""
    a, b = promote_shapes(a, b)
    equal = jnp.equal(a, b)
    out = a + log1mexp(jnp.where(equal, -1.0, b - jnp.where(equal, 0.0, a)))
    return jnp.where(equal, -np.inf, out)


def logmatmulexp(x: ArrayLike, y: ArrayLike) -> Array:
    """`log(exp(x) @ exp(y))` over the last two axes, without overflow; rows or columns of -inf give -inf."""
    x_shift = lax.stop_gradient(jnp.max(x, axis=-1, keepdims=True))
    y_shift = lax.stop_gradient(jnp.max(y, axis=-2, keepdims=True))
    x_shift = jnp.where(jnp.isfinite(x_shift), x_shift, 0.0)
    y_shift = jnp.where(jnp.isfinite(y_shift), y_shift, 0.0)
    product = jnp.matmul(jnp.exp(x - x_shift), jnp.exp(y - y_shift), precision=lax.Precision.HIGHEST)
    positive = product > 0
    return jnp.where(positive, jnp.log(jnp.where(positive, product, 1.0)), -np.inf) + x_shift + y_shift


def binary_cross_entropy_with_logits(x: ArrayLike, y: ArrayLike) -> Array:
    """`-log p(y | logits=x)` of a Bernoulli variable: `y softplus(-x) + (1 - y) softplus(x)`, which cancels nowhere."""
    x, y = promote_shapes(jnp.asarray(x, float_dtype(x)), y)
    return y * softplus(-x) + (1 - y) * softplus(x)


def safe_normalize(x: ArrayLike, *, p: int = 2) -> Array:
    """`x` divided by its `p`-norm along the last axis; a zero vector maps to `(1, ..., 1) / n^(1/p)`, and gradients stay finite."""
    if not isinstance(p, (int, float)) or p < 0:
        raise ValueError(f"the order of the norm must be a number >= 0, but got p={p!r}")
    x = jnp.asarray(x)
    zero = jnp.all(x == 0, axis=-1, keepdims=True)
    safe = jnp.where(zero, 1.0, x)
    return safe / jnp.linalg.norm(safe, p, axis=-1, keepdims=True)


def stirling_approx_tail(k: ArrayLike) -> Array:
    """`log k! - [log(2 pi)/2 + (k + 1/2) log(k + 1) - (k + 1)]`, the remainder of Stirling's formula, for integers `k >= 0`."""
    table = np.array(
        [
            0.0810614667953272582,
            0.0413406959554092941,
            0.0276779256849983391,
            0.0207906721037650931,
            0.0166446911898211922,
            0.0138761288230707480,
            0.0118967099458917701,
            0.0104112652619720965,
            0.0092554621827127330,
            0.0083305634333631530,
        ]
    )
    dtype = float_dtype(k)
    k = jnp.asarray(k).astype(dtype)
    u = 1.0 / (k + 1.0)
    series = (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 * u * u) * u * u) * u
    small = k < len(table)
    index = jnp.clip(jnp.where(small, k, 0.0), 0, len(table) - 1).astype(int)
    return jnp.where(small, jnp.asarray(table, dtype)[index], series)


def multidigamma(a: ArrayLike, d: int) -> Array:
    """The derivative of the multivariate log-gamma function: `sum_{i<d} digamma(a - i/2)`."""
    a = jnp.asarray(a, float_dtype(a))
    shifts = (0.5 * np.arange(d)).astype(a.dtype).reshape((1,) * a.ndim + (d,))
    return jnp.sum(lax.digamma(a[..., None] - shifts), axis=-1)
