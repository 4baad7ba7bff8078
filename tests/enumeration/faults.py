"""Faults to be planted in the elimination of discrete sites, each wrong in one way that people have got wrong."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from ppl import handlers
from ppl.contrib.control_flow import enumerated
from ppl.infer.target import contraction, dynamics, enumeration
from ppl.infer.target.contraction import Factor, Plate, State
from ppl.infer.target.dynamics import Chain, ChainStep

Plant = Callable[[pytest.MonkeyPatch], None]


def traced_anew(patch: pytest.MonkeyPatch) -> None:
    """Functions that JAX traces once and keeps are called as they are, so that a fault in what they call is seen."""
    for name in ("_log_sum", "_states"):
        patch.setattr(enumeration, name, getattr(enumeration, name).__wrapped__)


def _without_scale(plates: Mapping[str, Plate]) -> dict[str, Plate]:
    return {name: plate._replace(scale=None) for name, plate in plates.items()}


# The density


def constants_counted_once(patch: pytest.MonkeyPatch) -> None:
    """What is the same in all elements of a plate is not multiplied by their number."""
    right = contraction._leave

    def leave(factor: Factor, left: frozenset[str], plates: Mapping[str, Plate]) -> Factor:
        return right(factor, left, {name: plate._replace(size=1) for name, plate in plates.items()})

    patch.setattr(contraction, "_leave", leave)


def subsample_not_scaled(patch: pytest.MonkeyPatch) -> None:
    """The part of a plate that was drawn stands for itself alone."""
    right = contraction._leave
    patch.setattr(contraction, "_leave", lambda factor, left, plates: right(factor, left, _without_scale(plates)))


def subsample_scaled_twice(patch: pytest.MonkeyPatch) -> None:
    """Each site is scaled, and the product of the plate once more."""
    right = enumeration._log_prob
    patch.setattr(enumeration, "_log_prob", lambda site, plates: right(site, _without_scale(plates)))


def scale_left_out(patch: pytest.MonkeyPatch) -> None:
    """The handler `scale` has no effect."""
    right = enumeration._log_prob
    patch.setattr(enumeration, "_log_prob", lambda site, plates: right({**site, "scale": None}, plates))


def masked_states_are_many(patch: pytest.MonkeyPatch) -> None:
    """A masked site counts each of its states with weight one."""
    for module in (enumeration, handlers.enumeration):
        patch.setattr(module, "unmasked", lambda fn: fn)


def a_factor_too_few(patch: pytest.MonkeyPatch) -> None:
    """A variable is summed out of all its factors but the last of three."""
    right = contraction.multiply
    patch.setattr(contraction, "multiply", lambda factors: right(factors[:-1] if len(factors) > 2 else factors))


def one_state_for_all(patch: pytest.MonkeyPatch) -> None:
    """A site within a plate has one state for all elements: the product over the plate is taken before the sum."""
    right = enumeration._variables_of

    def variables_of(site: Any, loop: Any) -> Any:
        return ((name, variable._replace(plates=frozenset())) for name, variable in right(site, loop))

    patch.setattr(enumeration, "_variables_of", variables_of)


def without_largest_term(patch: pytest.MonkeyPatch) -> None:
    """Exponentials relative to the largest one, and no way back."""

    def logsumexp(x: Any, axes: tuple[int, ...]) -> Any:
        return jnp.log(jnp.sum(jnp.exp(x - jnp.max(x, axes, keepdims=True)), axes))

    patch.setattr(enumeration, "logsumexp", logsumexp)


def _chain_as(patch: pytest.MonkeyPatch, change: Callable[[Chain], Chain]) -> None:
    right = enumeration._chain

    def chain(*args: Any) -> Chain | None:
        found = right(*args)
        return None if found is None else change(found)

    patch.setattr(enumeration, "_chain", chain)


def always_forward(patch: pytest.MonkeyPatch) -> None:
    """A scan from the end is summed out as one from the beginning."""
    _chain_as(patch, lambda chain: replace(chain, reverse=False))


def oldest_state_first(patch: pytest.MonkeyPatch) -> None:
    """Before the first step, the state one step back is taken for that two steps back."""
    _chain_as(patch, lambda chain: replace(chain, first={site: names[::-1] for site, names in chain.first.items()}))


def first_steps_twice(patch: pytest.MonkeyPatch) -> None:
    """The first steps of a loop, which are sites of their own, are steps of it as well."""
    patch.setattr(enumeration, "_without_first", lambda factor, loop: factor)


def one_step_for_all(patch: pytest.MonkeyPatch) -> None:
    """What does not vary with the state is counted in one step of the loop only."""
    right = dynamics._over_time
    patch.setattr(dynamics, "_over_time", lambda factor, time, length: right(factor, time, 1))


def entries_taken_for_states(patch: pytest.MonkeyPatch) -> None:
    """Every axis of a carry in the place of a state is one."""

    def event_dims(self: Any, leaves: Any, *args: Any) -> list[int | None]:
        return [0] * len(leaves)

    patch.setattr(enumerated._Body, "event_dims", event_dims)


def age_by_rank(patch: pytest.MonkeyPatch) -> None:
    """How many axes a state has is taken for its age."""

    def event_dims(self: Any, leaves: Any, states: Any, *args: Any) -> list[int | None]:
        dims = {slot.variable.site: slot.dim for slot in self.slots}
        return [None if s is None else np.ndim(leaf) + dims[s.site] - s.age + 1 for leaf, s in zip(leaves, states)]

    patch.setattr(enumerated._Body, "event_dims", event_dims)


# States


def one_key_for_all(patch: pytest.MonkeyPatch) -> None:
    """Variables are drawn with the same numbers."""
    planted = SimpleNamespace(fold_in=lambda key, number: key, categorical=random.categorical)
    patch.setattr(enumeration, "random", planted)


def future_forgotten(patch: pytest.MonkeyPatch) -> None:
    """States of a chain are drawn given the past and the data at hand."""
    right = ChainStep.choose

    def choose(self: ChainStep, states: Any, chooser: Any, plates: Any) -> Any:
        messages = self.messages._replace(array=jnp.zeros_like(self.messages.array))
        return right(replace(self, messages=messages), states, chooser, plates)

    patch.setattr(ChainStep, "choose", choose)


def best_of_sums(patch: pytest.MonkeyPatch) -> None:
    """Each variable is set to its best state in the sum over those after it."""
    patch.setattr(enumeration, "maximum", enumeration.logsumexp)


def too_sharp(patch: pytest.MonkeyPatch) -> None:
    """States are drawn with their weights squared."""
    right = contraction.choose_states

    def choose_states(joint: Factor, *args: Any) -> dict[Any, State]:
        return right(joint._replace(array=2 * joint.array), *args)

    patch.setattr(contraction, "choose_states", choose_states)


def states_in_wrong_order(patch: pytest.MonkeyPatch) -> None:
    """Of variables that are drawn together, the first gets the state of the last."""
    right = contraction.choose_states

    def choose_states(joint: Factor, given: Any, choose: Any, plates: Any) -> dict[Any, State]:
        states = right(joint, given, choose, plates)
        return dict(zip(states, reversed(states.values())))

    patch.setattr(contraction, "choose_states", choose_states)
