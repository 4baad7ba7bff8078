"""Normalizing flows: transforms of vectors by autoregressive networks, in which output i depends on inputs j <= i of some order."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ppl._typing import Array, ArrayLike
from ppl.distributions import constraints
from ppl.distributions.transforms.base import Transform, check_vector, constant
from ppl.distributions.transforms.elementwise import as_float
from ppl.distributions.util import sum_rightmost

__all__ = ["BlockNeuralAutoregressiveTransform", "InverseAutoregressiveTransform"]

Network = Callable[[Array], tuple[ArrayLike, ArrayLike]]


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _clip_values(x: Array, low: float, high: float) -> Array:
    """`x` clipped to `[low, high]`, with the gradient of the identity everywhere, so that clipped entries find back."""
    return lax.clamp(constant(low, x), x, constant(high, x))


@_clip_values.defjvp
def _clip_values_jvp(low: float, high: float, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    return _clip_values(x, low, high), dx


def _checked_network(owner: str, name: str, network: Any) -> Network:
    if not callable(network):
        raise TypeError(f"{owner}: {name} must be a function of vectors (..., d), but got {network!r}")
    return network


def _evaluate(owner: str, name: str, network: Network, x: Array) -> tuple[Array, Array]:
    """The two arrays that the network makes of vectors `x (..., d)`, each of their shape.

    Raises:
        ValueError: `x` has no axis, or the network returns anything else.
    """
    check_vector(owner, x.shape)
    out = network(x)
    if not isinstance(out, (tuple, list)) or [np.shape(part) for part in out] != [x.shape] * 2:
        found = [np.shape(part) for part in out] if isinstance(out, (tuple, list)) else f"a value of type {type(out).__name__}"
        raise ValueError(
            f"{owner}: {name} must return a pair of arrays of the shape of its argument, {x.shape}, but returned {found}"
        )
    first, second = out
    return as_float(first), as_float(second)


class InverseAutoregressiveTransform(Transform):
    """The step of an inverse autoregressive flow, `y_i = m_i(x) + exp(s_i(x)) x_i`, where `m_i` and `s_i` do not depend on `x_i`
    or later entries.

    The log-determinant is `sum_i s_i`; the `s_i` are the intermediates. They are clipped, but keep the gradient of the identity
    where they are. "Later" refers to any fixed order of the entries. The inverse evaluates the network d times:
    `x <- (y - m(x)) / exp(s(x))` has the first k entries in that order right after k rounds.

    Args:
        autoregressive_nn: takes vectors `(..., d)`, returns `m` and `s`, each of this shape.
        log_scale_min_clip, log_scale_max_clip: the interval of the `s_i`.

    Raises:
        TypeError: `autoregressive_nn` cannot be called.
        ValueError: the interval is empty; later, the network returns something else.

    Example:
        >>> import jax.numpy as jnp
        >>> def network(x):
        ...     before = jnp.cumsum(x, -1) - x
        ...     return 0.5 * before, 0.1 * before
        >>> t = InverseAutoregressiveTransform(network)
        >>> x = jnp.array([1.0, 2.0])
        >>> y = t(x)
        >>> [round(float(v), 4) for v in t.inv(y)]
        [1.0, 2.0]
        >>> round(float(t.log_abs_det_jacobian(x, y)), 4)
        0.1

    References: Kingma, Salimans, Jozefowicz, Chen, Sutskever and Welling (2016), Improving variational inference with inverse
    autoregressive flow; for the inverse, Song, Meng, Liao and Ermon (2021), Accelerating feedforward computation via parallel
    nonlinear equation solving.
    """

    domain = codomain = constraints.real_vector
    static_fields = ("autoregressive_nn", "log_scale_min_clip", "log_scale_max_clip")

    def __init__(self, autoregressive_nn: Network, log_scale_min_clip: float = -5.0, log_scale_max_clip: float = 3.0) -> None:
        owner = "InverseAutoregressiveTransform"
        self.autoregressive_nn = _checked_network(owner, "autoregressive_nn", autoregressive_nn)
        self.log_scale_min_clip, self.log_scale_max_clip = float(log_scale_min_clip), float(log_scale_max_clip)
        if not self.log_scale_min_clip < self.log_scale_max_clip:
            raise ValueError(
                f"{owner}: log_scale_min_clip must be less than log_scale_max_clip, but got {log_scale_min_clip!r} and "
                f"{log_scale_max_clip!r}"
            )

    def _mean_and_log_scale(self, x: Array) -> tuple[Array, Array]:
        mean, log_scale = _evaluate("InverseAutoregressiveTransform", "autoregressive_nn", self.autoregressive_nn, x)
        return mean, _clip_values(log_scale, self.log_scale_min_clip, self.log_scale_max_clip)

    def call_with_intermediates(self, x: ArrayLike) -> tuple[Array, Array]:
        x = as_float(x)
        mean, log_scale = self._mean_and_log_scale(x)
        return mean + lax.exp(log_scale) * x, log_scale

    def __call__(self, x: ArrayLike) -> Array:
        return self.call_with_intermediates(x)[0]

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        check_vector("InverseAutoregressiveTransform.inv", y.shape)
        # Entries that are not right yet may grow beyond bounds, and times a masked weight, zero, infinity would be nan.
        bound = math.sqrt(jnp.finfo(y.dtype).max)

        def refine(_: Array, x: Array) -> Array:
            mean, log_scale = self._mean_and_log_scale(x)
            return lax.clamp(constant(-bound, y), (y - mean) * lax.exp(-log_scale), constant(bound, y))

        return lax.fori_loop(0, y.shape[-1], refine, jnp.zeros_like(y))

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        return sum_rightmost(self._mean_and_log_scale(as_float(x))[1] if intermediates is None else intermediates, 1)


class BlockNeuralAutoregressiveTransform(Transform):
    """The map of a block neural autoregressive network, whose output i is increasing in input i and independent of later ones.

    Its Jacobian is triangular: the log-determinant is `sum_i log dy_i/dx_i`, and the terms of the sum are the intermediates. There
    is no inverse in closed form: `t.inv` raises NotImplementedError when it is called.

    Args:
        bn_arn: takes vectors `x (..., d)`, returns `y` and the `log dy_i/dx_i`, each of this shape.

    Raises:
        TypeError: `bn_arn` cannot be called.
        ValueError: later, if the network returns something else.

    Example:
        >>> import jax.numpy as jnp
        >>> t = BlockNeuralAutoregressiveTransform(lambda x: (2.0 * x, jnp.full_like(x, jnp.log(2.0))))
        >>> y, terms = t.call_with_intermediates(jnp.ones(3))
        >>> round(float(t.log_abs_det_jacobian(jnp.ones(3), y, terms)), 4)
        2.0794

    Reference: De Cao, Aziz and Titov (2019), Block neural autoregressive flow.
    """

    domain = codomain = constraints.real_vector
    static_fields = ("bn_arn",)

    def __init__(self, bn_arn: Network) -> None:
        self.bn_arn = _checked_network("BlockNeuralAutoregressiveTransform", "bn_arn", bn_arn)

    def call_with_intermediates(self, x: ArrayLike) -> tuple[Array, Array]:
        return _evaluate("BlockNeuralAutoregressiveTransform", "bn_arn", self.bn_arn, as_float(x))

    def __call__(self, x: ArrayLike) -> Array:
        return self.call_with_intermediates(x)[0]

    def _inverse(self, y: ArrayLike) -> Array:
        raise NotImplementedError(
            "BlockNeuralAutoregressiveTransform has no inverse in closed form; to evaluate a density at given points, "
            "use InverseAutoregressiveTransform"
        )

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        return sum_rightmost(self.call_with_intermediates(x)[1] if intermediates is None else intermediates, 1)
