import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ppl
from ppl import distributions as dist
from ppl import handlers, plate, sample
from ppl import trace as questions
from ppl.distributions import constraints

FLOAT = jnp.result_type(float)

N = dist.Normal(0.0, 1.0)


def model(y=None):
    ppl.param("p", 1.0)
    mu = sample("mu", N)
    ppl.deterministic("d", 2 * mu)
    with plate("row", 3, dim=-2), plate("column", 8, subsample_size=2):
        z = sample("z", dist.Normal(mu, 1.0))
        with handlers.mask(mask=np.array([True, False])):
            sample("y", dist.Normal(z, 2.0), obs=np.ones((3, 2), FLOAT) if y is None else y)
    with handlers.scale(scale=0.5):
        ppl.factor("f", 3.0)


@pytest.fixture(scope="module")
def tr():
    return handlers.trace(handlers.seed(model, 0)).get_trace()


def test_selectors(tr):
    assert list(questions.sample_sites(tr)) == ["mu", "z", "y", "f"]
    assert list(questions.latent_sites(tr)) == ["mu", "z"]
    assert list(questions.observed_sites(tr)) == ["y", "f"]
    assert list(questions.deterministic_sites(tr)) == ["d"]
    assert list(questions.param_sites(tr)) == ["p"]
    assert [f.name for f in questions.plates_of(tr["z"])] == ["row", "column"]
    assert questions.plates_of(tr["d"]) == ()
    assert {n: f.size for n, f in questions.plate_frames(tr).items()} == {"row": 3, "column": 2}
    assert list(questions.subsampled_plates(tr)) == ["column"]
    assert questions.max_plate_nesting(tr) == 2


def test_densities_are_masked_and_scaled(tr):
    mu, z = np.asarray(tr["mu"]["value"]), np.asarray(tr["z"]["value"])

    def normal(x, loc, scale):
        return -0.5 * ((x - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)

    terms = {
        "mu": normal(mu, 0, 1),
        "z": 4 * normal(z, mu, 1),
        "y": 4 * normal(np.ones((3, 2)), z, 2) * np.array([1, 0]),
        "f": 1.5,
    }
    for name, term in terms.items():
        log_prob = questions.site_log_prob(tr[name])
        assert log_prob.shape == np.shape(term)
        assert np.allclose(log_prob, term, rtol=1e-5)
    assert np.allclose(questions.log_density(tr), sum(np.sum(t) for t in terms.values()), rtol=1e-5)


def test_log_density_of_nothing_is_zero():
    assert questions.log_density({}) == 0.0


def test_plain_sites_cost_their_density_and_one_sum():
    site = handlers.trace(lambda: sample("x", N, obs=np.ones(3, FLOAT))).get_trace()
    site["x"]["value"] = None

    def density(x):
        return questions.log_density({"x": {**site["x"], "value": x}})

    def bare(x):
        return jax.lax.reduce_sum(N.log_prob(x), (0,))

    x = jnp.ones(3)
    count = [len(jax.make_jaxpr(f)(x).jaxpr.eqns) for f in (density, bare)]
    assert count[0] == count[1]


def test_shape_mistakes_are_named_outside_plates_too():
    tr = handlers.trace(lambda: sample("x", dist.Normal(np.zeros(5), 1.0), obs=np.zeros(3))).get_trace()
    with pytest.raises(
        ValueError, match=r"site 'x': value of shape \(3,\) does not fit batch shape \(5,\); pass .*\.to_event\(1\)"
    ):
        questions.log_density(tr)


class Summing(dist.Distribution):
    """A wrong log_prob: it sums over the batch."""

    arg_constraints = {"loc": constraints.real}
    support = constraints.real

    def __init__(self, loc):
        self.loc = loc
        super().__init__(np.shape(loc))

    def log_prob(self, value):
        return -jnp.sum((value - self.loc) ** 2)


def test_a_log_prob_of_the_wrong_shape_is_named():
    def summing():
        with plate("n", 3):
            sample("x", Summing(np.zeros(3)), obs=np.ones(3))

    tr = handlers.trace(summing).get_trace()
    with pytest.raises(ValueError, match=r"site 'x': log_prob of shape \(\).*\(3,\).*'n' \(size 3, dim -1\).*to_event"):
        questions.site_log_prob(tr["x"])


@pytest.mark.parametrize(
    ("fn", "value", "in_plate", "missing"),
    [
        (dist.Normal(np.zeros((4, 3)), 1.0), np.zeros((4, 3)), True, (-2,)),
        (dist.Normal(np.zeros((1, 3)), 1.0), np.zeros((1, 3)), True, ()),
        (N, np.zeros((4, 3)), True, (-2,)),
        (N, np.zeros(4), False, (-1,)),
        (dist.Normal(np.zeros((3, 4)), 1.0).to_event(1), np.zeros((3, 4)), True, ()),
    ],
)
def test_batch_dims_without_a_plate(fn, value, in_plate, missing):
    def statement():
        with plate("n", 3) if in_plate else handlers.mask():
            sample("x", fn, obs=value)

    tr = handlers.trace(statement).get_trace()
    assert questions.missing_plates(tr["x"]) == missing
    if not missing:
        questions.check_plates(tr, strict=True)
        return
    with pytest.raises(ValueError, match=rf"Missing a plate statement for batch dimension {missing[0]} at site 'x'"):
        questions.check_plates(tr, strict=True)
    if in_plate:
        with pytest.warns(UserWarning, match=r"Missing a plate statement.*'n' \(size 3, dim -1\)"):
            questions.check_plates(tr)
    else:
        questions.check_plates(tr)


def test_questions_leave_the_trace_as_it_is(tr):
    before = {name: dict(site) for name, site in tr.items()}
    questions.log_density(tr)
    questions.check_plates(tr)
    assert all(tr[name][field] is content for name, site in before.items() for field, content in site.items())
