import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppl
from ppl import distributions as dist
from ppl import handlers, plate, sample
from ppl.trace import log_density, site_log_prob

FLOAT = jnp.result_type(float)

N = dist.Normal(0.0, 1.0)
A, B = np.array([True, True, False]), np.array([True, False, False])


def run(fn, seed=0):
    return handlers.trace(handlers.seed(fn, seed)).get_trace()


@pytest.mark.parametrize(
    ("masks", "combined"),
    [
        ((), None),
        ((True,), True),
        ((False,), False),
        ((np.bool_(False),), False),
        ((True, A), A),
        ((A, True), A),
        ((A, B), A & B),
        ((A, False), False),
        ((False, A), False),
        ((True, True), True),
    ],
)
def test_masks_combine_by_and(masks, combined):
    def model():
        with plate("n", 3):
            x = sample("x", N, obs=np.ones(3, FLOAT))
            assert np.array_equal(ppl.get_mask(), combined) if isinstance(combined, np.ndarray) else ppl.get_mask() is combined
        return x

    for mask in masks:
        model = handlers.mask(model, mask=mask)
    site = run(model)["x"]
    expected = N.log_prob(jnp.ones(3)) * (1.0 if combined is None else np.asarray(combined, FLOAT))
    assert np.allclose(site_log_prob(site), expected)


def test_masked_sites_are_drawn_all_the_same():
    fn = handlers.mask(lambda: sample("x", N), mask=False)
    assert run(fn)["x"]["value"] == run(fn.fn)["x"]["value"]


def test_masked_nan_gives_no_nan_in_value_or_gradient():
    obs = np.array([1.0, np.nan, 2.0], FLOAT)

    def density(loc):
        def model():
            with plate("n", 3), handlers.mask(mask=~np.isnan(obs)):
                sample("x", dist.Normal(loc, 1.0), obs=obs)

        return log_density(handlers.trace(model).get_trace())

    value, gradient = jax.value_and_grad(density)(0.5)
    assert np.allclose(value, -0.5 * (0.25 + 2.25) - np.log(2 * np.pi))
    assert np.allclose(gradient, 2.0)


@pytest.mark.parametrize("mask", [1, None, "yes", np.ones(3), np.array([0, 1])])
def test_masks_are_boolean(mask):
    with pytest.raises(ValueError, match="must be a bool or a boolean array"):
        handlers.mask(mask=mask)


def test_a_mask_that_does_not_fit_names_the_site():
    def model():
        with plate("n", 2), handlers.mask(mask=A):
            sample("x", dist.Normal(np.zeros(2), 1.0), obs=np.ones(2))

    with pytest.raises(ValueError) as caught:
        run(model)
    assert any("'x'" in note for note in caught.value.__notes__)


def test_scales_multiply_with_each_other_and_with_subsampling():
    def model():
        ppl.param("p", 1.0)
        ppl.deterministic("d", 1.0)
        with handlers.scale(scale=2.0), plate("n", 6, subsample_size=2), handlers.scale(scale=0.5):
            sample("x", N, obs=np.zeros(2))
            ppl.param("q", 1.0)

    tr = run(handlers.scale(model, scale=10.0))
    assert {n: tr[n]["scale"] for n in ("p", "x", "q", "n")} == {"p": 10.0, "x": 30.0, "q": 30.0, "n": 20.0}
    assert "scale" not in tr["d"]


def test_scale_multiplies_the_log_density_not_the_draw():
    fn = handlers.scale(lambda: sample("x", N), scale=2.0)
    scaled, plain = run(fn), run(fn.fn)
    assert scaled["x"]["value"] == plain["x"]["value"]
    assert np.allclose(log_density(scaled), 2 * log_density(plain))


@pytest.mark.parametrize("scale", [0.0, -1.0, np.array([1.0, -1.0]), np.nan])
def test_scale_is_positive(scale):
    with pytest.raises(ValueError, match="must be positive"):
        handlers.scale(scale=scale)


def test_traced_scales_and_masks_are_accepted():
    @jax.jit
    def density(scale, mask):
        with handlers.trace() as tr, handlers.scale(scale=scale), handlers.mask(mask=mask), plate("n", 3):
            sample("x", N, obs=np.ones(3, FLOAT))
        return log_density(tr)

    assert np.allclose(density(2.0, jnp.array(B)), 2 * N.log_prob(1.0))
