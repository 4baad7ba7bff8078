"""Divergences in closed form against quadrature, sums and formulas written another way; dispatch on both types."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats as st

import ppl.distributions as dist
from ppl.distributions.kl import kl_divergence

RNG = np.random.default_rng(0)
COV = np.array([[1.0, 0.3], [0.3, 0.5]])
ROW = np.array([2.0, 0.7, 0.2, 0.2, 0.7])


pytestmark = pytest.mark.usefixtures("float64_and_strict")


def by_quadrature(p: Any, q: Any, low: float, high: float) -> float:
    """`int p (log p - log q)` of SciPy distributions."""
    return scipy.integrate.quad(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), low, high, epsabs=1e-12, limit=200)[0]


def gamma(concentration: float, rate: float) -> Any:
    return st.gamma(concentration, scale=1 / rate)


# three settings of the parameters of both laws, which SciPy takes by the functions at the end
SCALARS = [
    (
        dist.Normal,
        dist.Normal,
        ([0.3, 2.0, -5.0], [0.7, 2.0, 0.1]),
        ([-0.5, 2.0, -5.2], [1.2, 0.5, 0.3]),
        st.norm,
        st.norm,
    ),
    (dist.Beta, dist.Beta, ([2.0, 0.7, 30.0], [3.5, 1.0, 9.0]), ([1.5, 3.0, 20.0], [4.0, 0.6, 8.0]), st.beta, st.beta),
    (dist.Gamma, dist.Gamma, ([2.0, 0.7, 60.0], [3.0, 1.0, 9.0]), ([1.5, 3.0, 50.0], [0.5, 0.6, 8.0]), gamma, gamma),
    (
        dist.Weibull,
        dist.Gamma,
        ([1.5, 0.2, 30.0], [2.0, 1.0, 5.0]),
        ([1.7, 0.8, 20.0], [0.8, 3.0, 0.7]),
        lambda scale, concentration: st.weibull_min(concentration, scale=scale),
        gamma,
    ),
    (dist.Chi2, dist.Gamma, ([3.0, 1.5, 20.0],), ([1.5, 2.0, 9.0], [1.0, 0.6, 0.5]), st.chi2, gamma),
]


@pytest.mark.parametrize(("p", "q", "p_params", "q_params", "p_ref", "q_ref"), SCALARS, ids=[p.__name__ for p, *_ in SCALARS])
def test_scalar_pairs(p: Any, q: Any, p_params: Any, q_params: Any, p_ref: Any, q_ref: Any) -> None:
    """Three settings against quadrature, in the order of the arguments; and nothing from itself."""
    found = kl_divergence(p(*map(np.array, p_params)), q(*map(np.array, q_params)))
    for i in range(3):
        laws = p_ref(*(x[i] for x in p_params)), q_ref(*(x[i] for x in q_params))
        np.testing.assert_allclose(found[i], by_quadrature(*laws, *laws[0].support()), rtol=1e-7)
    if p is q:
        np.testing.assert_allclose(kl_divergence(p(*map(np.array, p_params)), p(*map(np.array, p_params))), 0, atol=1e-12)


MEANS = np.array([0.3, -1.0]), np.array([-0.2, 0.4])
CONCENTRATIONS = np.array([1.5, 2.0, 0.7]), np.array([3.0, 0.5, 2.0])
CIRCULANT = np.stack([np.roll(ROW, i) for i in range(5)])
VECTORS = {
    "MultivariateNormal": (
        (dist.MultivariateNormal(MEANS[0], covariance_matrix=COV), dist.MultivariateNormal(MEANS[1], precision_matrix=COV)),
        (st.multivariate_normal(MEANS[0], COV), st.multivariate_normal(MEANS[1], np.linalg.inv(COV))),
    ),
    "Dirichlet": (
        (dist.Dirichlet(CONCENTRATIONS[0]), dist.Dirichlet(CONCENTRATIONS[1])),
        (st.dirichlet(CONCENTRATIONS[0]), st.dirichlet(CONCENTRATIONS[1])),
    ),
    "Independent-CirculantNormal": (
        (dist.Normal(np.arange(5.0), 0.7).to_event(1), dist.CirculantNormal(np.ones(5), covariance_row=ROW)),
        (st.multivariate_normal(np.arange(5.0), 0.49 * np.eye(5)), st.multivariate_normal(np.ones(5), CIRCULANT)),
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vector_pairs_by_draws(name: str) -> None:
    """Against the mean of `log p - log q` over draws of SciPy; a two-sided false alarm of 6e-7 each."""
    pair, (p, q) = VECTORS[name]
    x = p.rvs(20_000, random_state=0)
    points = x.T if name == "Dirichlet" else x
    ratio = p.logpdf(points) - q.logpdf(points)
    assert abs(ratio.mean() - kl_divergence(*pair)) < 5 * ratio.std() / len(x) ** 0.5
    np.testing.assert_allclose(kl_divergence(pair[0], pair[0]) if "Circulant" not in name else 0.0, 0.0, atol=1e-12)


def test_every_pair_is_compared_here() -> None:
    """The pairs with a rule are those above, those of the wrappers, and those with a test of their own below."""
    scalars = {(p, q) for p, q, *_ in SCALARS if p is not dist.Chi2}  # which goes by the rule of Gamma
    vectors = {tuple(type(law) for law in pair) for pair, _ in VECTORS.values()}
    own = {(dist.Kumaraswamy, dist.Beta), (dist.CategoricalProbs, dist.CategoricalProbs)}
    wrappers = {
        (dist.Delta, dist.Distribution),
        (dist.Independent, dist.Independent),
        (dist.ExpandedDistribution, dist.Distribution),
        (dist.Distribution, dist.ExpandedDistribution),
        (dist.MaskedDistribution, dist.MaskedDistribution),
    }
    rules = {pair for pair in kl_divergence._rules if all(kind.__module__.startswith("ppl.") for kind in pair)}
    assert rules == scalars | vectors | own | wrappers


def test_kumaraswamy_beta() -> None:
    """Ten terms of the series for `E log(1 - X)`: exact where its coefficient `beta - 1` vanishes, else close."""
    a, b = 2.0, 4.0

    def exact(alpha: float, beta: float) -> float:
        def integrand(x: float) -> float:
            log_p = np.log(a * b) + (a - 1) * np.log(x) + (b - 1) * np.log1p(-(x**a))
            return np.exp(log_p) * (log_p - st.beta(alpha, beta).logpdf(x))

        return scipy.integrate.quad(integrand, 0, 1)[0]

    p = dist.Kumaraswamy(a, b)
    np.testing.assert_allclose(kl_divergence(p, dist.Beta(1.5, 1.0)), exact(1.5, 1.0), rtol=1e-7)
    np.testing.assert_allclose(kl_divergence(p, dist.Beta(1.5, 2.5)), exact(1.5, 2.5), rtol=0.1)


def test_dirichlet_pair() -> None:
    """The chain rule: stick-breaking proportions of a Dirichlet are independent Betas."""
    a, b = np.array([1.5, 2.0, 0.7]), np.array([[1.0, 1.0, 1.0], [3.0, 0.5, 2.0]])
    expected = [
        float(kl_divergence(dist.Beta(a[0], a[1] + a[2]), dist.Beta(row[0], row[1] + row[2])))
        + float(kl_divergence(dist.Beta(a[1], a[2]), dist.Beta(row[1], row[2])))
        for row in b
    ]
    np.testing.assert_allclose(kl_divergence(dist.Dirichlet(a), dist.Dirichlet(b)), expected, rtol=1e-10)


def test_multivariate_normal_pair() -> None:
    locs = RNG.normal(size=(2, 3, 2))
    scales = np.array([1.0, 2.0, 0.5])[:, None, None]
    p = dist.MultivariateNormal(locs[0], covariance_matrix=COV)
    q = dist.MultivariateNormal(locs[1], precision_matrix=np.eye(2) / scales)
    shift = locs[0] - locs[1]
    expected = 0.5 * (
        np.trace(COV) / scales[:, 0, 0]
        + (shift**2).sum(-1) / scales[:, 0, 0]
        - 2
        + 2 * np.log(scales[:, 0, 0])
        - np.linalg.slogdet(COV)[1]
    )
    np.testing.assert_allclose(kl_divergence(p, q), expected, rtol=1e-10)


def test_independent_normals_and_circulant() -> None:
    loc, scale = RNG.normal(size=5), np.exp(RNG.normal(size=5))
    q = dist.CirculantNormal(np.zeros(5), covariance_row=ROW)
    p = dist.Normal(loc, scale).to_event(1)
    full = dist.MultivariateNormal(loc, covariance_matrix=np.diag(scale**2))
    reference = kl_divergence(full, dist.MultivariateNormal(0.0, np.asarray(q.covariance_matrix)))
    np.testing.assert_allclose(kl_divergence(p, q), reference, rtol=1e-10)
    with pytest.raises(NotImplementedError, match="needs an Independent Normal"):
        kl_divergence(dist.Laplace(loc, scale).to_event(1), q)


def test_categorical_pair() -> None:
    p, q = np.array([0.2, 0.0, 0.8]), np.array([0.5, 0.3, 0.2])
    divergence, gradient = jax.value_and_grad(
        lambda logits: kl_divergence(
            dist.CategoricalProbs(p, validate_args=False), dist.CategoricalProbs(jax.nn.softmax(logits), validate_args=False)
        )
    )(np.log(q))
    np.testing.assert_allclose(divergence, st.entropy(p, q), rtol=1e-10)
    np.testing.assert_allclose(gradient, q - p, atol=1e-12)


def test_wrappers() -> None:
    loc = RNG.normal(size=(3, 2))
    p, q = dist.Normal(loc, 1.0), dist.Normal(0.0, 2.0)
    each = np.asarray(kl_divergence(p, q))
    assert each.shape == (3, 2)
    np.testing.assert_allclose(kl_divergence(p.to_event(1), q.expand((3, 2)).to_event(1)), each.sum(-1), rtol=1e-12)
    np.testing.assert_allclose(kl_divergence(q.expand((4, 3, 2)), p), np.broadcast_to(kl_divergence(q, p), (4, 3, 2)), rtol=1e-12)
    np.testing.assert_allclose(kl_divergence(q.expand((3, 1)), q.expand((3, 2))), np.zeros((3, 2)), atol=1e-12)
    mask = np.array([True, False])
    np.testing.assert_allclose(kl_divergence(p.mask(mask), q.mask(True).mask(mask)), each * mask, rtol=1e-12)
    with pytest.raises(NotImplementedError, match="p has 1 and q has 2"):
        kl_divergence(p.to_event(1), p.to_event(2))
    delta = dist.Delta(jnp.array([0.5, 1.0]), log_density=np.array(0.25))
    np.testing.assert_allclose(kl_divergence(delta, q), 0.25 - q.log_prob(np.array([0.5, 1.0])), rtol=1e-12)


def test_dispatch() -> None:
    with pytest.raises(NotImplementedError, match=r"kl_divergence\(Normal, Gamma\).*register"):
        kl_divergence(dist.Normal(0.0, 1.0), dist.Gamma(1.0, 1.0))

    class Own(dist.Normal):
        pass

    assert kl_divergence.dispatch(Own, dist.Normal) is kl_divergence.dispatch(dist.Normal, dist.Normal)

    @kl_divergence.register(Own, dist.Normal)
    def rule(p: Own, q: dist.Normal) -> Any:
        return jnp.asarray(-1.0)

    assert kl_divergence(Own(), dist.Normal()) == -1 and kl_divergence(dist.Normal(), Own()) == 0
