"""Laws that SciPy has no name for, by formulas of their own: what the tables compare with."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import integrate, special, stats


class Formula:
    """Moments and entropy by quadrature over quantiles; a subclass has `low`, `high`, `logpdf`, `cdf`, `ppf`."""

    low: float
    high: float

    def support(self) -> tuple[float, float]:
        return self.low, self.high

    def expect(self, function: Callable[[Any], Any]) -> float:
        return integrate.quad(lambda q: function(self.ppf(q)), 0, 1, epsabs=1e-12, epsrel=1e-10, limit=500)[0]

    def mean(self) -> float:
        return self.expect(lambda x: x)

    def var(self) -> float:
        mean = self.mean()
        return self.expect(lambda x: (x - mean) ** 2)

    def entropy(self) -> float:
        return self.expect(lambda x: -self.logpdf(x))


class PowerBetween(Formula):
    """`p(x) = b x^(b - 1) / (high^b - low^b)` on `[low, high]`."""

    def __init__(self, b: float, low: float, high: float) -> None:
        self.b, self.low, self.high = b, low, high
        self.mass = high**b - low**b

    def logpdf(self, x: Any) -> Any:
        return np.log(self.b / self.mass) + (self.b - 1) * np.log(x)

    def cdf(self, x: Any) -> Any:
        return (np.asarray(x) ** self.b - self.low**self.b) / self.mass

    def ppf(self, q: Any) -> Any:
        return (self.low**self.b + q * self.mass) ** (1 / self.b)


def power_law(alpha: float, low: float, high: float) -> Any:
    """`p(x) ~ x^alpha` between bounds."""
    if alpha == -1:
        return stats.loguniform(low, high)
    return stats.truncpareto(-1 - alpha, high / low, 0, low) if alpha < -1 else PowerBetween(alpha + 1, low, high)


class Kumaraswamy(Formula):
    """`p(x) = a b x^(a - 1) (1 - x^a)^(b - 1)` on `[0, 1]`."""

    low, high = 0.0, 1.0

    def __init__(self, concentration1: float, concentration0: float) -> None:
        self.a, self.b = concentration1, concentration0

    def logpdf(self, x: Any) -> Any:
        return np.log(self.a * self.b) + special.xlogy(self.a - 1, x) + special.xlog1py(self.b - 1, -(x**self.a))

    def cdf(self, x: Any) -> Any:
        return -np.expm1(self.b * np.log1p(-(x**self.a)))

    def ppf(self, q: Any) -> Any:
        return (-np.expm1(np.log1p(-q) / self.b)) ** (1 / self.a)


class Truncated(Formula):
    """A SciPy law between bounds, by whichever tail of it is the smaller."""

    def __init__(self, law: Any, low: float = -np.inf, high: float = np.inf) -> None:
        self.law = law
        self.low, self.high = max(low, law.support()[0]), high
        self.upper = low > law.median()
        tail = law.sf if self.upper else law.cdf
        self.start = tail(self.low)
        self.change = tail(high) - self.start

    def logpdf(self, x: Any) -> Any:
        return self.law.logpdf(x) - np.log(abs(self.change))

    def cdf(self, x: Any) -> Any:
        return ((self.law.sf if self.upper else self.law.cdf)(x) - self.start) / self.change

    def ppf(self, q: Any) -> Any:
        return (self.law.isf if self.upper else self.law.ppf)(self.start + q * self.change)


class WithoutMoments(Truncated):
    """Of infinite mean and variance."""

    def mean(self) -> float:
        return np.inf

    def var(self) -> float:
        return np.inf


def half_cauchy_line(low: float, **params: float) -> Truncated:
    return WithoutMoments(stats.cauchy(**params), low)


def between(law: Callable[..., Any]) -> Callable[..., Truncated]:
    """What makes the truncated law from the parameters of a SciPy law and its bounds."""

    def make(low: float = -np.inf, high: float = np.inf, **params: Any) -> Truncated:
        return Truncated(law(**params), low, high)

    return make


class Monotone(Formula):
    """The law of an increasing `forward(x)`, with `log_slope(x) = log |forward'(x)|`."""

    def __init__(self, law: Any, forward: Any, inverse: Any, log_slope: Any) -> None:
        self.law, self.forward, self.inverse, self.log_slope = law, forward, inverse, log_slope
        self.low, self.high = (float(forward(end)) for end in law.support())

    def logpdf(self, y: Any) -> Any:
        x = self.inverse(y)
        return self.law.logpdf(x) - self.log_slope(x)

    def cdf(self, y: Any) -> Any:
        return self.law.cdf(self.inverse(y))

    def ppf(self, q: Any) -> Any:
        return self.forward(self.law.ppf(q))


def log_slope_of_expit(x: Any) -> Any:
    return special.log_expit(x) + special.log_expit(-x)


def sigmoid_between(loc: float, scale: float) -> Monotone:
    """`3 sigmoid(x) - 1` of a normal `x`."""
    return Monotone(
        stats.norm(loc, scale),
        lambda x: 3 * special.expit(x) - 1,
        lambda y: special.logit((y + 1) / 3),
        lambda x: np.log(3) + log_slope_of_expit(x),
    )


def relaxed_bernoulli(temperature: float, logits: float) -> Monotone:
    law = stats.logistic(logits / temperature, 1 / temperature)
    return Monotone(law, special.expit, special.logit, log_slope_of_expit)


class Mixture:
    """A finite mixture of normal laws."""

    def __init__(self, probs: np.ndarray, loc: np.ndarray, scale: np.ndarray) -> None:
        self.probs, self.law = probs, stats.norm(loc, scale)

    def support(self) -> tuple[float, float]:
        return -np.inf, np.inf

    def logpdf(self, x: np.ndarray) -> Any:
        return special.logsumexp(self.law.logpdf(x[:, None]), b=self.probs, axis=-1)

    def cdf(self, x: np.ndarray) -> Any:
        return self.law.cdf(x[:, None]) @ self.probs

    def mean(self) -> Any:
        return self.probs @ self.law.mean()

    def var(self) -> Any:
        return self.probs @ (self.law.var() + (self.law.mean() - self.mean()) ** 2)


def von_mises(loc: float, concentration: float) -> Any:
    """On the circle, of which [-pi, pi) are the angles."""
    law = stats.vonmises(concentration, loc)
    return SimpleNamespace(
        logpdf=law.logpdf,
        cdf=lambda x: law.cdf(x) % 1.0,
        entropy=law.entropy,
        support=lambda: (-np.pi, np.pi),
        mean=lambda: loc,
        var=lambda: 1 - special.ive(1, concentration) / special.ive(0, concentration),
    )


# counts and categories --------------------------------------------------------------------------------------------------


class Finite:
    """A law on `0, ..., k - 1`, or (not `bounded`) on the first `k` counts with the rest negligible, by its probabilities."""

    def __init__(self, pmf: Any, *, bounded: bool = True) -> None:
        self.values, self.table = np.arange(len(pmf)), np.asarray(pmf, float)
        self.bounded = bounded

    def support(self) -> tuple[float, float]:
        return 0, len(self.table) - 1 if self.bounded else np.inf

    def logpmf(self, k: np.ndarray) -> np.ndarray:
        inside = (k >= 0) & (k < len(self.table))
        with np.errstate(divide="ignore"):
            return np.where(inside, np.log(self.table[np.where(inside, k, 0)]), -np.inf)

    def cdf(self, k: np.ndarray) -> np.ndarray:
        return np.cumsum(self.table)[k]

    def mean(self) -> float:
        return float(self.table @ self.values)

    def var(self) -> float:
        return float(self.table @ (self.values - self.mean()) ** 2)

    def entropy(self) -> float:
        return float(special.entr(self.table).sum())


def inflated(law: Any, gate: float) -> Finite:
    table = (1 - gate) * law.pmf(np.arange(400))
    table[0] += gate
    return Finite(table, bounded=False)


def hurdle(law: Any, gate: float) -> Finite:
    table = law.pmf(np.arange(400))
    table[1:] *= (1 - gate) / (1 - table[0])
    table[0] = gate
    return Finite(table, bounded=False)


def nbinom2(mean: float, concentration: float) -> Any:
    return stats.nbinom(concentration, concentration / (concentration + mean))


def ordered_logistic(predictor: float, cutpoints: np.ndarray) -> Finite:
    return Finite(np.diff(special.expit(np.concatenate([[-np.inf], cutpoints - predictor, [np.inf]]))))


def beta_negative_binomial(concentration1: float, concentration0: float, n: float) -> Finite:
    k = np.arange(20_000)
    log_ways = special.gammaln(n + k) - special.gammaln(k + 1) - special.gammaln(n)
    log_beta = special.betaln(concentration1 + k, concentration0 + n) - special.betaln(concentration1, concentration0)
    return Finite(np.exp(log_ways + log_beta), bounded=False)


# vectors and matrices: densities alone ----------------------------------------------------------------------------------


def density(logpdf: Callable[[Any], Any]) -> Any:
    """A law known by its log density, a function of one value."""
    return SimpleNamespace(logpdf=lambda x: np.array([logpdf(v) for v in x]))


def normal_series(mean: np.ndarray, covariance: np.ndarray, *, singular: bool = False) -> Any:
    """A normal law of values that are stacked into vectors."""
    law = stats.multivariate_normal(np.ravel(mean), covariance, allow_singular=singular)
    return SimpleNamespace(logpdf=lambda x: law.logpdf(x.reshape(len(x), -1)))


def zero_sum_normal(scale: float, event_shape: tuple[int, ...]) -> Any:
    """Of covariance `scale^2 (I - J/n)` per axis."""
    projection = np.ones((1, 1))
    for size in event_shape:
        projection = np.kron(projection, np.eye(size) - 1 / size)
    return normal_series(np.zeros(len(projection)), scale**2 * projection, singular=True)


def walk(scale: float, num_steps: int) -> Any:
    steps = np.arange(1, num_steps + 1)
    return normal_series(np.zeros(num_steps), scale**2 * np.minimum.outer(steps, steps))


def car(loc: Any, correlation: float, conditional_precision: float, adj_matrix: np.ndarray) -> Any:
    precision = conditional_precision * (np.diag(adj_matrix.sum(-1)) - correlation * adj_matrix)
    return stats.multivariate_normal(loc, np.linalg.inv(precision))


def state_space(transition_matrix: np.ndarray, scale_tril: np.ndarray, initial_value: np.ndarray, num_steps: int) -> Any:
    """`z_t = A^t z_0 + sum_k A^(t - k) eps_k`."""
    powers = [np.linalg.matrix_power(transition_matrix, t) for t in range(num_steps + 1)]
    zero = np.zeros_like(transition_matrix)
    lower = np.block([[powers[i - j] @ scale_tril if i >= j else zero for j in range(num_steps)] for i in range(num_steps)])
    return normal_series([power @ initial_value for power in powers[1:]], lower @ lower.T)


def ornstein_uhlenbeck(t: np.ndarray, scale: float) -> Any:
    """Steps of Euler and Maruyama from `Normal(0.5, scale)` with drift `-x` and diffusion 0.5."""

    def logpdf(x: np.ndarray) -> Any:
        dt = np.diff(t)
        steps = stats.norm(x[:-1] * (1 - dt), 0.5 * np.sqrt(dt)).logpdf(x[1:])
        return stats.norm(0.5, scale).logpdf(x[0]) + steps.sum()

    return density(logpdf)


def log_jacobian_of_outer(tril: np.ndarray) -> Any:
    """`log |d(L L') / dL|` in lower-triangle coordinates: `d log 2 + sum_i (d - i) log L_ii`, rows from 0."""
    d = len(tril)
    return d * np.log(2) + np.log(np.diag(tril)) @ np.arange(d, 0, -1)


def of_factor(law: Any) -> Any:
    """The law of the Cholesky factor of a positive definite matrix."""
    return density(lambda x: law.logpdf(x @ x.T) + log_jacobian_of_outer(x))


def lkj(concentration: float, dimension: int) -> Any:
    """`det(R)^(eta - 1)` over the constant of Lewandowski, Kurowicka & Joe (2009)."""
    k = np.arange(1, dimension)
    half = concentration + 0.5 * (dimension - k - 1)
    log_norm = ((2 * concentration - 2 + dimension - k) * (dimension - k)).sum() * np.log(2)
    log_norm += (dimension - k) @ special.betaln(half, half)
    return density(lambda x: (concentration - 1) * np.linalg.slogdet(x)[1] - log_norm)


def lkj_factor(concentration: float, dimension: int, sample_method: str = "onion") -> Any:
    """With `|dR / dL| = prod_i L_ii^(d - 1 - i)`, rows from 0; the determinant is that of the diagonal."""
    law = lkj(concentration, dimension)

    def logpdf(x: np.ndarray) -> Any:
        log_diagonal = np.log(np.diag(x))
        return law.logpdf([np.diag(np.exp(2 * log_diagonal))])[0] + log_diagonal @ np.arange(dimension - 1, -1, -1)

    return density(logpdf)


def projected_normal(concentration: np.ndarray) -> Any:
    """`int_0^inf r^(d - 1) N(r x; concentration, I) dr`."""
    d = len(concentration)

    def logpdf(x: np.ndarray) -> Any:
        def radial(r: float) -> Any:
            return r ** (d - 1) * np.exp(-0.5 * ((r * x - concentration) ** 2).sum())

        return np.log(integrate.quad(radial, 0, 30, epsabs=0, epsrel=1e-11, limit=200)[0]) - 0.5 * d * np.log(2 * np.pi)

    return density(logpdf)


def sine_model(phi_loc: float, psi_loc: float, phi_concentration: float, psi_concentration: float, correlation: float) -> Any:
    """Normalised over a grid of the torus, where the trapezium rule converges geometrically."""

    def exponent(u: Any, v: Any) -> Any:
        return phi_concentration * np.cos(u) + psi_concentration * np.cos(v) + correlation * np.sin(u) * np.sin(v)

    angle = 2 * np.pi * np.arange(200) / 200
    log_norm = special.logsumexp(exponent(angle[:, None], angle)) + 2 * np.log(2 * np.pi / 200)
    return SimpleNamespace(logpdf=lambda x: exponent(x[:, 0] - phi_loc, x[:, 1] - psi_loc) - log_norm)


def weighted_sine_model(weighted_correlation: float, **params: float) -> Any:
    strength = weighted_correlation * np.sqrt(params["phi_concentration"] * params["psi_concentration"])
    return sine_model(**params, correlation=strength)


def sine_skewed(loc: np.ndarray, concentration: np.ndarray, skewness: np.ndarray) -> Any:
    def logpdf(x: np.ndarray) -> Any:
        return stats.vonmises(concentration, loc).logpdf(x).sum() + np.log1p(skewness @ np.sin(x - loc))

    return density(logpdf)


def copula(marginals: Any, correlation: np.ndarray) -> Any:
    """The density of normal scores over theirs, times the marginals'."""

    def logpdf(x: np.ndarray) -> Any:
        scores = stats.norm.ppf(marginals.cdf(x))
        joint = stats.multivariate_normal(np.zeros(len(x)), correlation).logpdf(scores)
        return joint + (marginals.logpdf(x) - stats.norm.logpdf(scores)).sum()

    return density(logpdf)
