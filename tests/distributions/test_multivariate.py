"""Vectors and series: densities against SciPy and independent formulas, moments of draws, gradients, structure."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st
from jax import random

from ppl.distributions import LKJ, Wishart, constraints
from ppl.distributions.continuous.multivariate_normal import LowRankMultivariateNormal, MultivariateNormal, MultivariateStudentT
from ppl.distributions.continuous.series import EulerMaruyama, GaussianRandomWalk, GaussianStateSpace
from ppl.distributions.continuous.vectors import CAR, CirculantNormal, Dirichlet, ZeroSumNormal

RNG = np.random.default_rng(0)
D = 3
LOC = RNG.normal(size=D)
TRIL = np.tril(RNG.normal(size=(D, D)) * 0.4, -1) + np.diag([0.8, 1.3, 0.6])
COV = TRIL @ TRIL.T
PRECISION = np.linalg.inv(COV)
FACTOR = RNG.normal(size=(D, 2))
DIAG = np.array([0.5, 1.0, 2.0])
LOW_RANK = FACTOR @ FACTOR.T + np.diag(DIAG)
GRAPH = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
CAR_PRECISION = 2.0 * (np.diag(GRAPH.sum(-1)) - 0.6 * GRAPH)
ROW = np.array([2.0, 0.7, 0.2, 0.2, 0.7])
CIRCULANT = np.stack([np.roll(ROW, i) for i in range(5)])
EVEN_ROW = np.array([2.0, 0.7, 0.2, 0.7])
STEPS = 4
WALK = 0.49 * np.minimum.outer(np.arange(1, STEPS + 1), np.arange(1, STEPS + 1))
A = np.array([[0.9, 0.2], [-0.1, 0.5]])
Q = np.array([[0.5, 0.1], [0.1, 0.3]])


pytestmark = pytest.mark.usefixtures("float64_and_strict")


def state_space_covariance(num_steps: int) -> np.ndarray:
    """Covariance of the stacked states `z_t = sum_k A^(t-k) eps_k`."""
    powers = [np.linalg.matrix_power(A, k) for k in range(num_steps)]
    lower = np.block([[powers[i - j] if i >= j else np.zeros((2, 2)) for j in range(num_steps)] for i in range(num_steps)])
    return lower @ np.kron(np.eye(num_steps), Q) @ lower.T


NORMALS = {
    "covariance": (lambda: MultivariateNormal(LOC, covariance_matrix=COV), LOC, COV),
    "precision": (lambda: MultivariateNormal(LOC, precision_matrix=PRECISION), LOC, COV),
    "scale_tril": (lambda: MultivariateNormal(LOC, scale_tril=TRIL), LOC, COV),
    "scalar_loc": (lambda: MultivariateNormal(1.5, COV), np.full(D, 1.5), COV),
    "traced_like": (lambda: MultivariateNormal(jnp.asarray(LOC), precision_matrix=jnp.asarray(PRECISION)), LOC, COV),
    "low_rank": (lambda: LowRankMultivariateNormal(LOC, FACTOR, DIAG), LOC, LOW_RANK),
    "car": (lambda: CAR(LOC, 0.6, 2.0, GRAPH), LOC, np.linalg.inv(CAR_PRECISION)),
    "car_sparse": (lambda: CAR(LOC, 0.6, 2.0, GRAPH, is_sparse=True), LOC, np.linalg.inv(CAR_PRECISION)),
    "circulant_row": (lambda: CirculantNormal(np.arange(5.0), covariance_row=ROW), np.arange(5.0), CIRCULANT),
    "circulant_rfft": (lambda: CirculantNormal(np.arange(5.0), covariance_rfft=np.fft.rfft(ROW).real), np.arange(5.0), CIRCULANT),
    "circulant_even": (
        lambda: CirculantNormal(np.zeros(4), covariance_row=EVEN_ROW),
        np.zeros(4),
        np.stack([np.roll(EVEN_ROW, i) for i in range(4)]),
    ),
    "random_walk": (lambda: GaussianRandomWalk(0.7, STEPS), np.zeros(STEPS), WALK),
    "state_space": (lambda: GaussianStateSpace(STEPS, A, covariance_matrix=Q), np.zeros(2 * STEPS), state_space_covariance(STEPS)),
    "state_space_started": (
        lambda: GaussianStateSpace(STEPS, A, precision_matrix=np.linalg.inv(Q), initial_value=np.array([1.0, -2.0])),
        np.concatenate([np.linalg.matrix_power(A, t) @ [1.0, -2.0] for t in range(1, STEPS + 1)]),
        state_space_covariance(STEPS),
    ),
}


@pytest.mark.parametrize("name", NORMALS)
def test_normal_families(name: str) -> None:
    """Density, gradient, moments and draws of everything whose law is normal with a covariance that can be written down."""
    make, mean, cov = NORMALS[name]
    d = make()
    n = 4000

    @jax.jit
    def compute(x: Any, key: Any) -> Any:
        return d.log_prob(x), jax.grad(lambda v: d.log_prob(v).sum())(x), d.sample(key, (n,)), d.mean

    x = RNG.normal(size=(6, *d.event_shape))
    log_prob, grad, draws, own_mean = jax.tree.map(np.asarray, compute(x, random.key(1)))
    flat = x.reshape(6, -1)
    reference = st.multivariate_normal(mean, cov)
    np.testing.assert_allclose(log_prob, reference.logpdf(flat), rtol=1e-10)
    np.testing.assert_allclose(grad.reshape(6, -1), np.linalg.solve(cov, (mean - flat).T).T, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(own_mean.ravel(), mean, atol=1e-12)
    assert draws.shape == (n, *d.event_shape)
    flat_draws = draws.reshape(n, -1)
    assert np.all(abs(flat_draws.mean(0) - mean) < 5 * np.sqrt(np.diag(cov) / n))
    centred = flat_draws - mean
    products = centred[:, :, None] * centred[:, None, :]
    assert np.all(abs(products.mean(0) - cov) < 5 * products.std(0) / np.sqrt(n))
    if name not in ("car", "car_sparse"):
        np.testing.assert_allclose(np.asarray(d.variance).ravel(), np.diag(cov), rtol=1e-10)
    if name.split("_")[0] in ("covariance", "precision", "scale", "low", "circulant"):
        np.testing.assert_allclose(d.entropy(), reference.entropy(), rtol=1e-10)


@pytest.mark.parametrize("given", ["covariance_matrix", "precision_matrix", "scale_tril"])
def test_every_matrix_is_an_attribute(given: str) -> None:
    matrices = {"covariance_matrix": COV, "precision_matrix": PRECISION, "scale_tril": TRIL}
    d = MultivariateNormal(LOC, **{given: matrices[given]})
    assert set(d.get_args()) == {"loc", given}
    for name, matrix in matrices.items():
        np.testing.assert_allclose(getattr(d, name), matrix, rtol=1e-9, atol=1e-12)
    assert set(d.get_args()) == {"loc", given}
    low = LowRankMultivariateNormal(LOC, FACTOR, DIAG)
    np.testing.assert_allclose(low.covariance_matrix, LOW_RANK, rtol=1e-12)
    np.testing.assert_allclose(low.precision_matrix, np.linalg.inv(LOW_RANK), rtol=1e-9)
    np.testing.assert_allclose(low.scale_tril, np.linalg.cholesky(LOW_RANK), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("given", ["covariance_matrix", "precision_matrix", "scale_tril"])
def test_normal_batches_broadcast(given: str) -> None:
    """Batches of locations, of matrices, of values, all of different ranks, against one density at a time."""
    scales = np.array([0.5, 1.0, 2.0, 3.0])[:, None, None]
    matrix = {"covariance_matrix": COV * scales**2, "precision_matrix": PRECISION / scales**2, "scale_tril": TRIL * scales}[given]
    loc = RNG.normal(size=(2, 1, D))
    x = RNG.normal(size=(3, 2, 4, D))
    d = MultivariateNormal(loc, **{given: matrix})
    assert d.batch_shape == (2, 4)
    expected = np.array(
        [
            [[st.multivariate_normal(loc[j, 0], COV * scales[k] ** 2).logpdf(x[i, j, k]) for k in range(4)] for j in range(2)]
            for i in range(3)
        ]
    )
    log_prob, narrow, draws = jax.jit(lambda d, x: (d.log_prob(x), d.log_prob(x[0, 0, 0]), d.sample(random.key(0), (5,))))(d, x)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-9)
    assert narrow.shape == (2, 4)
    assert draws.shape == (5, 2, 4, D)


def test_gradients_with_respect_to_parameters() -> None:
    """Reverse mode against central differences, through triangular and covariance parameterisations and the series."""
    x = RNG.normal(size=(5, D))
    rows, columns = np.tril_indices(D)

    def tril(z: Any) -> Any:
        return jnp.zeros((D, D)).at[rows, columns].set(z) + 2 * jnp.eye(D)

    def loss(z: Any) -> Any:
        low, scale = tril(z[:6]), jnp.exp(z[6])
        spd = low @ low.T
        total = MultivariateNormal(z[:3], scale_tril=low).log_prob(x).sum()
        total += MultivariateNormal(z[3], covariance_matrix=spd).log_prob(x).sum()
        total += MultivariateNormal(z[:3], precision_matrix=spd).log_prob(x).sum()
        total += LowRankMultivariateNormal(z[:3], z[:6].reshape(3, 2), jnp.exp(z[4:])).log_prob(x).sum()
        total += MultivariateStudentT(scale, z[:3], low).log_prob(x).sum()
        total += GaussianRandomWalk(scale, D).log_prob(x).sum()
        total += GaussianStateSpace(3, z[:4].reshape(2, 2), scale_tril=low[:2, :2]).log_prob(x[:2].reshape(3, 2))
        total += CAR(z[:3], jnp.tanh(z[0]), scale, GRAPH).log_prob(x).sum()
        total += Dirichlet(jnp.exp(z)).log_prob(np.full(7, 1 / 7))
        return total + CirculantNormal(z[:3], covariance_rfft=jnp.exp(z[:2])).log_prob(x).sum()

    z = RNG.normal(size=7) * 0.3
    step = 1e-5
    points = z + step * np.concatenate([np.eye(7), -np.eye(7)])
    values, gradient = jax.jit(lambda z, points: (jax.lax.map(loss, points), jax.grad(loss)(z)))(z, points)
    np.testing.assert_allclose(gradient, (values[:7] - values[7:]) / (2 * step), rtol=1e-6, atol=1e-6)


def test_student_t() -> None:
    df = np.array([3.0, 7.5])
    d = MultivariateStudentT(df, LOC, TRIL)
    x = RNG.normal(size=(4, 1, D)) * 3
    n = 20_000
    log_prob, draws, light = jax.jit(
        lambda x: (d.log_prob(x), d.sample(random.key(3), (n,)), MultivariateStudentT(1e12, LOC, TRIL).log_prob(x))
    )(x)
    expected = np.stack([st.multivariate_t(LOC, COV, df=v).logpdf(x[:, 0]) for v in df], -1)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-10)
    np.testing.assert_allclose(light[:, 0], st.multivariate_normal(LOC, COV).logpdf(x[:, 0]), rtol=1e-7)
    # heavy tails: the squared length of whitened draws over d is F(d, df), compared through its distribution function
    whitened = np.linalg.solve(TRIL, (np.asarray(draws) - LOC)[..., None])[..., 0]
    for i, v in enumerate(df):
        assert st.kstest((whitened[:, i] ** 2).sum(-1) / D, st.f(D, v).cdf).pvalue > 1e-6
        assert st.kstest(draws[:, i, 0], st.t(v, LOC[0], np.sqrt(COV[0, 0])).cdf).pvalue > 1e-6
    np.testing.assert_allclose(d.covariance_matrix, COV, rtol=1e-12)
    moments = MultivariateStudentT(np.array([0.5, 1.5, 4.0]), 1.0, TRIL)
    np.testing.assert_allclose(moments.mean[:, 0], [np.nan, 1.0, 1.0])
    np.testing.assert_allclose(moments.variance[:, 0], [np.nan, np.inf, 2 * COV[0, 0]])


def test_dirichlet() -> None:
    a = np.array([[0.4, 1.0, 3.0], [2.0, 1.0, 1.0]])
    d = Dirichlet(a)
    x = RNG.dirichlet(np.ones(3), size=(4, 2))
    n = 10_000
    log_prob, entropy, mean, variance, draws = jax.tree.map(
        np.asarray, jax.jit(lambda x: (d.log_prob(x), d.entropy(), d.mean, d.variance, d.sample(random.key(0), (n,))))(x)
    )
    for i in range(2):
        reference = st.dirichlet(a[i])
        np.testing.assert_allclose(log_prob[:, i], [reference.logpdf(v) for v in x[:, i]], rtol=1e-10)
        np.testing.assert_allclose(entropy[i], reference.entropy(), rtol=1e-10)
        np.testing.assert_allclose(mean[i], reference.mean(), rtol=1e-12)
        np.testing.assert_allclose(variance[i], reference.var(), rtol=1e-12)
    assert np.all(abs(draws.mean(0) - mean) < 5 * np.sqrt(variance / n))
    squares = (draws - mean) ** 2
    assert np.all(abs(squares.mean(0) - variance) < 5 * squares.std(0) / np.sqrt(n))
    # on the edge: where the exponent is zero the density is finite, else it is zero or infinite; never nan
    edge = np.array([0.5, 0.0, 0.5])
    value, gradient = jax.value_and_grad(Dirichlet(np.array([2.0, 1.0, 1.0]), validate_args=False).log_prob)(edge)
    np.testing.assert_allclose(value, np.log(6 * 0.5))
    assert np.all(np.isfinite(gradient))
    assert Dirichlet(jnp.array([2.0, 2.0, 1.0])).log_prob(edge) == -np.inf
    one = Dirichlet(np.array([3.0]))
    assert one.log_prob(np.ones(1)) == 0 and one.sample(random.key(0)) == 1


def test_dirichlet_tiny_concentrations_float32() -> None:
    d = Dirichlet(np.full(4, 1e-3))
    draws, log_prob = jax.jit(lambda key: (x := d.sample(key, (2000,)), d.log_prob(x)))(random.key(0))
    assert draws.dtype == np.float32
    assert np.all(draws > 0) and np.all(np.isfinite(log_prob))
    assert np.all(constraints.simplex(draws))
    assert np.all(abs((draws > 0.5).mean(0) - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 2000))


@pytest.mark.parametrize("event_shape", [(4,), (2, 3)])
def test_zero_sum_normal(event_shape: tuple[int, ...]) -> None:
    scale = np.array([0.5, 2.0])
    d = ZeroSumNormal(scale, event_shape)
    n = 5000
    axes = range(-len(event_shape), 0)
    draws = d.sample(random.key(0), (n,))
    assert draws.shape == (n, 2, *event_shape)
    for axis in axes:
        np.testing.assert_allclose(draws.sum(axis), 0, atol=1e-12)
    assert np.all(d.support(draws))
    # the density by projection: covariance scale^2 (I - J/n) per axis, singular, hence the pseudo-determinant
    projection = np.ones((1, 1))
    for size in event_shape:
        projection = np.kron(projection, np.eye(size) - 1 / size)
    few = np.asarray(draws[:3])
    for i in range(2):
        expected = st.multivariate_normal(np.zeros(len(projection)), scale[i] ** 2 * projection, allow_singular=True)
        np.testing.assert_allclose(d.log_prob(few)[:, i], expected.logpdf(few[:, i].reshape(3, -1)), rtol=1e-8)
    np.testing.assert_allclose(d.variance[1].ravel(), 4 * np.diag(projection), rtol=1e-12)
    flat = np.asarray(draws[:, 1]).reshape(n, -1)
    products = flat[:, :, None] * flat[:, None, :]
    assert np.all(abs(products.mean(0) - 4 * projection) < 5 * products.std(0) / np.sqrt(n))


def test_euler_maruyama() -> None:
    """An Ornstein-Uhlenbeck process, whose discretised path is normal with a known covariance; and one density by hand."""
    t = np.array([0.0, 0.1, 0.3, 0.6])
    d = EulerMaruyama(t, lambda x, t: (-x * (1 + t), 0.5), MultivariateNormal(1.0, scale_tril=2 * np.eye(2)))
    assert d.event_shape == (4, 2) and d.batch_shape == ()
    n = 5000
    paths, log_prob = jax.tree.map(np.asarray, jax.jit(lambda key: (x := d.sample(key, (n,)), d.log_prob(x[:3])))(random.key(0)))
    shrink = 1 - np.diff(t) * (1 + t[:-1])
    mean, variance = [1.0], [4.0]
    for a, dt in zip(shrink, np.diff(t)):
        mean.append(a * mean[-1])
        variance.append(a**2 * variance[-1] + 0.25 * dt)
    mean, variance = np.array(mean)[:, None], np.array(variance)[:, None]
    assert np.all(abs(paths.mean(0) - mean) < 5 * np.sqrt(variance / n))
    squares = (paths - mean) ** 2
    assert np.all(abs(squares.mean(0) - variance) < 5 * squares.std(0) / np.sqrt(n))
    x = paths[:3]
    expected = st.norm(1, 2).logpdf(x[:, 0]).sum(-1)
    for k, dt in enumerate(np.diff(t)):
        expected += st.norm(x[:, k] * shrink[k], 0.5 * np.sqrt(dt)).logpdf(x[:, k + 1]).sum(-1)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-10)
    batched = EulerMaruyama(
        np.stack([t, 2 * t]), lambda x, t: (-x * (1 + t), 0.5), MultivariateNormal(1.0, scale_tril=2 * np.eye(2))
    )
    assert batched.sample(random.key(0), (3,)).shape == (3, 2, 4, 2)
    np.testing.assert_allclose(batched.log_prob(x[:, None])[:, 0], expected, rtol=1e-10)
    with pytest.raises(TypeError, match="init_dist must be a Distribution"):
        EulerMaruyama(t, lambda x, t: (x, x), 0.0)


def test_nothing_runs_at_construction() -> None:
    """Building a distribution, checked, leaves no operation in a trace."""

    def build() -> None:
        MultivariateNormal(LOC, covariance_matrix=COV)
        LowRankMultivariateNormal(LOC, FACTOR, DIAG)
        MultivariateStudentT(3.0, LOC, TRIL)
        Dirichlet([1.0, 2.0])
        GaussianRandomWalk(1.0, 5)
        CAR(0.0, 0.5, 1.0, GRAPH)
        CirculantNormal(np.zeros(5), ROW)
        ZeroSumNormal(1.0, (3,))
        GaussianStateSpace(3, A, Q)

    assert not jax.make_jaxpr(build)().eqns


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MultivariateNormal(np.zeros(2)), "exactly one of covariance_matrix, precision_matrix, scale_tril .* none"),
        (lambda: MultivariateNormal(np.zeros(2), np.eye(2), np.eye(2)), "covariance_matrix and precision_matrix"),
        (lambda: MultivariateNormal(np.zeros(2), np.ones(2)), r"covariance_matrix must be a square matrix.*\(2,\)"),
        (lambda: MultivariateNormal(np.zeros(2), np.ones((2, 3))), r"covariance_matrix must be a square matrix.*\(2, 3\)"),
        (lambda: MultivariateNormal(np.zeros(3), np.eye(2)), r"loc of shape \(3,\) does not fit matrices of dimension 2"),
        (lambda: MultivariateNormal(np.zeros(2), -np.eye(2)), "invalid covariance_matrix"),
        (lambda: MultivariateNormal(np.zeros(2), scale_tril=np.ones((2, 2))), "invalid scale_tril"),
        (lambda: LowRankMultivariateNormal(0.0, np.ones((2, 1)), np.ones(2)), "loc must have at least 1"),
        (lambda: LowRankMultivariateNormal(np.zeros(2), np.ones((3, 1)), np.ones(2)), r"cov_factor of shape \(3, 1\)"),
        (lambda: MultivariateStudentT(3.0, np.zeros(2)), "scale_tril must be given"),
        (lambda: Dirichlet(1.0), "at least one-dimensional"),
        (lambda: Dirichlet([1.0, -1.0]), "invalid concentration"),
        (lambda: ZeroSumNormal(1.0, (1,)), "event_shape must hold"),
        (lambda: ZeroSumNormal(-1.0, (3,)), "invalid scale"),
        (lambda: CAR(0.0, 0.5, 1.0, np.array([[0.0, 1.0], [0.0, 0.0]])), "symmetric"),
        (lambda: CAR(0.0, 0.5, 1.0, np.zeros((2, 2))), "isolated"),
        (lambda: CAR(0.0, 0.5, 1.0, np.array([[0.0, np.inf], [np.inf, 0.0]])), "CAR distribution got invalid adj_matrix"),
        (lambda: CAR(0.0, 0.5, 1.0, jnp.ones((2, 2)), is_sparse=True), "is_sparse=True, adj_matrix must be"),
        (lambda: CAR(0.0, 1.5, 1.0, GRAPH), "invalid correlation"),
        (lambda: CirculantNormal(np.zeros(3)), "exactly one of covariance_row, covariance_rfft"),
        (lambda: CirculantNormal(np.zeros(3), np.ones(2)), "covariance_row of shape"),
        (lambda: GaussianRandomWalk(1.0, 0), "num_steps must be a positive integer.*0"),
        (lambda: GaussianRandomWalk(1.0, 2.5), "num_steps must be a positive integer.*2.5"),
        (lambda: GaussianStateSpace(3, np.eye(2), np.eye(3)), "same dimension"),
    ],
)
def test_errors_say_what_was_found(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_sparse_car_takes_scipy_matrices() -> None:
    from scipy.sparse import csr_matrix

    d = CAR(LOC, 0.6, 2.0, csr_matrix(GRAPH), is_sparse=True)
    np.testing.assert_allclose(d.log_prob(np.zeros(3)), CAR(LOC, 0.6, 2.0, GRAPH).log_prob(np.zeros(3)), rtol=1e-12)
    with pytest.raises(TypeError, match="CAR distribution got invalid adj_matrix parameter"):
        CAR(LOC, 0.6, 2.0, GRAPH + 0j)
    with pytest.raises(ValueError, match="pass is_sparse=True"):
        CAR(LOC, 0.6, 2.0, csr_matrix(GRAPH))


def test_shapes_from_shapes() -> None:
    assert MultivariateNormal.infer_shapes((5, 2), scale_tril=(4, 1, 2, 2)) == ((4, 5), (2,))
    assert MultivariateNormal.infer_shapes(covariance_matrix=(2, 2)) == ((), (2,))
    assert LowRankMultivariateNormal.infer_shapes((2,), (3, 2, 1), (2,)) == ((3,), (2,))
    assert MultivariateStudentT.infer_shapes((3,), (2,), (2, 2)) == ((3,), (2,))
    assert Dirichlet.infer_shapes((4, 3)) == ((4,), (3,))
    assert CAR.infer_shapes((), (2,), (), (3, 3)) == ((2,), (3,))
    assert Wishart.infer_shapes((4, 1), (), (), (2, 3, 3)) == ((4, 2), (3, 3))
    with pytest.raises(NotImplementedError, match=r"LKJ.infer_shapes is not implemented for {'dimension': \(\)}"):
        LKJ.infer_shapes(())


@pytest.mark.parametrize(
    "make",
    [
        lambda: MultivariateNormal([0, 0], [[1, 0], [0, 1]]),
        lambda: MultivariateNormal(0, precision_matrix=[[1, 0], [0, 1]]),
        lambda: LowRankMultivariateNormal([0, 0], [[1], [1]], [1, 1]),
        lambda: MultivariateStudentT(3, 0, jnp.eye(2, dtype=int)),
        lambda: Dirichlet([1, 2]),
        lambda: ZeroSumNormal(1, (3,)),
        lambda: CAR(0, 0.5, 1, [[0, 1], [1, 0]]),
        lambda: CirculantNormal([0, 0, 0], [3, 1, 1]),
        lambda: GaussianRandomWalk(1, 3),
        lambda: GaussianStateSpace(3, [[1]], [[1]]),
    ],
)
@pytest.mark.parametrize("width", ["float32", "float64"])
def test_integers_become_floats(make: Any, width: str) -> None:
    d = make()
    draw = jax.eval_shape(d.sample, random.key(0))
    assert draw.dtype == width and jax.eval_shape(d.log_prob, draw).dtype == width
