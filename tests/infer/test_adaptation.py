"""Warm-up: dual averaging, windows, covariance, and what a run makes of them."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from scipy import special
from targets import CORRELATED, COVARIANCE

from ppl._typing import Array
from ppl.infer import HMC, MCMC, NUTS
from ppl.infer.adaptation.covariance import estimate, regularize, welford_init, welford_update
from ppl.infer.adaptation.dual_averaging import dual_averaging_init
from ppl.infer.adaptation.warmup import Schedule, Signal, Warmup
from ppl.infer.adaptation.windows import MAX_WINDOWS, build_adaptation_schedule, window_ends
from ppl.infer.algorithms.metric import metric_from_inverse

WINDOWS = {
    2000: [75, 25, 50, 100, 200, 400, 1100, 50],
    1000: [75, 25, 50, 100, 200, 500, 50],
    500: [75, 25, 50, 100, 200, 50],
    300: [75, 25, 50, 100, 50],
    160: [75, 35, 50],
    150: [75, 25, 50],
    100: [15, 75, 10],
    20: [3, 15, 2],
    19: [19],
    1: [1],
}


@pytest.mark.parametrize("count", WINDOWS)
def test_windows(count: int) -> None:
    """The table; windows follow one another and end with warm-up."""
    windows = build_adaptation_schedule(count)
    assert [window.end - window.start + 1 for window in windows] == WINDOWS[count]
    assert [window.start for window in windows] == [0] + [window.end + 1 for window in windows[:-1]]
    ends = window_ends(count)
    assert ends[: len(windows)].tolist() == [window.end for window in windows]
    assert (ends[len(windows) :] == -1).all() and len(ends) == MAX_WINDOWS


def test_windows_cover_every_length() -> None:
    for count in range(1, 3000, 7):
        windows = build_adaptation_schedule(count)
        assert sum(window.end - window.start + 1 for window in windows) == count
        assert all(window.end >= window.start for window in windows)
    assert (window_ends(0) == -1).all()


class Reference:
    """Warm-up in NumPy: a page of it, straight from the formulas, in float64."""

    def __init__(self, count: int, target: float, shapes: tuple[tuple[int, ...], ...], regularize: bool, eps: float) -> None:
        self.target, self.shapes, self.regularize, self.eps = target, shapes, regularize, eps
        self.windows = build_adaptation_schedule(count)
        self.count = count
        d = sum(shape[0] for shape in shapes)
        self.cov, self.draws = np.eye(d), []
        self.restart()

    def restart(self) -> None:
        self.mu, self.t, self.h, self.log_bar = math.log(10 * self.eps), 0, 0.0, 0.0
        self.ratio = math.sqrt(special.erfcinv(self.target))
        self.s, self.information = self.eps / self.ratio, 0.1

    def update(self, i: int, position: np.ndarray, accept: float) -> tuple[float, np.ndarray]:
        self.t += 1
        self.h = (1 - 1 / (self.t + 10)) * self.h + (self.target - accept) / (self.t + 10)
        log_eps = self.mu - math.sqrt(self.t) / 0.05 * self.h
        self.log_bar = self.t**-0.75 * log_eps + (1 - self.t**-0.75) * self.log_bar
        q = (self.eps / self.s) ** 2
        slope = 4 / math.sqrt(math.pi) * q * math.exp(-q * q)
        self.information += slope**2
        log_s = math.log(self.s) + slope * (accept - math.erfc(q)) / self.information
        centre = self.log_bar - math.log(self.ratio)
        self.s = math.exp(min(max(log_s, centre - 0.7), centre + 0.7))
        last = self.s * self.ratio * math.exp(-0.15 / math.sqrt(1 + self.information))
        self.eps = last if i == self.count - 1 else math.exp(log_eps)
        number = next(k for k, window in enumerate(self.windows) if window.start <= i <= window.end)
        if 0 < number < len(self.windows) - 1:
            self.draws.append(position)
            if i == self.windows[number].end:
                n, cov = len(self.draws), np.atleast_2d(np.cov(np.array(self.draws).T))
                start = 0
                mask = np.zeros_like(cov)
                for shape in self.shapes:
                    stop = start + shape[0]
                    mask[start:stop, start:stop] = np.eye(shape[0]) if len(shape) == 1 else 1.0
                    start = stop
                self.cov = mask * cov
                if self.regularize:
                    self.cov = n / (n + 5) * self.cov + 1e-3 * 5 / (n + 5) * np.eye(len(cov))
                self.draws = []
                self.restart()
        return self.eps, self.cov


SHAPES = ((2, 2), (1,))


def deviation_from_reference(make: Any = Warmup, count: int = 200, regularize: bool = True) -> float:
    """The largest relative difference of step sizes and metrics, along a warm-up with made-up positions and acceptances."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(5)
        # far away at first, then about a point: what early windows collect matters
        positions = CORRELATED.draw(rng, count) + 30.0 * np.exp(-np.arange(count) / 20.0)[:, None]
        accepts = rng.beta(4.0, 1.2, count)
        warmup = make(target_accept_prob=0.8, adapt_step_size=True, adapt_metric=True, regularize=regularize, block_shapes=SHAPES)
        schedule = Schedule(jnp.int32(count), jnp.asarray(window_ends(count)))
        start = warmup.init(jnp.asarray(0.7), metric_from_inverse((jnp.eye(2), jnp.ones(1))))

        @jax.jit
        def run(positions: Array, accepts: Array) -> Any:
            def step(state: Any, row: Any) -> Any:
                i, position, accept = row
                state = warmup.update(i, Signal(position=position, accept_prob=accept), state, schedule)
                return state, (state.step_size, state.metric, state.tuning.averaging.x_avg)

            return jax.lax.scan(step, start, (jnp.arange(count, dtype=jnp.int32), positions, accepts))[1]

        step_sizes, metrics, averages = run(jnp.asarray(positions), jnp.asarray(accepts))
        reference = Reference(count, 0.8, SHAPES, regularize, 0.7)
        worst = 0.0
        for i in range(count):
            eps, cov = reference.update(i, positions[i], accepts[i])
            if reference.t:  # not just restarted
                worst = max(worst, abs(float(averages[i]) - reference.log_bar))
            found = np.block([[np.asarray(metrics.inverse[0][i]), np.zeros((2, 1))], [np.zeros((1, 2)), metrics.inverse[1][i]]])
            worst = max(worst, abs(float(step_sizes[i]) / eps - 1), np.max(np.abs(found - cov)) / np.max(np.abs(cov)))
            root = np.asarray(metrics.root[0][i])
            worst = max(worst, np.max(np.abs(root @ root.T @ cov[:2, :2] - np.eye(2))))
        return worst


@pytest.mark.parametrize(("count", "regularize"), [(200, True), (60, False), (15, True)])
def test_warmup_equals_its_formulas(count: int, regularize: bool) -> None:
    assert deviation_from_reference(count=count, regularize=regularize) < 1e-9


def test_welford_equals_numpy() -> None:
    """The sample covariance of few draws far from zero, dense and diagonal, in float32; and the regularisation."""
    draws = (CORRELATED.draw(np.random.default_rng(0), 12) + 100.0).astype(np.float32)
    state = welford_init(((3, 3),), jnp.float32)
    both = welford_init(((1,), (2, 2)), jnp.float32)
    update = jax.jit(lambda x, a, b: (welford_update(x, a), welford_update(x, b)))
    for row in draws:
        state, both = update(row, state, both)
    expected = np.cov(draws.T.astype(np.float64))
    np.testing.assert_allclose(estimate(state)[0], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(estimate(both)[0], expected[:1, 0], rtol=1e-3)
    np.testing.assert_allclose(estimate(both)[1], expected[1:, 1:], rtol=1e-3, atol=1e-4)
    shrunk = regularize(estimate(state), state.n)[0]
    np.testing.assert_allclose(shrunk, 12 / 17 * expected + 5e-3 / 17 * np.eye(3), rtol=1e-3, atol=1e-4)
    assert int(state.n) == 12


def test_a_stuck_chain_keeps_its_metric() -> None:
    """Where all positions of a window are equal and nothing regularises, the old metric stays, block by block."""
    warmup = Warmup(0.8, True, True, False, ((1,), (2, 2)))
    schedule = Schedule(jnp.int32(30), jnp.asarray(window_ends(30)))
    metric = metric_from_inverse((jnp.array([2.0]), jnp.eye(2)))

    @jax.jit
    def run() -> Any:
        def step(i: Array, state: Any) -> Any:
            x = i.astype(jnp.float32)
            position = jnp.stack([x * 0, jnp.sin(x), jnp.cos(3 * x)])
            return warmup.update(i, Signal(position=position, accept_prob=jnp.float32(0.5)), state, schedule)

        return jax.lax.fori_loop(0, 30, step, warmup.init(jnp.float32(0.1), metric))

    state = run()
    assert float(state.metric.inverse[0][0]) == 2.0
    assert abs(float(state.metric.inverse[1][0, 0]) - 0.5) < 0.2 and np.isfinite(float(state.step_size))


def test_dual_averaging_finds_the_root() -> None:
    """The averaged iterate solves E[g(x)] = 0 for a noisy decreasing function; here at x = 1."""
    from ppl.infer.adaptation.dual_averaging import dual_averaging_update

    def step(state: Any, noise: Array) -> Any:
        return dual_averaging_update(0.1 * (state.x_t - 1.0) + 0.05 * noise, state), None

    noise = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    end = jax.jit(lambda noise: jax.lax.scan(step, dual_averaging_init(jnp.float32(0.0)), noise)[0])(noise)
    assert abs(float(end.x_avg) - 1.0) < 0.05


# In a run

SCALES = np.geomspace(1e-2, 1e2, 10).astype(np.float32)


def adapted(kernel: Any, dimension: int, **options: Any) -> MCMC:
    settings = dict(num_warmup=1000, num_samples=500, progress_bar=False) | options
    mcmc = MCMC(kernel, **settings)
    mcmc.run(
        jax.random.key(1),
        init_params=jnp.zeros(dimension),
        extra_fields=("adapt_state.step_size", "adapt_state.inverse_mass_matrix", "accept_prob", "num_steps", "i"),
    )
    return mcmc


def changes_after_warmup(mcmc: MCMC) -> bool:
    fields = mcmc.get_extra_fields()
    return any((np.asarray(fields[name]) != fields[name][0]).any() for name in fields if name.startswith("adapt_state"))


def test_diagonal_adaptation_of_nuts() -> None:
    """Scales over four orders: variances within [.7, 1.4], acceptance in [target - .03, target + .10], nothing moves afterwards."""
    mcmc = adapted(NUTS(potential_fn=lambda z: 0.5 * jnp.sum((z / SCALES) ** 2)), 10)
    fields = mcmc.get_extra_fields()
    ratio = np.asarray(fields["adapt_state.inverse_mass_matrix"][0]) / SCALES**2
    assert (ratio[1:] > 0.7).all() and (ratio < 1.5).all()
    assert 0.77 < np.mean(fields["accept_prob"]) < 0.9
    assert not changes_after_warmup(mcmc)
    assert np.asarray(fields["num_steps"]).max() <= 31
    assert np.asarray(fields["i"]).tolist() == list(range(1001, 1501))


def test_dense_adaptation_of_hmc() -> None:
    """The metric is the covariance, and the acceptance is near its target.

    With a number of steps, since a fixed length makes the acceptance jump where the number of steps changes; and near 1, where
    the acceptance of two steps falls with the step size (of half a period it is 1 again).
    """
    target = 0.9
    kernel = HMC(potential_fn=CORRELATED.potential, num_steps=2, trajectory_length=None, dense_mass=True, target_accept_prob=target)
    mcmc = adapted(kernel, 3)
    fields = mcmc.get_extra_fields()
    np.testing.assert_allclose(fields["adapt_state.inverse_mass_matrix"][0], COVARIANCE, atol=0.35)
    assert target - 0.08 < np.mean(fields["accept_prob"]) < min(target + 0.15, 1.0)
    assert not changes_after_warmup(mcmc)


def test_nothing_is_adapted_when_told() -> None:
    """Step size and metric are those given; also without warm-up, where the first sampling iteration uses them."""
    inverse = np.array([0.5, 2.0, 0.3], np.float32)
    kernel = NUTS(
        potential_fn=CORRELATED.potential,
        step_size=0.25,
        inverse_mass_matrix=inverse,
        adapt_step_size=False,
        adapt_mass_matrix=False,
    )
    fields = adapted(kernel, 3, num_warmup=150, num_samples=20).get_extra_fields()
    assert (np.asarray(fields["adapt_state.step_size"]) == 0.25).all()
    assert (np.asarray(fields["adapt_state.inverse_mass_matrix"]) == inverse).all()
    adapting = NUTS(potential_fn=CORRELATED.potential, step_size=0.25, inverse_mass_matrix=inverse)
    fields = adapted(adapting, 3, num_warmup=0, num_samples=20).get_extra_fields()
    assert (np.asarray(fields["adapt_state.step_size"]) == 0.25).all()
    assert (np.asarray(fields["adapt_state.inverse_mass_matrix"]) == inverse).all()


def test_only_one_of_step_size_and_metric_is_adapted() -> None:
    only_metric = NUTS(potential_fn=CORRELATED.potential, step_size=0.25, adapt_step_size=False)
    fields = adapted(only_metric, 3, num_warmup=150, num_samples=20).get_extra_fields()
    assert (np.asarray(fields["adapt_state.step_size"]) == 0.25).all()
    assert (np.asarray(fields["adapt_state.inverse_mass_matrix"]) != 1.0).all()
    only_step = NUTS(potential_fn=CORRELATED.potential, step_size=0.25, adapt_mass_matrix=False)
    fields = adapted(only_step, 3, num_warmup=150, num_samples=20).get_extra_fields()
    assert (np.asarray(fields["adapt_state.step_size"]) != 0.25).all()
    assert (np.asarray(fields["adapt_state.inverse_mass_matrix"]) == 1.0).all()


def test_search_for_a_first_step_size() -> None:
    """From a step size that is off by orders, the search comes within a factor of a few of what one leapfrog step tolerates."""
    kernel = NUTS(potential_fn=lambda z: 0.5 * jnp.sum((z / 1e-3) ** 2), step_size=10.0, find_heuristic_step_size=True)
    state = kernel.init(jax.random.key(0), 0, jnp.array([1e-3, 0.0]))
    assert 1e-4 < float(state.adapt_state.step_size) < 4e-3


@pytest.mark.parametrize(("target", "power"), [(0.8, 2.0), (0.8, 2.5), (0.65, 2.0), (0.95, 1.5)])
def test_the_last_step_size_has_the_target_acceptance(target: float, power: float) -> None:
    """Of made-up acceptances about a curve `erfc((e / 0.4)^power)`, in 50 iterations from a step size four times too large.

    Also for curves of another steepness. Means are over 200 warm-ups, with a standard error of at most .005.
    """
    warmup = Warmup(target, adapt_step_size=True, adapt_metric=False, regularize=True, block_shapes=((1,),))
    schedule = Schedule(jnp.int32(50), jnp.asarray(window_ends(50)))
    start = warmup.init(jnp.asarray(1.6), metric_from_inverse((jnp.ones(1),)))

    def acceptance(step_size: Array) -> Array:
        return lax.erfc((step_size / 0.4) ** power)

    def run(noise: Array) -> Array:
        def step(state: Any, row: Any) -> Any:
            i, e = row
            mean = acceptance(state.step_size)
            accept_prob = jnp.clip(mean + 0.3 * jnp.sqrt(mean * (1 - mean)) * e, 0.0, 1.0)
            return warmup.update(i, Signal(jnp.zeros(1), accept_prob), state, schedule), None

        end = lax.scan(step, start, (jnp.arange(50, dtype=jnp.int32), noise))[0]
        return acceptance(end.step_size)

    found = jax.jit(jax.vmap(run))(jax.random.normal(jax.random.key(2), (200, 50)))
    assert target - 0.02 < np.mean(found) < target + 0.04 and np.std(found) < 0.1


def test_a_chain_that_still_falls_keeps_its_pace() -> None:
    """From an energy of 1e70 down to 1, the step size has to grow by 40 orders: a restart from its average would lose them.

    The errors of a moving average without an invertible root grow as its powers, so that such starts are real ones.
    """
    with jax.enable_x64(True):
        powers = jnp.arange(1.0, 201.0)
        mcmc = MCMC(
            NUTS(potential_fn=lambda z: 0.5 * jnp.sum(jnp.square(z)[..., None] ** powers)),
            num_warmup=500,
            num_samples=200,
            num_chains=4,
            progress_bar=False,
        )
        mcmc.run(jax.random.key(3), init_params=jnp.full((4, 2), 1.5), extra_fields=("adapt_state.step_size",))
        step_sizes = np.asarray(mcmc.get_extra_fields(group_by_chain=True)["adapt_state.step_size"])[:, 0]
    assert (step_sizes > 0.1).all(), step_sizes
