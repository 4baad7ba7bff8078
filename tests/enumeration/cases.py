"""A model with discrete sites, what its exact answers are made of, and the questions that are asked of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from enumeration import brute_force
from enumeration.brute_force import Latents

from ppl import handlers
from ppl.contrib.funsor import config_enumerate, enum, infer_discrete, log_density

# Of a chi-square test on 20,000 draws. The tests of draws in this directory are fewer than 100, so that an exact sampler fails one
# of them with probability below 1e-3; keys are fixed.
LEVEL = 1e-5
DRAWS = 20_000
# Compilation is what these tests spend their time on
QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@dataclass(frozen=True, eq=False)
class Case:
    """A model.

    Attributes:
        model: without arguments.
        latents: the support and the batch shape of each site to be summed out.
        params: the values of the continuous latent sites.
        nesting: how many dimensions plates use.
        subsampled: whether some plate is.
        drawn: whether posterior draws are tested as well.
        reference: another model of the same density, for the brute force; `latents` are its sites then.
    """

    model: Callable[[], Any]
    latents: Latents
    params: dict[str, Any] = field(default_factory=dict)
    nesting: int = 0
    subsampled: bool = False
    drawn: bool = False
    reference: Callable[[], Any] | None = None

    @property
    def name(self) -> str:
        return self.model.__name__

    def values(self) -> dict[str, Any]:
        """The continuous values in the float width of the test."""
        return {name: jnp.asarray(value, jnp.result_type(float)) for name, value in self.params.items()}

    def log_density(self, params: dict[str, Any]) -> Any:
        """By the library."""
        return summed_out(self.model, params=params, nesting=self.nesting)

    def exact(self, params: dict[str, Any]) -> Any:
        """By brute force."""
        density = brute_force.log_density_by_plates if self.subsampled else brute_force.log_density
        return density(self.reference or self.model, (), params, self.latents)


def compiled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function under `jit`, compiled in a hurry."""
    return jax.jit(fn, compiler_options=QUICKLY)


def summed_out(model: Callable[..., Any], *args: Any, params: dict[str, Any] | None = None, nesting: int = 0) -> Any:
    """The log density with all discrete latent sites summed out, by the library."""
    density, _ = log_density(enum(config_enumerate(model), -1 - nesting), args, {}, params or {})
    assert jnp.shape(density) == ()
    return density


def check_density(case: Case, x64: bool) -> None:
    """Value and gradient against brute force."""
    with jax.enable_x64(x64):
        (found, slopes), (expected, expected_slopes) = compiled(
            lambda params: [jax.value_and_grad(density)(params) for density in (case.log_density, case.exact)]
        )(case.values())
    rtol, atol = (1e-10, 1e-10) if x64 else (1e-5, 1e-5)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)
    for name, slope in slopes.items():
        np.testing.assert_allclose(slope, expected_slopes[name], rtol=10 * rtol, atol=10 * atol, err_msg=name)


def check_draws(case: Case) -> None:
    """Draws of all discrete sites together have the exact frequencies, and the maximum is one."""

    def draw(key: Any, temperature: int = 1) -> dict[str, Any]:
        model = handlers.substitute(config_enumerate(case.model), data=case.values())
        trace = handlers.trace(infer_discrete(model, -1 - case.nesting, temperature, key)).get_trace()
        return {name: trace[name]["value"] for name in case.latents}

    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(11), DRAWS)
        draws, best, joints = compiled(
            lambda keys: (jax.vmap(draw)(keys), draw(None, 0), brute_force.log_joints(case.model, (), case.values(), case.latents))
        )(keys)
    log_weights = np.asarray(joints)
    (highest,) = brute_force.number_of({name: value[None] for name, value in best.items()}, case.latents)
    np.testing.assert_allclose(log_weights[highest], log_weights.max(), rtol=1e-10)
    assert brute_force.p_value(brute_force.number_of(draws, case.latents), log_weights) > LEVEL
