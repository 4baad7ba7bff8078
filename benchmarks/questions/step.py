"""How long does a leapfrog step take, absolutely and over the bare value and gradient of the potential energy?"""

from collections.abc import Callable
from typing import Any

import jax
from jax.flatten_util import ravel_pytree

from benchmarks.harness import Ask, Row, row
from benchmarks.instruments import CompileMeter, Library, key, run, warm_up
from benchmarks.models import CASES, Case

GOALS = {"eight_schools": 0.2, "sites_50": 0.11, "sites_200": 0.11}
GOALS_OVER_BARE = {"radon": 1.5, "irt_2pl": 1.3, "stochastic_volatility": 1.3, "mixture": 1.3, "logistic": 1.1}
ASKED_OF = tuple(CASES)
REPETITIONS = 3


def measure(library_name: str, case: Case) -> dict[str, Any]:
    """Seconds of a warm run of many draws, without compiling, over its steps; and of the bare gradient, in the same process."""
    library = Library.load(library_name)
    meter = CompileMeter()
    mcmc = library.mcmc(case, num_samples=case.long_draws)
    arguments = case.arguments()
    warm_up(mcmc, key(0), arguments)
    run(mcmc, key(0), arguments)
    times = []
    for seed in range(REPETITIONS):
        with meter.interval() as interval:
            steps = run(mcmc, key(seed), arguments)
        times.append(interval.running / steps)
    step, bare = min(times), bare_gradient(library, case, meter)
    return {"step": step, "bare": bare, "over_bare": step / bare}


def bare_gradient(library: Library, case: Case, meter: CompileMeter) -> float:
    """Seconds per value and gradient in a compiled loop of nothing else, of the faster of a flat and a structured position."""
    arguments = case.arguments()
    model = case.bind(library.pp, library.dist)
    info = library.infer.util.initialize_model(key(0), model, model_args=arguments, dynamic_args=True)
    start = info.param_info.z
    flat, unravel = ravel_pytree(start)

    def structured(z: Any, args: tuple) -> Any:
        return info.potential_fn(*args)(z)

    def of_flat(z: Any, args: tuple) -> Any:
        return info.potential_fn(*args)(unravel(z))

    return min(_seconds_per_gradient(structured, start, arguments, meter), _seconds_per_gradient(of_flat, flat, arguments, meter))


def _seconds_per_gradient(potential: Callable[[Any, tuple], Any], start: Any, arguments: tuple, meter: CompileMeter) -> float:
    def move(_: Any, carry: tuple, args: tuple) -> tuple:
        z, total = carry
        value, gradient = jax.value_and_grad(potential)(z, args)
        return jax.tree.map(lambda x, g: x - 1e-7 * g, z, gradient), total + value

    @jax.jit
    def loop(count: Any, z: Any, args: tuple) -> tuple:
        return jax.lax.fori_loop(0, count, lambda i, carry: move(i, carry, args), (z, 0.0 * potential(z, args)))

    count, best = 100, 0.0
    jax.block_until_ready(loop(count, start, arguments))
    for _ in range(20):
        with meter.interval() as interval:
            jax.block_until_ready(loop(count, start, arguments))
        best = interval.seconds / count
        if interval.seconds > 0.2:
            break
        count *= 3
    for _ in range(REPETITIONS):
        with meter.interval() as interval:
            jax.block_until_ready(loop(count, start, arguments))
        best = min(best, interval.seconds / count)
    return best


def rows(name: str, ask: Ask) -> list[Row]:
    """Time per step, of the bare gradient, and their ratio."""
    figures = ask()
    return [
        row("leapfrog step", name, figures, "step", "us", factor=1e6, goal=GOALS.get(name)),
        row("bare value and gradient", name, figures, "bare", "us", factor=1e6),
        row("leapfrog over bare", name, figures, "over_bare", "x", goal=GOALS_OVER_BARE.get(name), goal_on="ppl"),
    ]
