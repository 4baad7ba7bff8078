"""Fourier, cosine and Haar transforms: NumPy's and SciPy's numbers, determinants in free coordinates, orthonormal matrices."""

import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

import ppl.distributions as dist
from ppl.distributions.transforms import (
    DiscreteCosineTransform,
    HaarTransform,
    PackRealFastFourierCoefficientsTransform,
    RealFastFourierTransform,
)
from ppl.distributions.transforms.frequencies import _haar_forward, _haar_inverse

LENGTHS = [(1,), (2,), (5,), (6,), (3, 4), (4, 5), (2, 3, 4)]
ROOT_HALF = np.sqrt(0.5)


pytestmark = pytest.mark.usefixtures("strict")


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def free_parts(lengths: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Where the flat coefficients have a real part, and an imaginary part, that no coefficient before them determines."""
    indices = np.indices((*lengths[:-1], lengths[-1] // 2 + 1)).reshape(len(lengths), -1).T
    real, imaginary, seen = [], [], set()
    for flat, k in enumerate(indices.tolist()):
        mirror = tuple(-i % n for i, n in zip(k, lengths))
        if mirror in seen:
            continue
        seen.add(tuple(k))
        real.append(flat)
        if mirror != tuple(k):
            imaginary.append(flat)
    return np.asarray(real, int), np.asarray(imaginary, int)


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_fourier_transform(lengths: tuple[int, ...]) -> None:
    ndims, size = len(lengths), int(np.prod(lengths))
    real, imaginary = free_parts(lengths)
    assert len(real) + len(imaginary) == size
    x = normal(2, *lengths)
    with jax.enable_x64(True):
        t = RealFastFourierTransform(lengths, ndims)

        def coordinates(x: Any) -> Any:
            y = t(x).reshape(-1)
            return jnp.concatenate([jnp.real(y)[real], jnp.imag(y)[imaginary]])

        @jax.jit
        def probe(x: Any) -> Any:
            y = t(x)
            jac = jax.jacfwd(coordinates)(x[0]).reshape(size, size)
            log_dets = t.log_abs_det_jacobian(x, y), t.inv.log_abs_det_jacobian(y, x), jnp.linalg.slogdet(jac)[1]
            return y, t.inv(y), jax.vmap(t)(x), log_dets

        y, back, mapped, (log_det, inverse, expected) = probe(x)
        assert y.dtype == np.complex128 and back.dtype == np.float64
        np.testing.assert_allclose(y, np.fft.rfftn(x, axes=range(-ndims, 0)), atol=1e-10)
        np.testing.assert_allclose(back, x, atol=1e-12)
        np.testing.assert_allclose(mapped, y, atol=1e-10)
        np.testing.assert_allclose(log_det, np.full(2, expected), atol=1e-10)
        np.testing.assert_allclose(inverse, -log_det, atol=1e-12)
        assert t.forward_shape(x.shape) == y.shape and t.inverse_shape(y.shape) == x.shape
        assert t.domain.event_dim == t.codomain.event_dim == ndims
        assert np.asarray(t.codomain(np.asarray(y))).all()
        single = jax.eval_shape(
            lambda x: (t(x), t.inv(t(x)), t.log_abs_det_jacobian(x, t(x))), jax.ShapeDtypeStruct(lengths, np.float32)
        )
        assert [leaf.dtype for leaf in single] == [np.complex64, np.float32, np.float32]


def test_inverse_takes_the_length_to_be_even_unless_told() -> None:
    for make in (RealFastFourierTransform, PackRealFastFourierCoefficientsTransform):
        assert make().inverse_shape((7, 3)) == (7, 4) and make((5,)).inverse_shape((7, 3)) == (7, 5)
        assert make().inverse_shape((1,)) == (1,)
        assert make().forward_shape((7, 5)) == make().forward_shape((7, 4)) == (7, 3)
    x = normal(6).astype(np.float32)
    np.testing.assert_allclose(RealFastFourierTransform().inv(RealFastFourierTransform()(x)), x, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_packed_coefficients_are_those_of_real_vectors(n: int) -> None:
    kept = n // 2 + 1
    x = normal(3, n)
    with jax.enable_x64(True):
        pack, fourier = PackRealFastFourierCoefficientsTransform((n,)), RealFastFourierTransform((n,))
        y, back, again = jax.jit(lambda x: (pack(x), pack.inv(pack(x)), fourier(fourier.inv(pack(x)))))(x)
        np.testing.assert_array_equal(back, x)
        np.testing.assert_allclose(again, y, atol=1e-12)
        np.testing.assert_array_equal(np.real(y), x[:, :kept])
        np.testing.assert_array_equal(np.imag(y)[:, 1 : n - kept + 1], x[:, kept:])
        assert y.dtype == np.complex128 and y.shape == pack.forward_shape(x.shape) and pack.inverse_shape(y.shape) == x.shape
        np.testing.assert_array_equal(pack.log_abs_det_jacobian(x, y), np.zeros(3))
        np.testing.assert_array_equal(jax.vmap(pack)(x), y)
    assert pack.domain == dist.constraints.real_vector and pack.codomain.event_dim == 1
    assert pack(x.astype(np.float32)).dtype == np.complex64


@pytest.mark.parametrize("n", [5, 6])
def test_independent_coefficients_make_a_circulant_normal(n: int) -> None:
    spectrum = np.linspace(1.0, 2.0, n // 2 + 1)
    n_imaginary = (n - 1) // 2
    variance = np.concatenate([n * spectrum, n * spectrum[1 : 1 + n_imaginary] / 2])
    variance[1 : 1 + n_imaginary] /= 2
    x = normal(4, n)
    with jax.enable_x64(True):
        pack, fourier = PackRealFastFourierCoefficientsTransform((n,)), RealFastFourierTransform((n,))
        law = dist.TransformedDistribution(dist.Normal(np.zeros(n), np.sqrt(variance)).to_event(1), [pack, fourier.inv])
        expected = dist.CirculantNormal(np.zeros(n), covariance_rfft=spectrum)
        assert law.event_shape == (n,)
        np.testing.assert_allclose(law.log_prob(x), expected.log_prob(x), atol=1e-10)


BASES: dict[str, Callable[[], Any]] = {
    "haar": HaarTransform,
    "haar_flipped": lambda: HaarTransform(flip=True),
    "cosine": DiscreteCosineTransform,
}


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("name", BASES)
def test_bases_are_orthonormal(name: str, n: int) -> None:
    t = BASES[name]()
    x = normal(3, n)
    with jax.enable_x64(True):
        matrix, y, back = jax.jit(lambda x: (t(jnp.eye(n)), t(x), t.inv(t(x))))(x)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(n), atol=1e-12)
        np.testing.assert_allclose(x @ matrix, y, atol=1e-12)
        np.testing.assert_allclose(back, x, atol=1e-12)


@pytest.mark.parametrize("make", [HaarTransform, DiscreteCosineTransform], ids=lambda make: make.__name__)
def test_axes_are_counted_from_the_right(make: Any) -> None:
    x = normal(4, 5, 3).astype(np.float32)
    t = make(dim=-2)
    y = t(x)
    np.testing.assert_allclose(y, np.swapaxes(make()(np.swapaxes(x, -1, -2)), -1, -2), atol=1e-6)
    np.testing.assert_allclose(jax.vmap(t)(x), y, atol=1e-6)
    np.testing.assert_allclose(t.inv(y), x, atol=1e-5)
    assert y.dtype == t.inv(y).dtype == np.float32
    log_det = t.log_abs_det_jacobian(x, y)
    assert log_det.shape == (4,) and log_det.dtype == np.float32 and not log_det.any()
    assert t.domain == t.codomain == dist.constraints.real_matrix
    assert t.forward_shape(x.shape) == t.inverse_shape(x.shape) == y.shape


def test_haar_orders_details_from_coarse_to_fine() -> None:
    r = ROOT_HALF
    expected = [[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, -0.5, -0.5], [r, -r, 0.0, 0.0], [0.0, 0.0, r, -r]]
    np.testing.assert_allclose(_haar_forward(np.eye(4, dtype=np.float32)).T, expected, atol=1e-6)
    np.testing.assert_allclose(_haar_forward(np.array([1.0, 2.0, 5.0], np.float32)), [3 * r, -r, 5.0], atol=1e-6)
    x = normal(2, 7).astype(np.float32)
    np.testing.assert_allclose(_haar_inverse(_haar_forward(x)), x, atol=1e-6)
    np.testing.assert_allclose(HaarTransform(flip=True)(x), _haar_forward(x[:, ::-1]), atol=1e-6)


@pytest.mark.parametrize("n", [1, 4, 5])
def test_cosine_transform_is_that_of_scipy(n: int) -> None:
    x = normal(3, n)
    expected = scipy.fft.dct(x, norm="ortho")
    with jax.enable_x64(True):
        np.testing.assert_allclose(DiscreteCosineTransform()(x), expected, atol=1e-12)
        frequency = np.arange(n) + 0.5
        weights = np.exp(1.5 * (np.log(frequency) - np.log(frequency).mean()))
        t = DiscreteCosineTransform(smooth=1.5)
        np.testing.assert_allclose(t(x), weights * expected, atol=1e-12)
        np.testing.assert_allclose(t.inv(t(x)), x, atol=1e-12)


def test_smoothing_makes_brownian_motion_about_white() -> None:
    n = 16
    steps = np.arange(1, n + 1)
    covariance = np.minimum.outer(steps, steps).astype(float)

    def spread(smooth: float) -> float:
        matrix = np.asarray(DiscreteCosineTransform(smooth=smooth)(np.eye(n, dtype=np.float32)))
        variance = np.einsum("ji,jk,ki->i", matrix, covariance, matrix)
        return variance.max() / variance.min()

    assert spread(0.0) > 50 and spread(1.0) < 4


def test_smoothing_can_be_learned() -> None:
    x = normal(5).astype(np.float32)

    def last(t: DiscreteCosineTransform) -> Any:
        return t(x)[-1]

    value, gradient = jax.jit(jax.value_and_grad(last))(DiscreteCosineTransform(smooth=0.5))
    np.testing.assert_allclose(value, DiscreteCosineTransform(smooth=0.5)(x)[-1], rtol=1e-5)
    frequency = np.log(np.arange(5) + 0.5)
    np.testing.assert_allclose(gradient.smooth, value * (frequency[-1] - frequency.mean()), rtol=1e-5)


TRANSFORMS: dict[str, tuple[Callable[[], Any], Any]] = {
    "fourier": (lambda: RealFastFourierTransform((3, 5), 2), RealFastFourierTransform((3, 4), 2)),
    "fourier_of_any_length": (RealFastFourierTransform, RealFastFourierTransform(None, 2)),
    "pack": (lambda: PackRealFastFourierCoefficientsTransform((5,)), PackRealFastFourierCoefficientsTransform()),
    "haar": (HaarTransform, HaarTransform(flip=True)),
    "haar_axis": (lambda: HaarTransform(-2), HaarTransform()),
    "cosine": (lambda: DiscreteCosineTransform(smooth=0.5), DiscreteCosineTransform()),
    "cosine_axis": (lambda: DiscreteCosineTransform(-2), DiscreteCosineTransform()),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_structure(name: str) -> None:
    make, other = TRANSFORMS[name]
    t = make()
    leaves, treedef = jax.tree_util.tree_flatten(t)
    assert t == make() == pickle.loads(pickle.dumps(t)) == jax.tree_util.tree_unflatten(treedef, leaves)
    assert t != other and t != t.inv and t.inv.inv is t and t.inv == make().inv
    assert t.inv.domain == t.codomain and t.inv.codomain == t.domain
    assert repr(t).startswith(type(t).__name__) and hash(t) == hash(make())
    hash(treedef)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: RealFastFourierTransform(5), TypeError, "transform_shape must be a tuple of integers, such as .* got 5"),
        (lambda: RealFastFourierTransform((2.5,)), TypeError, "transform_shape must be a tuple of integers"),
        (lambda: RealFastFourierTransform((2, 3)), ValueError, r"must hold 1 length\(s\) >= 1, .* got \(2, 3\)"),
        (lambda: RealFastFourierTransform((0,)), ValueError, r"must hold 1 length\(s\) >= 1"),
        (lambda: RealFastFourierTransform(None, 0), ValueError, "transform_ndims must be an integer >= 1, but got 0"),
        (lambda: RealFastFourierTransform(None, 2)(ones(3)), ValueError, r"at least 2 dimension.* got shape \(3,\)"),
        (lambda: RealFastFourierTransform()(ones(3, 0)), ValueError, r"none .* empty, but got shape \(3, 0\)"),
        (lambda: RealFastFourierTransform((5,))(ones(2, 4)), ValueError, r"RealFast.*transform_shape=\(5,\) .* \(2, 4\)"),
        (lambda: RealFastFourierTransform((5,)).inv(ones(2, 4)), ValueError, r"\.inv .* coefficients of shape \(3,\) .* \(2, 4\)"),
        (lambda: RealFastFourierTransform((5,)).log_abs_det_jacobian(ones(4), ones(3)), ValueError, r"got shape \(4,\)"),
        (lambda: PackRealFastFourierCoefficientsTransform((5, 5)), ValueError, r"PackReal.* must hold 1 length\(s\)"),
        (lambda: PackRealFastFourierCoefficientsTransform((5,))(ones(6)), ValueError, r"PackReal.*\(5,\) .* shape \(6,\)"),
        (lambda: PackRealFastFourierCoefficientsTransform((5,)).inv(ones(4)), ValueError, r"PackReal.*\.inv .*\(3,\) .* \(4,\)"),
        (lambda: PackRealFastFourierCoefficientsTransform()(ones()), ValueError, r"PackReal.* got shape \(\)"),
        (lambda: HaarTransform(0), ValueError, "HaarTransform: dim must be negative, .* got dim=0"),
        (lambda: HaarTransform("x"), TypeError, "HaarTransform: dim must be an integer, but got 'x'"),
        (lambda: HaarTransform(-2)(ones(3)), ValueError, r"HaarTransform\(dim=-2, .* axis -2, but got shape \(3,\)"),
        (lambda: HaarTransform().inv(ones(3, 0)), ValueError, r"HaarTransform.* axis -1, but got shape \(3, 0\)"),
        (lambda: DiscreteCosineTransform(1), ValueError, "DiscreteCosineTransform: dim must be negative"),
        (lambda: DiscreteCosineTransform(smooth=np.ones(2)), ValueError, r"smooth must be a number, but got shape \(2,\)"),
        (lambda: DiscreteCosineTransform()(ones()), ValueError, r"DiscreteCosine.* got shape \(\)"),
    ],
)
def test_errors_name_the_argument(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
