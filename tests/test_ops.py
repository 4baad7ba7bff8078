import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ppl import distributions as dist
from ppl import handlers, plate, sample
from ppl.ops.indexing import Vindex, vindex
from ppl.ops.provenance import eval_provenance
from ppl.ops.pytree import PytreeTrace
from ppl.primitives import deterministic

FLOAT = jnp.result_type(float)

X = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
I, J = np.array([0, 1, 1]), np.array([[2], [0]])  # noqa: E741


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (1, X[1]),
        (I, X[I]),
        (slice(1, 2), X[1:2]),
        ((1,), X[1]),
        ((I, J), X[I, J]),
        ((slice(None), 1), X[:, 1]),
        ((I, slice(None), slice(None), 3), X[I, :, :, 3]),
        ((I, slice(None), J), X.transpose(0, 2, 1, 3)[I, J]),
        ((..., 2), X[..., 2]),
        ((..., 1, slice(None)), X[:, :, 1]),
        ((...,), X),
        ((), X),
    ],
)
def test_vindex_keeps_batch_left_and_slices_right(args, expected):
    assert np.array_equal(vindex(X, args), expected)


def test_vindex_broadcasts_indices_against_batch_dimensions():
    x = np.arange(24.0).reshape(2, 3, 4)
    i = np.array([0, 3, 1])
    assert np.array_equal(Vindex(x)[..., i], x[:, np.arange(3), i])
    wide = i.reshape(3, 1, 1) * np.ones((1, 2, 3), int)
    found = Vindex(x)[..., wide]
    assert found.shape == (3, 2, 3)
    assert all(found[a, b, c] == x[b, c, i[a]] for a in range(3) for b in range(2) for c in range(3))
    found = Vindex(x)[np.array([1, 0]), :, np.array([[2], [3], [0]])]
    assert found.shape == (3, 2, 3)
    assert np.array_equal(found[2, 0], x[1, :, 0])


@pytest.mark.parametrize("args", [(0, slice(1, 2)), (0, ...), (..., ...)])
def test_vindex_refuses_what_has_no_meaning(args):
    with pytest.raises(NotImplementedError, match="Vindex"):
        vindex(X, args)
    with pytest.raises(ValueError, match="5 indices for an array of 4 dimensions"):
        vindex(X, (0,) * 5)


def looped(x, y, z):
    carry, ys = lax.scan(lambda c, t: ((c[1], x * 1.0), t * z), (y, y), jnp.arange(3.0))
    return {"carry": carry[0], "ys": ys}


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (lambda x, y, z: x + y, {"x", "y"}),
        (lambda x, y, z: jnp.zeros(3), set()),
        (lambda x, y, z: jax.jit(lambda a, b: (a, b))(x, y)[1], {"y"}),
        (lambda x, y, z: lax.cond(x > 0, lambda: y, lambda: 1.0), {"x", "y"}),
        (lambda x, y, z: lax.while_loop(lambda c: c[0] < z, lambda c: (c[0] + 1, c[1] * x), (0.0, y))[1], {"x", "y", "z"}),
        (lambda x, y, z: looped(x, y, z)["carry"], {"x", "y"}),
        (lambda x, y, z: looped(x, y, z)["ys"], {"z"}),
        (lambda x, y, z: jax.nn.relu(x), {"x"}),
    ],
)
def test_provenance_follows_programs(fn, expected):
    assert eval_provenance(fn, x=1.0, y=jax.ShapeDtypeStruct((), FLOAT), z=3.0) == expected


def model(scale=1.0):
    with plate("n", 3), handlers.scale(scale=scale):
        x = sample("x", dist.Normal(jnp.zeros(3), 1.0), infer={"hint": "kept", "array": jnp.ones(2)})
    return deterministic("d", 2 * x)


def test_a_trace_passes_out_of_jit_and_vmap():
    plain = handlers.trace(handlers.seed(model, 0)).get_trace()
    jitted = jax.jit(lambda s: PytreeTrace(handlers.trace(handlers.seed(model, 0)).get_trace(s)))(2.0).trace
    assert list(jitted) == list(plain)
    for name, site in plain.items():
        assert set(jitted[name]) == set(site)
        assert jitted[name]["cond_indep_stack"] == site["cond_indep_stack"]
        assert np.allclose(jitted[name]["value"], site["value"])
    assert jitted["x"]["scale"] == 2.0
    assert jitted["x"]["infer"]["hint"] == "kept"
    assert jitted["x"]["infer"]["array"].tolist() == [1.0, 1.0]
    keys = jax.random.split(jax.random.key(0), 5)
    mapped = jax.vmap(lambda key: PytreeTrace(handlers.trace(handlers.seed(model, key)).get_trace()))(keys).trace
    assert mapped["x"]["value"].shape == (5, 3)
    assert jnp.allclose(mapped["d"]["value"], 2 * mapped["x"]["value"])
