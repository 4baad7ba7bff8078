"""Flows: determinants against Jacobians, inverses in any order of the entries, clipped scales that can still be learned."""

import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppl.distributions as dist
from ppl.distributions.flows import BlockNeuralAutoregressiveTransform, InverseAutoregressiveTransform

D = 4
LOWER = np.tril(np.random.default_rng(0).normal(size=(D, D)), -1)
ORDER = np.array([2, 0, 3, 1], np.int32)


pytestmark = pytest.mark.usefixtures("strict")


def masked(x: Any) -> tuple[Any, Any]:
    """Mean and log scale that depend on earlier entries only."""
    before = x @ jnp.asarray(LOWER.T, x.dtype)
    return jnp.tanh(before), 0.5 * before


def reordered(x: Any) -> tuple[Any, Any]:
    """The same for another order of the entries."""
    back = np.argsort(ORDER).astype(np.int32)
    mean, log_scale = masked(x[..., ORDER])
    return mean[..., back], log_scale[..., back]


def block(x: Any) -> tuple[Any, Any]:
    """Entries that increase in their own input and depend on earlier ones, with the logarithms of their slopes."""
    bent = jnp.tanh(x)
    return x + 0.5 * bent + bent @ jnp.asarray(LOWER.T, x.dtype), jnp.log1p(0.5 * (1.0 - bent * bent))


FLOWS = {
    "inverse_autoregressive": lambda: InverseAutoregressiveTransform(masked),
    "inverse_autoregressive_reordered": lambda: InverseAutoregressiveTransform(reordered, -1.0, 1.0),
    "block_neural": lambda: BlockNeuralAutoregressiveTransform(block),
}


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape)


@pytest.mark.parametrize("name", FLOWS)
def test_log_determinant_and_inverse(name: str) -> None:
    t = FLOWS[name]()
    has_inverse = name != "block_neural"
    x = normal(3, D)
    with jax.enable_x64(True):

        @jax.jit
        def probe(x: Any) -> Any:
            y, intermediates = t.call_with_intermediates(x)
            log_dets = t.log_abs_det_jacobian(x, y), t.log_abs_det_jacobian(x, y, intermediates)
            expected = jax.vmap(lambda x: jnp.linalg.slogdet(jax.jacfwd(t)(x))[1])(x)
            back = (t.inv(y), t.inv.log_abs_det_jacobian(y, x)) if has_inverse else ()
            return y, t(x), jax.vmap(t)(x), log_dets, expected, back

        y, called, mapped, (log_det, log_det_with), expected, back = probe(x)
        np.testing.assert_allclose(called, y, atol=1e-12)
        np.testing.assert_allclose(mapped, y, atol=1e-12)
        np.testing.assert_allclose(log_det, expected, atol=1e-10)
        np.testing.assert_allclose(log_det_with, expected, atol=1e-10)
        assert log_det.shape == (3,) and y.dtype == np.float64
        assert t.forward_shape(x.shape) == y.shape and t.inverse_shape(y.shape) == x.shape
        if has_inverse:
            np.testing.assert_allclose(back[0], x, atol=1e-10)
            np.testing.assert_allclose(back[1], -log_det, atol=1e-10)
    single = jax.eval_shape(lambda x: (t(x), t.log_abs_det_jacobian(x, t(x))), jax.ShapeDtypeStruct((D,), np.float32))
    assert {leaf.dtype for leaf in single} == {np.dtype(np.float32)}
    assert t.domain == t.codomain == dist.constraints.real_vector


@pytest.mark.parametrize("name", FLOWS)
def test_intermediates_replace_the_network(name: str) -> None:
    t = FLOWS[name]()
    x = normal(D).astype(np.float32)
    assert t.log_abs_det_jacobian(x, x, jnp.ones(D)) == D


@pytest.mark.parametrize(("log_scale", "expected"), [(1.0, 1.0), (10.0, 3.0), (-10.0, -5.0)])
def test_clipped_scales_keep_their_gradient(log_scale: float, expected: float) -> None:
    x = normal(D).astype(np.float32)

    @jax.jit
    def log_det(log_scale: Any) -> Any:
        t = InverseAutoregressiveTransform(lambda x: (jnp.zeros_like(x), jnp.full_like(x, log_scale)))
        return t.log_abs_det_jacobian(x, x)

    value, gradient = jax.value_and_grad(log_det)(log_scale)
    np.testing.assert_allclose([value, gradient], [D * expected, D], rtol=1e-6)


def test_inverse_survives_what_grows_on_the_way() -> None:
    """For cumulative sums the rounds before the last ones reach binomial coefficients, here above the largest number."""
    d = 150
    before = np.tri(d, k=-1, dtype=np.float32)
    t = InverseAutoregressiveTransform(lambda x: (x @ before.T, jnp.zeros_like(x)))
    x = normal(d).astype(np.float32)
    np.testing.assert_allclose(jax.jit(lambda x: t.inv(t(x)))(x), x, atol=1e-3)


def test_inverse_is_differentiable() -> None:
    t = InverseAutoregressiveTransform(masked)
    y = normal(D)
    with jax.enable_x64(True):
        forward, backward = jax.jit(lambda y: (jax.jacfwd(t)(t.inv(y)), jax.jacrev(t.inv)(y)))(y)
        np.testing.assert_allclose(forward @ backward, np.eye(D), atol=1e-10)


def test_flows_make_distributions() -> None:
    law = dist.TransformedDistribution(dist.Normal(np.zeros(D, np.float32), 1.0).to_event(1), FLOWS["inverse_autoregressive"]())
    y, intermediates = law.sample_with_intermediates(jax.random.key(0), (5,))
    assert law.event_shape == (D,) and y.shape == (5, D)
    np.testing.assert_allclose(law.log_prob(y, intermediates), law.log_prob(y), rtol=1e-4)


@pytest.mark.parametrize("name", FLOWS)
def test_structure(name: str) -> None:
    t = FLOWS[name]()
    leaves, treedef = jax.tree_util.tree_flatten(t)
    assert t == FLOWS[name]() == pickle.loads(pickle.dumps(t)) == jax.tree_util.tree_unflatten(treedef, leaves)
    assert t.inv.inv is t and t != t.inv and not leaves
    assert InverseAutoregressiveTransform(masked) != InverseAutoregressiveTransform(masked, -4.0)
    assert InverseAutoregressiveTransform(masked) != InverseAutoregressiveTransform(reordered)
    x = normal(D).astype(np.float32)
    np.testing.assert_allclose(jax.jit(lambda t, x: t(x))(t, x), t(x), rtol=1e-5, atol=1e-6)


X = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: InverseAutoregressiveTransform(3), TypeError, "autoregressive_nn must be a function .* got 3"),
        (lambda: InverseAutoregressiveTransform(masked, 2.0, 2.0), ValueError, "min_clip must be less .* got 2.0 and 2.0"),
        (
            lambda: InverseAutoregressiveTransform(lambda x: x)(X),
            ValueError,
            r"nn must return a pair .* \(3,\), but returned a value",
        ),
        (lambda: InverseAutoregressiveTransform(lambda x: (x, x[:2]))(X), ValueError, r"returned \[\(3,\), \(2,\)\]"),
        (lambda: InverseAutoregressiveTransform(masked)(X[0]), ValueError, "InverseAutoregressiveTransform needs vectors"),
        (lambda: InverseAutoregressiveTransform(masked).inv(X[0]), ValueError, r"Transform\.inv needs vectors"),
        (lambda: BlockNeuralAutoregressiveTransform(None), TypeError, "bn_arn must be a function .* got None"),
        (lambda: BlockNeuralAutoregressiveTransform(lambda x: (x,))(X), ValueError, r"bn_arn must return a pair .* \[\(3,\)\]"),
        (lambda: BlockNeuralAutoregressiveTransform(block).inv(X), NotImplementedError, "no inverse in closed form"),
    ],
)
def test_errors_name_the_argument(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
