"""Maps between values along axes and their frequencies: Fourier, cosine and Haar."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.fft import dct, idct

from ppl._typing import Array, ArrayLike, Shape
from ppl.distributions import constraints
from ppl.distributions.constraints import Constraint
from ppl.distributions.transforms.base import Transform, constant
from ppl.distributions.transforms.elementwise import as_float
from ppl.distributions.transforms.shapes import as_complex
from ppl.distributions.transforms.vectors import pad_last
from ppl.distributions.util import as_parameter, is_identically_zero

_ROOT_HALF = math.sqrt(0.5)


# real Fourier transforms ------------------------------------------------------------------------------------------------


class _FourierCoefficients(Transform):
    """A map of real arrays to Fourier coefficients of real arrays of the same shape, over the last `transform_ndims` axes.

    These coefficients are conjugate in pairs, `y_{-k} = conj y_k` with indices modulo the lengths, and of the last axis only those
    of `k = 0, ..., n // 2` are kept. So arrays with n real and with n // 2 + 1 complex entries along it correspond to each other.
    """

    transform_shape: Shape | None
    transform_ndims: int

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(constraints.real, self.transform_ndims)

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(constraints.complex, self.transform_ndims)

    def _lengths(self, shape: Shape) -> Shape:
        """The lengths of the transformed axes."""
        lengths = tuple(shape[max(len(shape) - self.transform_ndims, 0) :])
        if len(lengths) < self.transform_ndims or 0 in lengths:
            raise ValueError(
                f"{type(self).__name__} needs values with at least {self.transform_ndims} dimension(s), none of the last of them "
                f"empty, but got shape {tuple(shape)}"
            )
        return lengths

    def forward_shape(self, shape: Shape) -> Shape:
        lengths = self._lengths(shape)
        if self.transform_shape not in (None, lengths):
            raise ValueError(
                f"{type(self).__name__} with transform_shape={self.transform_shape} needs real values of that shape in the last "
                f"axes, but got shape {tuple(shape)}"
            )
        return (*shape[:-1], shape[-1] // 2 + 1)

    def inverse_shape(self, shape: Shape) -> Shape:
        lengths = self._lengths(shape)
        real = self.transform_shape
        if real is None:
            # One coefficient belongs to one number.
            real = (*lengths[:-1], max(2 * (lengths[-1] - 1), 1))
        expected = (*real[:-1], real[-1] // 2 + 1)
        if lengths != expected:
            raise ValueError(
                f"{type(self).__name__}.inv with transform_shape={self.transform_shape} needs coefficients of shape {expected} in "
                f"the last axes, but got shape {tuple(shape)}"
            )
        return (*shape[: len(shape) - self.transform_ndims], *real)


def _checked_lengths(owner: str, transform_shape: Any, ndims: int) -> Shape | None:
    if transform_shape is None:
        return None
    if not isinstance(transform_shape, (tuple, list)) or not all(isinstance(n, (int, np.integer)) for n in transform_shape):
        raise TypeError(f"{owner}: transform_shape must be a tuple of integers, such as (5,), but got {transform_shape!r}")
    if len(transform_shape) != ndims or min(transform_shape) < 1:
        raise ValueError(
            f"{owner}: transform_shape must hold {ndims} length(s) >= 1, one for each transformed axis, but got {transform_shape!r}"
        )
    return tuple(int(n) for n in transform_shape)


class RealFastFourierTransform(_FourierCoefficients):
    """The discrete Fourier transform of real arrays over their last axes,
    `y_k = sum_j x_j exp(-2 pi i (j_1 k_1 / n_1 + ... + j_m k_m / n_m))`, for the indices `k_m <= n_m // 2` along the last of them.

    The image has redundant coordinates: `y_{-k} = conj y_k`, and coefficients with `-k = k` are real. The log-determinant is that
    of one coefficient of each conjugate pair, as real and imaginary part. These are orthogonal to each other, of squared norm N / 2
    for N entries in all, and N for the s real ones: `N/2 log N - (N - s)/2 log 2`, where s is 2 to the number of even lengths.
    The inverse ignores what a real array cannot have, such as an imaginary part of `y_0`.

    Args:
        transform_shape: the lengths of the transformed axes of the real array; None for those of the argument, where the inverse
            takes the last one to be even: give it if that is odd.
        transform_ndims: the number of transformed axes.

    Raises:
        ValueError: if shapes do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> t = RealFastFourierTransform((3,))
        >>> x = jnp.array([1.0, 2.0, 4.0])
        >>> y = t(x)
        >>> [round(float(v), 3) for v in jnp.abs(y)]
        [7.0, 2.646]
        >>> [round(float(v), 3) for v in t.inv(y)]
        [1.0, 2.0, 4.0]
        >>> round(float(t.log_abs_det_jacobian(x, y)), 3)
        0.955

    Reference: Brillinger (1981), Time Series: Data Analysis and Theory, section 3.5.
    """

    static_fields = ("transform_shape", "transform_ndims")

    def __init__(self, transform_shape: Shape | None = None, transform_ndims: int = 1) -> None:
        owner = "RealFastFourierTransform"
        if not isinstance(transform_ndims, (int, np.integer)) or transform_ndims < 1:
            raise ValueError(f"{owner}: transform_ndims must be an integer >= 1, but got {transform_ndims!r}")
        self.transform_shape = _checked_lengths(owner, transform_shape, transform_ndims)
        self.transform_ndims = int(transform_ndims)

    def _axes(self) -> tuple[int, ...]:
        return tuple(range(-self.transform_ndims, 0))

    def __call__(self, x: ArrayLike) -> Array:
        x = as_float(x)
        self.forward_shape(x.shape)
        return jnp.fft.rfftn(x, axes=self._axes())

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_complex(y)
        return jnp.fft.irfftn(y, s=self.inverse_shape(y.shape)[-self.transform_ndims :], axes=self._axes())

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        x = as_float(x)
        self.forward_shape(x.shape)
        cut = x.ndim - self.transform_ndims
        size = math.prod(x.shape[cut:])
        real = math.prod(2 - n % 2 for n in x.shape[cut:])
        log_det = 0.5 * size * math.log(size) - 0.5 * (size - real) * math.log(2.0)
        return jnp.full(x.shape[:cut], log_det, x.dtype)


class PackRealFastFourierCoefficientsTransform(_FourierCoefficients):
    """Vectors of n reals to the n // 2 + 1 coefficients that the Fourier transform of a real vector of length n has.

    The first n // 2 + 1 reals are the real parts. The others are the imaginary parts from the second coefficient on: the first one
    has none, nor has the last one of an even n. The log-determinant, in these coordinates, is zero.

    Args:
        transform_shape: `(n,)`; None for that of the argument, where the inverse takes n to be even: give it if n is odd.

    Raises:
        ValueError: if shapes do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> t = PackRealFastFourierCoefficientsTransform((3,))
        >>> y = t(jnp.array([1.0, 2.0, 3.0]))
        >>> [complex(c) for c in y]
        [(1+0j), (2+3j)]
        >>> [float(v) for v in t.inv(y)]
        [1.0, 2.0, 3.0]
    """

    static_fields = ("transform_shape",)
    transform_ndims = 1

    def __init__(self, transform_shape: Shape | None = None) -> None:
        self.transform_shape = _checked_lengths("PackRealFastFourierCoefficientsTransform", transform_shape, 1)

    def __call__(self, x: ArrayLike) -> Array:
        x = as_float(x)
        kept = self.forward_shape(x.shape)[-1]
        n_imaginary = x.shape[-1] - kept
        return lax.complex(x[..., :kept], pad_last(x[..., kept:], 1, kept - 1 - n_imaginary))

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_complex(y)
        n_imaginary = self.inverse_shape(y.shape)[-1] - y.shape[-1]
        return lax.concatenate([lax.real(y), lax.imag(y)[..., 1 : 1 + n_imaginary]], y.ndim - 1)

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        x = as_float(x)
        self.forward_shape(x.shape)
        return jnp.zeros(x.shape[:-1], x.dtype)


# orthonormal bases of an axis -------------------------------------------------------------------------------------------


class _AxisTransform(Transform):
    """A linear map along axis `dim < 0`, with determinant 1 or -1; the axes right of it are event axes too."""

    dim: int

    @property
    def domain(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(constraints.real, -self.dim)

    @property
    def codomain(self) -> Constraint:  # type: ignore[override]
        return self.domain

    def log_abs_det_jacobian(self, x: ArrayLike, y: ArrayLike, intermediates: Any = None) -> Array:
        x = as_float(x)
        return jnp.zeros(self.forward_shape(x.shape)[: self.dim], x.dtype)

    def forward_shape(self, shape: Shape) -> Shape:
        if len(shape) < -self.dim or shape[self.dim] < 1:
            raise ValueError(f"{self!r} needs values with at least one entry along axis {self.dim}, but got shape {tuple(shape)}")
        return shape

    def inverse_shape(self, shape: Shape) -> Shape:
        return self.forward_shape(shape)


def _checked_dim(owner: str, dim: Any) -> int:
    if not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
        raise TypeError(f"{owner}: dim must be an integer, but got {dim!r}")
    if dim >= 0:
        raise ValueError(f"{owner}: dim must be negative, as it counts axes from the right, but got dim={dim}; the last axis is -1")
    return int(dim)


class HaarTransform(_AxisTransform):
    """The orthonormal Haar wavelet transform along an axis, of any length.

    Neighbours a, b become a detail `(a - b) / sqrt 2` and a sum `(a + b) / sqrt 2`, and the sums are transformed in the same way
    until one is left; an entry without neighbour, the last one of an odd number, is kept as it is. The result has the last sum
    first, then the details from the coarsest scale to the finest, those of each scale followed by the entry that it left alone. The
    log-determinant is zero.

    Args:
        dim: the axis, negative.
        flip: whether to reverse the axis first.

    Raises:
        ValueError: `dim` is not negative, or a value has no such axis.

    Example:
        >>> import jax.numpy as jnp
        >>> [round(float(v), 4) for v in HaarTransform()(jnp.array([1.0, 1.0, 2.0, 0.0]))]
        [2.0, 0.0, 0.0, 1.4142]

    Reference: Mallat (2009), A Wavelet Tour of Signal Processing, section 7.3.
    """

    static_fields = ("dim", "flip")

    def __init__(self, dim: int = -1, flip: bool = False) -> None:
        self.dim = _checked_dim("HaarTransform", dim)
        self.flip = bool(flip)

    def _flipped(self, x: Array) -> Array:
        return lax.rev(x, (x.ndim - 1,)) if self.flip else x

    def __call__(self, x: ArrayLike) -> Array:
        x = as_float(x)
        self.forward_shape(x.shape)
        return jnp.moveaxis(_haar_forward(self._flipped(jnp.moveaxis(x, self.dim, -1))), -1, self.dim)

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        self.inverse_shape(y.shape)
        return jnp.moveaxis(self._flipped(_haar_inverse(jnp.moveaxis(y, self.dim, -1))), -1, self.dim)


def _haar_forward(x: ArrayLike) -> Array:
    """The Haar transform along the last axis."""
    x = as_float(x)
    axis = x.ndim - 1
    right: list[Array] = []
    while (n := x.shape[axis]) > 1:
        paired = n - n % 2
        even = lax.slice_in_dim(x, 0, paired, 2, axis)
        odd = lax.slice_in_dim(x, 1, paired, 2, axis)
        right += [lax.slice_in_dim(x, paired, n, 1, axis), _ROOT_HALF * (even - odd)]
        x = _ROOT_HALF * (even + odd)
    return lax.concatenate([x, *reversed(right)], axis)


def _haar_inverse(y: ArrayLike) -> Array:
    """The vectors whose Haar transform along the last axis is `y`."""
    y = as_float(y)
    axis = y.ndim - 1
    sizes = [y.shape[axis]]
    while sizes[-1] > 1:
        sizes.append(sizes[-1] // 2)
    x = lax.slice_in_dim(y, 0, sizes[-1], 1, axis)
    for n in reversed(sizes[:-1]):
        half = n // 2
        details = lax.slice_in_dim(y, half, 2 * half, 1, axis)
        pairs = [lax.expand_dims(_ROOT_HALF * part, (axis + 1,)) for part in (x + details, x - details)]
        paired = lax.reshape(lax.concatenate(pairs, axis + 1), (*x.shape[:axis], 2 * half))
        x = lax.concatenate([paired, lax.slice_in_dim(y, 2 * half, n, 1, axis)], axis)
    return x


class DiscreteCosineTransform(_AxisTransform):
    """The orthonormal discrete cosine transform (DCT-II) along an axis, with rescaled frequencies.

    `y_k = w_k c_k sum_j x_j cos(pi k (j + 1/2) / n)` with `c_0 = sqrt(1 / n)`, `c_k = sqrt(2 / n)`, and the weights
    `w_k = ((k + 1/2) / g)^smooth`, where g is the geometric mean of all `k + 1/2`: their product is 1, so that the log-determinant
    is zero. Of such frequencies are the principal components of Brownian motion, whose standard deviations are inverse to them.

    Args:
        dim: the axis, negative.
        smooth: the exponent of the weights, a number. With 0 the map is orthonormal and white noise stays white noise; with 1
            Brownian motion becomes about white noise, and the inverse makes smooth series of white noise.

    Raises:
        ValueError: `dim` is not negative, `smooth` is no scalar, or a value has no such axis.

    Example:
        >>> import jax.numpy as jnp
        >>> [round(abs(float(v)), 4) for v in DiscreteCosineTransform()(jnp.ones(4))]
        [2.0, 0.0, 0.0, 0.0]

    Reference: Ahmed, Natarajan and Rao (1974), Discrete cosine transform, IEEE Transactions on Computers C-23.
    """

    leaf_fields = ("smooth",)
    static_fields = ("dim",)

    def __init__(self, dim: int = -1, smooth: ArrayLike = 0.0) -> None:
        self.dim = _checked_dim("DiscreteCosineTransform", dim)
        self.smooth = as_parameter(smooth)
        if np.ndim(self.smooth) != 0:
            raise ValueError(f"DiscreteCosineTransform: smooth must be a number, but got shape {np.shape(self.smooth)}")

    def _weights(self, like: Array) -> Array:
        """`w_k`, along the axis of an array such as `like`."""
        n = like.shape[self.dim]
        log_frequency = np.log(np.arange(n) + 0.5)
        log_frequency = constant(log_frequency - log_frequency.mean(), like)
        shape = (1,) * (like.ndim + self.dim) + (n,) + (1,) * (-self.dim - 1)
        return lax.exp(jnp.asarray(self.smooth, like.dtype) * log_frequency.reshape(shape))

    def __call__(self, x: ArrayLike) -> Array:
        x = as_float(x)
        self.forward_shape(x.shape)
        y = dct(x, norm="ortho", axis=self.dim)
        return y if is_identically_zero(self.smooth) else y * self._weights(y)

    def _inverse(self, y: ArrayLike) -> Array:
        y = as_float(y)
        self.inverse_shape(y.shape)
        return idct(y if is_identically_zero(self.smooth) else y / self._weights(y), norm="ortho", axis=self.dim)
