"""Densities and distribution functions in many digits, by plain formulas in mpmath: what ``benchmarks.accuracy`` compares to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mpmath import mp, mpf

DIGITS = 50
MAX_TERMS = 200_000

Tails = tuple[Any, Any]


@dataclass(frozen=True)
class Law:
    """The log density, and the probabilities of a value at most and above, as functions of the value and the parameters."""

    log_density: Callable[..., Any]
    tails: Callable[..., Tails] | None = None


# special functions ------------------------------------------------------------------------------------------------------


def exp(x: Any) -> Any:
    """`exp(x)`, and 0 where its exponent would fill the memory."""
    return mpf(0) if x < -1e12 else mp.exp(x)


def log1mexp(x: Any) -> Any:
    """`log(1 - exp(x))`."""
    return mp.log(-mp.expm1(x))


def log_sigmoid(x: Any) -> Any:
    """`-log(1 + exp(-x))`."""
    return -mp.log1p(exp(-x)) if x > 0 else x - mp.log1p(exp(x))


def log_beta(a: Any, b: Any) -> Any:
    """`log B(a, b)`."""
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def log_binomial(n: Any, k: Any) -> Any:
    """`log C(n, k)` for real `n`."""
    return mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1)


def _lentz(terms: Callable[[int], tuple[Any, Any]]) -> Any:
    """`1/(b_0 + a_1/(b_1 + a_2/(b_2 + ...)))` for `terms(n) = (a_n, b_n)`."""
    tiny, tolerance = mpf(10) ** -1000, mpf(10) ** -30
    d = 1 / terms(0)[1]
    c, out = 1 / tiny, d
    for n in range(1, MAX_TERMS):
        a, b = terms(n)
        d, c = 1 / (b + a * d or tiny), b + a / c or tiny
        out *= c * d
        if abs(c * d - 1) < tolerance:
            return out
    raise ArithmeticError("a continued fraction does not converge")


def gammainc(a: Any, x: Any) -> Tails:
    """The regularized incomplete gamma functions `P(a, x)` and `Q(a, x)`."""
    if x <= 0:
        return mpf(0), mpf(1)
    kernel = exp(a * mp.log(x) - x - mp.loggamma(a))
    if x > a + 1:
        q = kernel * _lentz(lambda n: (n * (a - n), x - a + 1 + 2 * n))
        return 1 - q, q
    term = total = 1 / a
    n = 0
    while term > total * mpf(10) ** -30:
        n += 1
        term *= x / (a + n)
        total += term
    p = kernel * total
    return p, 1 - p


def betainc(a: Any, b: Any, x: Any, y: Any) -> Tails:
    """The regularized incomplete beta function `I_x(a, b)` and its complement, for `y = 1 - x`."""
    if x <= 0 or y <= 0:
        return (mpf(0), mpf(1)) if x <= 0 else (mpf(1), mpf(0))
    if x * (a + b + 2) > a + 1:
        q, p = betainc(b, a, y, x)
        return p, q

    def terms(n: int) -> tuple[Any, Any]:
        m = n // 2
        if n % 2:
            return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), mpf(1)
        return (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)) if n else None), mpf(1)

    p = exp(a * mp.log(x) + b * mp.log(y) - log_beta(a, b)) / a * _lentz(terms)
    return p, 1 - p


# laws from others -------------------------------------------------------------------------------------------------------


def location_scale(log_density: Callable[[Any], Any], tails: Callable[[Any], Tails]) -> Law:
    """The law of `loc + scale Z`."""
    return Law(
        lambda x, loc, scale: log_density((x - loc) / scale) - mp.log(scale),
        lambda x, loc, scale: tails((x - loc) / scale),
    )


def log_mass(law: Law, low: Any, high: Any, params: Sequence[Any]) -> Any:
    """`log P(low < X <= high)`; None is no bound."""
    assert law.tails is not None
    below_low, above_low = (mpf(0), mpf(1)) if low is None else law.tails(low, *params)
    below_high, above_high = (mpf(1), mpf(0)) if high is None else law.tails(high, *params)
    return mp.log(below_high - below_low if below_high < above_low else above_low - above_high)


def truncated(law: Law, bounds: str) -> Law:
    """A law within bounds, its last parameters: "low", "high" or "both"."""

    def split(params: Sequence[Any]) -> tuple[Sequence[Any], Any, Any]:
        if bounds == "both":
            return params[:-2], params[-2], params[-1]
        return (params[:-1], params[-1], None) if bounds == "low" else (params[:-1], None, params[-1])

    def log_density(x: Any, *params: Any) -> Any:
        base, low, high = split(params)
        return law.log_density(x, *base) - log_mass(law, low, high, base)

    def tails(x: Any, *params: Any) -> Tails:
        base, low, high = split(params)
        whole = log_mass(law, low, high, base)
        below = exp(log_mass(law, low, x, base) - whole) if low is None or x > low else mpf(0)
        above = exp(log_mass(law, x, high, base) - whole) if high is None or x < high else mpf(0)
        return below, above

    return Law(log_density, tails)


def censored(law: Law, side: str) -> Law:
    """A law of which the last parameter tells whether the value is a bound only: an upper one for "left", or a lower one."""

    def log_density(x: Any, *params: Any) -> Any:
        assert law.tails is not None
        if not params[-1]:
            return law.log_density(x, *params[:-1])
        return mp.log(law.tails(x, *params[:-1])[side == "right"])

    return Law(log_density)


def interval_censored(law: Law) -> Law:
    """Values `(low, high)` between which the variable was."""
    return Law(lambda x, *params: log_mass(law, x[0], x[1], params))


def zero_inflated(law: Law) -> Law:
    """A law mixed with 0, whose probability is the first parameter."""

    def log_density(x: Any, gate: Any, *params: Any) -> Any:
        own = mp.log1p(-gate) + law.log_density(x, *params)
        return own if x else mp.log(gate + exp(own))

    return Law(log_density)


def hurdle(law: Law, *, discrete: bool) -> Law:
    """0 with the probability of the first parameter, else a law without its 0."""

    def log_density(x: Any, gate: Any, *params: Any) -> Any:
        if not x:
            return mp.log(gate)
        zero = log1mexp(law.log_density(mpf(0), *params)) if discrete else 0
        return mp.log1p(-gate) + law.log_density(x, *params) - zero

    return Law(log_density)


def folded(law: Law) -> Law:
    """The law of the absolute value."""
    return Law(lambda x, *params: mp.log(exp(law.log_density(x, *params)) + exp(law.log_density(-x, *params))))


# the real line ----------------------------------------------------------------------------------------------------------


def _half_log_2pi() -> Any:
    return mp.log(2 * mp.pi) / 2


def _by_sign(z: Any, tail: Callable[[Any], Any]) -> Tails:
    """Both tails of a symmetric law from the upper one, for `z >= 0`."""
    small = tail(abs(z))
    return (small, 1 - small) if z < 0 else (1 - small, small)


def _levy_tails(z: Any) -> Tails:
    root = 1 / mp.sqrt(2 * z)
    return mp.erfc(root), mp.erf(root)


NORMAL = location_scale(lambda z: -z * z / 2 - _half_log_2pi(), lambda z: _by_sign(z, lambda t: mp.erfc(t / mp.sqrt(2)) / 2))
CAUCHY = location_scale(lambda z: -mp.log(mp.pi) - mp.log1p(z * z), lambda z: _by_sign(z, lambda t: mp.atan2(1, t) / mp.pi))
LAPLACE = location_scale(lambda z: -abs(z) - mp.log(2), lambda z: _by_sign(z, lambda t: exp(-t) / 2))
LOGISTIC = location_scale(lambda z: -abs(z) - 2 * mp.log1p(exp(-abs(z))), lambda z: _by_sign(z, lambda t: exp(-t) / (1 + exp(-t))))
SOFT_LAPLACE = location_scale(
    lambda z: mp.log(2 / mp.pi) - abs(z) - mp.log1p(exp(-2 * abs(z))),
    lambda z: _by_sign(z, lambda t: 2 / mp.pi * mp.atan(exp(-t))),
)
GUMBEL = location_scale(lambda z: -z - exp(-z), lambda z: (exp(-exp(-z)), -mp.expm1(-exp(-z))))
LEVY = location_scale(lambda z: -_half_log_2pi() - mpf(3) / 2 * mp.log(z) - 1 / (2 * z), _levy_tails)


def _student_t_log_density(x: Any, df: Any, loc: Any, scale: Any) -> Any:
    z = (x - loc) / scale
    norm = mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(mp.pi * df) / 2 - mp.log(scale)
    return norm - (df + 1) / 2 * mp.log1p(z * z / df)


def _student_t_tails(x: Any, df: Any, loc: Any, scale: Any) -> Tails:
    square = ((x - loc) / scale) ** 2
    tail = betainc(df / 2, mpf(1) / 2, df / (df + square), square / (df + square))[0] / 2
    return (tail, 1 - tail) if x < loc else (1 - tail, tail)


STUDENT_T = Law(_student_t_log_density, _student_t_tails)


def two_sided_exponential(sides: Callable[[Any, Any], tuple[Any, Any]]) -> Law:
    """Exponential laws left and right of `loc`, with mean distances `sides(scale, shape)`."""

    def log_density(x: Any, loc: Any, scale: Any, shape: Any) -> Any:
        left, right = sides(scale, shape)
        return (x - loc) / (left if x < loc else -right) - mp.log(left + right)

    def tails(x: Any, loc: Any, scale: Any, shape: Any) -> Tails:
        left, right = sides(scale, shape)
        if x < loc:
            below = left / (left + right) * exp((x - loc) / left)
            return below, 1 - below
        above = right / (left + right) * exp((loc - x) / right)
        return 1 - above, above

    return Law(log_density, tails)


ASYMMETRIC_LAPLACE = two_sided_exponential(lambda scale, k: (scale * k, scale / k))
ASYMMETRIC_LAPLACE_QUANTILE = two_sided_exponential(lambda scale, q: (scale / (1 - q), scale / q))


# the positive half-line and intervals -----------------------------------------------------------------------------------


def _positive(law: Law) -> Law:
    """The law of the absolute value, of a symmetric one at 0, by its scale."""

    def tails(x: Any, scale: Any) -> Tails:
        assert law.tails is not None
        above = 2 * law.tails(x, mpf(0), scale)[1]
        return 1 - above, above

    return Law(lambda x, scale: mp.log(2) + law.log_density(x, mpf(0), scale), tails)


def _by_hazard(log_rate: Callable[..., Any], hazard: Callable[..., Any]) -> Law:
    """A law by the logarithm of its hazard rate and by its cumulative hazard."""

    def tails(*args: Any) -> Tails:
        h = hazard(*args)
        return -mp.expm1(-h) if h < 1e12 else mpf(1), exp(-h)

    return Law(lambda *args: log_rate(*args) - hazard(*args), tails)


def _swapped(tails: Tails) -> Tails:
    return tails[1], tails[0]


HALF_NORMAL, HALF_CAUCHY = _positive(NORMAL), _positive(CAUCHY)
LOG_NORMAL = Law(
    lambda x, loc, scale: NORMAL.log_density(mp.log(x), loc, scale) - mp.log(x),
    lambda x, loc, scale: NORMAL.tails(mp.log(x), loc, scale),
)
EXPONENTIAL = _by_hazard(lambda x, rate: mp.log(rate), lambda x, rate: rate * x)
WEIBULL = _by_hazard(
    lambda x, scale, k: mp.log(k / scale) + (k - 1) * mp.log(x / scale), lambda x, scale, k: exp(k * mp.log(x / scale))
)
GOMPERTZ = _by_hazard(lambda x, c, rate: mp.log(c * rate) + rate * x, lambda x, c, rate: c * mp.expm1(rate * x))
PARETO = _by_hazard(lambda x, scale, alpha: mp.log(alpha / x), lambda x, scale, alpha: alpha * mp.log(x / scale))
POWER_LAW = Law(
    lambda x, alpha, low: PARETO.log_density(x, low, -1 - alpha), lambda x, alpha, low: PARETO.tails(x, low, -1 - alpha)
)
GAMMA = Law(
    lambda x, a, rate: a * mp.log(rate) + (a - 1) * mp.log(x) - rate * x - mp.loggamma(a), lambda x, a, rate: gammainc(a, rate * x)
)
CHI2 = Law(lambda x, df: GAMMA.log_density(x, df / 2, mpf("0.5")), lambda x, df: GAMMA.tails(x, df / 2, mpf("0.5")))
INVERSE_GAMMA = Law(
    lambda x, a, rate: GAMMA.log_density(1 / x, a, rate) - 2 * mp.log(x),
    lambda x, a, rate: _swapped(GAMMA.tails(1 / x, a, rate)),
)
UNIFORM = Law(lambda x, low, high: -mp.log(high - low), lambda x, low, high: ((x - low) / (high - low), (high - x) / (high - low)))
LOG_UNIFORM = Law(
    lambda x, low, high: -mp.log(x) - mp.log(mp.log(high / low)),
    lambda x, low, high: (mp.log(x / low) / mp.log(high / low), mp.log(high / x) / mp.log(high / low)),
)
BETA = Law(lambda x, a, b: (a - 1) * mp.log(x) + (b - 1) * mp.log1p(-x) - log_beta(a, b), lambda x, a, b: betainc(a, b, x, 1 - x))
BETA_PROPORTION = Law(
    lambda x, mean, k: BETA.log_density(x, mean * k, (1 - mean) * k), lambda x, mean, k: BETA.tails(x, mean * k, (1 - mean) * k)
)
KUMARASWAMY = _by_hazard(
    lambda x, a, b: mp.log(a * b) + (a - 1) * mp.log(x) - log1mexp(a * mp.log(x)), lambda x, a, b: -b * log1mexp(a * mp.log(x))
)


def _dagum_log_tail(x: Any, c: Any, a: Any, scale: Any) -> Any:
    return c * log_sigmoid(a * mp.log(x / scale))


DAGUM = Law(
    lambda x, c, a, scale: mp.log(a * c / x) + log_sigmoid(-a * mp.log(x / scale)) + _dagum_log_tail(x, c, a, scale),
    lambda *args: (exp(_dagum_log_tail(*args)), -mp.expm1(_dagum_log_tail(*args))),
)


def _power_integral(low: Any, high: Any, alpha: Any) -> Any:
    length = mp.log(high / low)
    return length if alpha == -1 else low ** (alpha + 1) * mp.expm1((alpha + 1) * length) / (alpha + 1)


DOUBLY_TRUNCATED_POWER_LAW = Law(
    lambda x, alpha, low, high: alpha * mp.log(x) - mp.log(_power_integral(low, high, alpha)),
    lambda x, alpha, low, high: (
        _power_integral(low, x, alpha) / _power_integral(low, high, alpha),
        _power_integral(x, high, alpha) / _power_integral(low, high, alpha),
    ),
)


def _relaxed_bernoulli_log_density(x: Any, temperature: Any, logits: Any) -> Any:
    log_odds = mp.log(x / (1 - x))
    return LOGISTIC.log_density(log_odds, logits / temperature, 1 / temperature) - mp.log(x) - mp.log1p(-x)


RELAXED_BERNOULLI = Law(_relaxed_bernoulli_log_density)


# directions -------------------------------------------------------------------------------------------------------------


def _log_i0(k: Any) -> Any:
    return mp.log(mp.besseli(0, k))


def _projected_normal(x: Sequence[Any], concentration: Sequence[Any]) -> Any:
    a = sum(u * c for u, c in zip(x, concentration))
    cdf, density = mp.erfc(-a / mp.sqrt(2)) / 2, exp(-a * a / 2 - _half_log_2pi())
    moment = a * cdf + density if len(x) == 2 else (1 + a * a) * cdf + a * density
    rest = sum((c - a * u) ** 2 for u, c in zip(x, concentration))
    return mp.log(moment) - rest / 2 - (len(x) - 1) * _half_log_2pi()


def _sine_bivariate_von_mises(x: Sequence[Any], loc: Sequence[Any], k: Sequence[Any], correlation: Any) -> Any:
    u, v = x[0] - loc[0], x[1] - loc[1]
    total, n = mpf(0), 0
    while True:
        term = mp.binomial(2 * n, n) * (correlation**2 / (4 * k[0] * k[1])) ** n * mp.besseli(n, k[0]) * mp.besseli(n, k[1])
        total += term
        if term <= total * mpf(10) ** -25:
            break
        n += 1
    return k[0] * mp.cos(u) + k[1] * mp.cos(v) + correlation * mp.sin(u) * mp.sin(v) - mp.log(4 * mp.pi**2 * total)


VON_MISES = Law(lambda x, loc, k: k * mp.cos(x - loc) - mp.log(2 * mp.pi) - _log_i0(k))
PROJECTED_NORMAL = Law(_projected_normal)
SINE_BIVARIATE_VON_MISES = Law(_sine_bivariate_von_mises)


# counts -----------------------------------------------------------------------------------------------------------------


def _trials(k: Any, n: Any, log_yes: Any, log_no: Any) -> Any:
    """`k log_yes + (n - k) log_no`, where `0 log 0 = 0`."""
    return (k * log_yes if k else 0) + ((n - k) * log_no if n != k else 0)


def _by_logits(k: Any, n: Any, logits: Any) -> Any:
    return _trials(k, n, log_sigmoid(logits), log_sigmoid(-logits))


def _by_probs(k: Any, n: Any, probs: Any) -> Any:
    return _trials(k, n, mp.log(probs), mp.log1p(-probs))


def _negative_binomial(k: Any, r: Any, log_yes: Any, log_no: Any) -> Any:
    return mp.loggamma(r + k) - mp.loggamma(k + 1) - mp.loggamma(r) + _trials(k, k + r, log_yes, log_no)


def _beta_negative_binomial(k: Any, a: Any, b: Any, n: Any) -> Any:
    return mp.loggamma(n + k) - mp.loggamma(k + 1) - mp.loggamma(n) + log_beta(a + k, b + n) - log_beta(a, b)


def _gamma_poisson_tails(k: Any, a: Any, rate: Any) -> Tails:
    return betainc(a, k + 1, rate / (1 + rate), 1 / (1 + rate))


def _binomial_tails(k: Any, n: Any, yes: Any, no: Any) -> Tails:
    return betainc(n - k, k + 1, no, yes) if k < n else (mpf(1), mpf(0))


def _by_sigmoid(tails: Callable[..., Tails], k: Any, logits: Any, *params: Any) -> Tails:
    """The tails with log odds in place of probabilities."""
    return tails(k, *params, exp(log_sigmoid(logits)), exp(log_sigmoid(-logits)))


def _geometric_tails(k: Any, log_no: Any) -> Tails:
    return -mp.expm1((k + 1) * log_no), exp((k + 1) * log_no)


def _of_categories(i: Any, probs: Sequence[Any]) -> Tails:
    return sum(probs[: int(i) + 1], mpf(0)), sum(probs[int(i) + 1 :], mpf(0))


BERNOULLI_PROBS = Law(lambda k, p: _by_probs(k, 1, p), lambda k, p: _binomial_tails(k, 1, p, 1 - p))
BERNOULLI_LOGITS = Law(lambda k, logits: _by_logits(k, 1, logits), lambda k, logits: _by_sigmoid(_binomial_tails, k, logits, 1))
BINOMIAL_PROBS = Law(lambda k, p, n: log_binomial(n, k) + _by_probs(k, n, p), lambda k, p, n: _binomial_tails(k, n, p, 1 - p))
BINOMIAL_LOGITS = Law(
    lambda k, logits, n: log_binomial(n, k) + _by_logits(k, n, logits),
    lambda k, logits, n: _by_sigmoid(_binomial_tails, k, logits, n),
)
BETA_BINOMIAL = Law(lambda k, a, b, n: log_binomial(n, k) + log_beta(a + k, b + n - k) - log_beta(a, b))
GEOMETRIC_PROBS = Law(lambda k, p: _by_probs(1, k + 1, p), lambda k, p: _geometric_tails(k, mp.log1p(-p)))
GEOMETRIC_LOGITS = Law(lambda k, logits: _by_logits(1, k + 1, logits), lambda k, logits: _geometric_tails(k, log_sigmoid(-logits)))
POISSON = Law(lambda k, rate: k * mp.log(rate) - rate - mp.loggamma(k + 1), lambda k, rate: _swapped(gammainc(k + 1, rate)))
GAMMA_POISSON = Law(
    lambda k, a, rate: _negative_binomial(k, a, -mp.log1p(rate), mp.log(rate) - mp.log1p(rate)), _gamma_poisson_tails
)
NEGATIVE_BINOMIAL_PROBS = Law(
    lambda k, r, p: _negative_binomial(k, r, mp.log(p), mp.log1p(-p)), lambda k, r, p: betainc(r, k + 1, 1 - p, p)
)
NEGATIVE_BINOMIAL_LOGITS = Law(
    lambda k, r, logits: _negative_binomial(k, r, log_sigmoid(logits), log_sigmoid(-logits)),
    lambda k, r, logits: betainc(r, k + 1, exp(log_sigmoid(-logits)), exp(log_sigmoid(logits))),
)
NEGATIVE_BINOMIAL2 = Law(
    lambda k, mean, a: GAMMA_POISSON.log_density(k, a, a / mean), lambda k, mean, a: _gamma_poisson_tails(k, a, a / mean)
)
BETA_NEGATIVE_BINOMIAL = Law(_beta_negative_binomial)
ZERO_INFLATED_POISSON, HURDLE_POISSON = zero_inflated(POISSON), hurdle(POISSON, discrete=True)
ZERO_INFLATED_NEGATIVE_BINOMIAL2 = zero_inflated(NEGATIVE_BINOMIAL2)
HURDLE_NEGATIVE_BINOMIAL2 = hurdle(NEGATIVE_BINOMIAL2, discrete=True)
HURDLE_GAMMA, HURDLE_LOG_NORMAL = hurdle(GAMMA, discrete=False), hurdle(LOG_NORMAL, discrete=False)


# vectors ----------------------------------------------------------------------------------------------------------------


def _log_softmax(logits: Sequence[Any]) -> list[Any]:
    top = max(logits)
    norm = top + mp.log(sum(exp(x - top) for x in logits))
    return [x - norm for x in logits]


def _multinomial(k: Sequence[Any], log_probs: Sequence[Any]) -> Any:
    return mp.loggamma(sum(k) + 1) + sum(n * p - mp.loggamma(n + 1) for n, p in zip(k, log_probs))


def _dirichlet(x: Sequence[Any], a: Sequence[Any]) -> Any:
    return mp.loggamma(sum(a)) + sum((c - 1) * mp.log(u) - mp.loggamma(c) for u, c in zip(x, a))


def _dirichlet_multinomial(k: Sequence[Any], a: Sequence[Any], n: Any) -> Any:
    total = sum(a)
    norm = mp.loggamma(n + 1) + mp.loggamma(total) - mp.loggamma(n + total)
    return norm + sum(mp.loggamma(c + i) - mp.loggamma(c) - mp.loggamma(i + 1) for i, c in zip(k, a))


def _ordered_logistic(x: Any, predictor: Any, cutpoints: Sequence[Any]) -> Any:
    i = int(x)
    low = None if i == 0 else cutpoints[i - 1]
    high = None if i == len(cutpoints) else cutpoints[i]
    return log_mass(LOGISTIC, low, high, (predictor, mpf(1)))


def _ordered_logistic_tails(x: Any, predictor: Any, cutpoints: Sequence[Any]) -> Tails:
    i = int(x)
    if i == len(cutpoints):
        return mpf(1), mpf(0)
    z = cutpoints[i] - predictor
    return exp(log_sigmoid(z)), exp(log_sigmoid(-z))


def _lkj_cholesky(diagonal: Sequence[Any], eta: Any) -> Any:
    """By the diagonal of the factor, without its first entry, which is 1."""
    d = len(diagonal) + 1
    total = mpf(0)
    for i, x in enumerate(diagonal, 1):
        b = eta + mpf(d - 1 - i) / 2
        total += (d - i - 1 + 2 * (eta - 1)) * mp.log(x)
        total -= i * mp.log(mp.pi) / 2 + mp.loggamma(b) - mp.loggamma(eta + mpf(d - 1) / 2)
    return total


def _multivariate_student_t(x: Sequence[Any], df: Any, loc: Sequence[Any], diagonal: Sequence[Any]) -> Any:
    d = len(x)
    square = sum(((u - m) / s) ** 2 for u, m, s in zip(x, loc, diagonal))
    norm = mp.loggamma((df + d) / 2) - mp.loggamma(df / 2) - mpf(d) / 2 * mp.log(mp.pi * df) - sum(mp.log(s) for s in diagonal)
    return norm - (df + d) / 2 * mp.log1p(square / df)


CATEGORICAL_PROBS = Law(lambda x, probs: mp.log(probs[int(x)]), _of_categories)
CATEGORICAL_LOGITS = Law(
    lambda x, logits: _log_softmax(logits)[int(x)],
    lambda x, logits: _of_categories(x, [exp(p) for p in _log_softmax(logits)]),
)
ORDERED_LOGISTIC = Law(_ordered_logistic, _ordered_logistic_tails)
MULTINOMIAL_PROBS = Law(lambda k, probs, _: _multinomial(k, [mp.log(p) for p in probs]))
MULTINOMIAL_LOGITS = Law(lambda k, logits, _: _multinomial(k, _log_softmax(logits)))
DIRICHLET, DIRICHLET_MULTINOMIAL = Law(_dirichlet), Law(_dirichlet_multinomial)
LKJ_CHOLESKY, MULTIVARIATE_STUDENT_T = Law(_lkj_cholesky), Law(_multivariate_student_t)
