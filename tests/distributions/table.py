"""The whole table, and the two programs per case that its tests share: one in float32 that draws, one in float64.

Both run on all settings of a case at once: the first on a distribution of batch shape (k,), the second on a `vmap` over settings.
"""

import functools
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from case import Case
from cases import CONTINUOUS
from cases_discrete import DISCRETE
from cases_multivariate import COUNTS, MULTIVARIATE
from scipy import stats

from ppl.distributions import biject_to

EVERY = CONTINUOUS + DISCRETE + MULTIVARIATE
SCALARS = CONTINUOUS + DISCRETE
INTEGERS = DISCRETE + COUNTS
LEVELS = np.array([1e-6, 0.001, 0.02, 0.2, 0.45, 0.7, 0.97, 0.999, 0.9999])


def n_draws(case: Case) -> int:
    """As many as take little time beside compiling."""
    return 10_000 if case in CONTINUOUS else 3000


def cases(table: list[Case], *members: str, holds: str = "") -> Any:
    """Parametrize a test with the cases of a table that define these members.

    Where the property `holds` is named in `without`, the test must fail: the reason that the case gives cannot be stale.
    """

    def marks(case: Case) -> Any:
        return pytest.mark.xfail(strict=True, raises=AssertionError, reason=case.without[holds]) if holds in case.without else ()

    chosen = [pytest.param(case, id=case.name, marks=marks(case)) for case in table if case.has(*members)]
    return pytest.mark.parametrize("case", chosen)


def outside(case: Case) -> np.ndarray:
    """Values outside the support, of shape (m, k, *event): those that the case names, and beyond the ends that SciPy knows."""
    event = np.shape(case.outside[0]) if case.outside else case.build().event_shape
    dtype = np.int32 if case in INTEGERS else np.float32
    if case in MULTIVARIATE:
        repeated = [np.stack([x] * len(case.settings)) for x in case.outside]
        return np.reshape(repeated, (len(repeated), len(case.settings), *event)).astype(dtype)
    beyond, step = [], 1 if case in DISCRETE else 0.01
    for low, high in (law.support() for law in case.references()):
        margin = step if case in DISCRETE else step * max(1e-3, *(abs(end) for end in (low, high) if np.isfinite(end)), 1e-3)
        beyond.append([end for end in (low - margin, high + margin) if np.isfinite(end)])
    columns = [[*case.outside, *beyond[0]], *beyond[1:]]
    rows = max(map(len, columns))
    filled = [(column * rows)[:rows] for column in columns]
    return np.array(filled, dtype).reshape(len(columns), rows).T


def basis(params: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tangents of parameters batched over k settings: one per entry of a parameter that is not zero in all of them."""
    free = {name: np.flatnonzero((p != 0).any(0)) for name, p in params.items()}
    total, start, tangents = sum(map(len, free.values())), 0, {}
    for name, p in params.items():
        rows = np.zeros((total, p[0].size), p.dtype)
        rows[np.arange(start, start + len(free[name])), free[name]] = 1
        tangents[name] = np.stack([rows.reshape(total, *p[0].shape)] * len(p), 1)
        start += len(free[name])
    return tangents


@functools.cache
def single(case: Case) -> dict[str, Any]:
    """In float32, with the settings along axis 1 of draws (n, k, *event), by two programs: one draws, one looks at values.

    The second runs on draws, values outside, and ends of the support; and again on the quantiles that it gave the first time.
    """
    params, static = case.batch(np.float32)
    tangents = basis(params)

    def with_slopes(function: Any, params: Any) -> Any:
        """Of a function of the parameters: value, and derivatives by each entry along a new leading axis."""
        return jax.vmap(lambda tangent: jax.jvp(function, (params,), (tangent,)), out_axes=(None, 0))(tangents)

    @jax.jit
    def draw(params: Any, key: Any) -> dict[str, Any]:
        d = case.make(**params, **static)
        out = {member: getattr(d, member) for member in ("mean", "variance") if case.has(member)}
        out |= {"entropy": d.entropy()} if case.has("entropy") else {}
        if case in CONTINUOUS:
            out["ends"] = jnp.broadcast_to(biject_to(d.support)(jnp.array([[-20.0], [20.0]])), d.shape((2,)))
        if not case.has("rsample"):
            return out | {"x": d.sample(key, (n_draws(case),))}
        x, slopes = with_slopes(lambda params: case.make(**params, **static).sample(key, (n_draws(case),)), params)
        return out | {"x": x, "by_draw": slopes}

    def density(d: Any, x: Any) -> Any:
        log_prob = d.log_prob(x)
        return log_prob[:inner].sum(), log_prob

    @jax.jit
    def look(d: Any, params: Any, x: Any, levels: Any) -> dict[str, Any]:
        out = {"inside": d.support(x)}
        if case in MULTIVARIATE:
            out["log_prob"], out["scores"] = with_slopes(lambda params: case.make(**params, **static).log_prob(x), params)
        elif case in DISCRETE:
            out["log_prob"] = d.log_prob(x)
        else:
            (_, out["log_prob"]), out["by_value"] = jax.value_and_grad(density, (0, 1), has_aux=True)(d, x)
        return out | {m: getattr(d, m)(at) for m, at in (("cdf", x), ("icdf", levels)) if case.has(m)}

    key = jax.random.key(zlib.crc32(case.name.encode()))
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        d = case.make(**params, **static)
        out = jax.tree.map(np.asarray, draw(params, key))
        values = np.concatenate([out["x"], *([out["ends"]] if "ends" in out else []), outside(case)])
        inner = len(values) - len(outside(case))
        out |= look(d, params, values, np.stack([LEVELS.astype(np.float32)] * len(case.settings), 1))
        if case.has("cdf", "icdf"):
            again = look(d, params, np.resize(out["icdf"], values.shape), out["cdf"][: len(LEVELS)])
            out["cdf_of_icdf"], out["log_prob_of_icdf"] = (again[name][: len(LEVELS)] for name in ("cdf", "log_prob"))
            out["icdf_of_cdf"] = again["icdf"]
    return jax.tree.map(np.asarray, out) | {"beyond": inner}


def chi_square(draws: np.ndarray, values: np.ndarray, mass: np.ndarray) -> float:
    """The p-value of Pearson's test, with cells of at least 10 expected draws; the last takes the rest."""
    expected, observed, left = [], [], [0.0, 0]
    counts = np.array([(draws == v).sum() for v in values])
    for e, o in zip(len(draws) * mass, counts):
        left = [left[0] + e, left[1] + o]
        if left[0] >= 10:
            expected.append(left[0])
            observed.append(left[1])
            left = [0.0, 0]
    expected[-1], observed[-1] = len(draws) - sum(expected[:-1]), len(draws) - sum(observed[:-1])
    if len(expected) == 1:
        return 1.0
    statistic = sum((o - e) ** 2 / e for o, e in zip(observed, expected))
    return float(stats.chi2.sf(statistic, len(expected) - 1))


def grid(law: Any) -> np.ndarray:
    """Counts that have all but 1e-9 of the probability of a reference law."""
    low = law.support()[0]
    candidates = np.arange(low, low + 800)
    mass = np.exp(law.logpmf(candidates))
    last = np.searchsorted(np.cumsum(mass), 1 - 1e-9)
    return candidates[np.flatnonzero(mass[: last + 1] > 0)[0] : min(last + 1, 800)].astype(np.int32)


def places(case: Case) -> np.ndarray:
    """Values (n, k, *event) at which densities are compared: quantiles of draws, all counts that matter, or a few draws."""
    if case in DISCRETE:
        grids = [grid(law) for law in case.references()]
        rows = max(map(len, grids))
        return np.stack([np.concatenate([g, np.full(rows - len(g), g[-1])]) for g in grids], 1)
    x = single(case)["x"].astype(single(case)["x"].dtype if case in INTEGERS else np.float64)
    if case in CONTINUOUS:
        return np.quantile(x, [0.001, *((np.arange(30) + 0.5) / 30), 0.999], axis=0, method="nearest")
    return case.exactly(x[:6])


@functools.cache
def double(case: Case) -> dict[str, Any]:
    """In float64, with the settings along axis 0: what the family says at `places`, gradients, and finite differences."""
    x, (params, static) = places(case), case.batch(np.float64)
    varying = {name: p for name, p in static.items() if any(name in other for other in case.others)}
    fixed = {name: p for name, p in static.items() if name not in varying}
    weights = np.cos(np.arange(len(x)))
    by_value = case not in INTEGERS

    @jax.jit
    def run(params: Any, varying: Any, x: Any, levels: Any) -> dict[str, Any]:
        def one(params: Any, varying: Any, x: Any, levels: Any) -> dict[str, Any]:
            def density(params: Any, x: Any) -> Any:
                log_prob = case.make(**params, **varying, **fixed).log_prob(x)
                return (weights * log_prob).sum(), log_prob

            d = case.make(**params, **varying, **fixed)
            out = {member: getattr(d, member) for member in ("mean", "variance") if case.has(member)}
            if case.has("entropy"):
                out["entropy"] = d.entropy()
            if case.has("cdf"):
                out["cdf"] = d.cdf(x)
            if case.has("icdf"):
                out["icdf"] = d.icdf(levels)
            wanted = (0, 1) if by_value else (0,)
            (out["sum"], out["log_prob"]), out["slopes"] = jax.value_and_grad(density, wanted, has_aux=True)(params, x)
            return out

        return jax.vmap(one, (0, 0, 1, 0))(params, varying, x, levels)

    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        levels = np.stack([np.resize(LEVELS, len(x))] * len(case.settings))
        out = run(params, varying, x, levels)
        if case.has("cdf", "icdf"):
            again = run(params, varying, np.asarray(out["icdf"]).T.astype(x.dtype), out["cdf"])
            out["cdf_of_icdf"], out["icdf_of_cdf"] = again["cdf"], again["icdf"]
        slopes = jax.tree.map(np.asarray, out.pop("slopes"))
        moved = {name: (p, slopes[0][name], 1e-6 * np.maximum(np.abs(p), 0.1)) for name, p in params.items()}
        if by_value:
            moved["value"] = (x, np.moveaxis(slopes[1], 0, 1), 1e-8 * np.maximum(np.abs(x), 1e-4))
        out["differences"], out["by_cdf"] = {}, []
        for name, (p, slope, step) in moved.items():
            step = step * np.random.default_rng(0).uniform(0.5, 1.5, p.shape)
            at = [({**params, name: p + s * step}, x) if name in params else (params, x + s * step) for s in (1, -1)]
            ends = [jax.tree.map(np.asarray, run(changed, varying, points, levels)) for changed, points in at]
            axes = tuple(i for i in range(p.ndim) if i != (name == "value"))
            size = np.abs(step).max(axes)
            out["differences"][name] = (slope * step).sum(axes) / size, (ends[0]["sum"] - ends[1]["sum"]) / (2 * size)
            if case.has("cdf", "rsample") and name in params and p.any():
                out["by_cdf"].append((ends[0]["cdf"] - ends[1]["cdf"]) / (2 * step[:, None]))
    return jax.tree.map(np.asarray, out) | {"x": x}
