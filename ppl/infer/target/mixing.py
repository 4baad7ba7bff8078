"""Whether a model mixes the elements of an enumerated value, as `z.sum()` does, or picks one, as `z[0]`.

In place of a number the value has all states, along a dimension of their own: its sum is the sum of the states. No shape tells
that, and the log density is another one.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from ppl._programs.jaxprs import equations
from ppl._typing import Array, Message, PyTree, Trace
from ppl.handlers.enumeration import Slot, unmasked
from ppl.infer.target.dependence import dependences, identity_of
from ppl.stack import Messenger
from ppl.trace import sample_sites, unscaled_log_prob

__all__ = ["ElementsMixed", "mixed_elements"]

MAX_EQUATIONS = 100_000  # to walk through, for all sites together
MAX_ELEMENTS = 1_000_000  # of the values for which densities are computed


class ElementsMixed(NamedTuple):
    """A site whose density mixes elements of an enumerated one."""

    site: str
    enumerated: str


class _Spread(NamedTuple):
    """An enumerated site that is spread over its plates: where its states and its plates lie, and its value."""

    states: int
    plates: tuple[int, ...]
    value: np.ndarray

    @staticmethod
    def of(site: Message) -> "_Spread":
        slot: Slot = site["infer"]["_slot"]
        dims = {frame.dim: frame.size for frame in site["cond_indep_stack"]}
        batch = [dims.get(dim, 1) for dim in range(slot.dim + 1, 0)]
        support = np.asarray(site["fn"].enumerate_support(expand=False))
        event = site["fn"].event_shape
        value = support.reshape((slot.size, *(1 for _ in batch), *event))
        plates = tuple(dim for dim, size in dims.items() if size > 1)
        return _Spread(slot.dim, plates, np.broadcast_to(value, (slot.size, *batch, *event)))

    def changed(self, change: "_Change") -> np.ndarray:
        """The value after a change."""
        value = self.value.copy()
        value[self._at(change)] = value[self._at(change, change.state)]
        return value

    def _at(self, change: "_Change", states: slice = slice(None)) -> tuple[Any, ...]:
        """Where a change is, in an array whose axes in front are those of the value."""
        batch = [0 if dim in self.plates and not change.is_everywhere else slice(None) for dim in range(self.states + 1, 0)]
        return (states, *batch)

    def is_kept(self, by: Mapping[int, int] | None) -> bool:
        """Whether what depends on the value tells states and elements apart, by those axes that it keeps."""
        return by is None or all(dim - self.states in by for dim in (self.states, *self.plates))

    def explains(self, change: "_Change", before: np.ndarray, after: np.ndarray) -> bool:
        """Whether a density changes as one does that takes each element for itself."""
        missing = max(-self.states - before.ndim, 0)
        before, after = (x.reshape((1,) * missing + x.shape) for x in (before, after))
        front = (slice(None),) * (before.ndim + self.states)
        expected = before.copy()
        if all(before.shape[dim] > 1 for dim in self.plates):
            expected[(*front, *self._at(change))] = before[(*front, *self._at(change, change.state))]
        return bool(np.allclose(after, expected, rtol=1e-4, atol=1e-5, equal_nan=True))


class _Change(NamedTuple):
    """One state in place of all, for the first element of the plates or for all of them."""

    state: slice
    is_everywhere: bool


FIRST, LAST = slice(0, 1), slice(-1, None)
CHANGES = (_Change(LAST, False), _Change(FIRST, True), _Change(LAST, True))


class _Given(Messenger):
    """Gives enumerated sites these values instead: to be used outside of the handler that enumerates."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        super().__init__(None)

    def process_message(self, msg: Message) -> None:
        """Replace the value of an enumerated site."""
        if msg["type"] == "sample" and msg["name"] in self.values:
            msg["value"] = self.values[msg["name"]]


def mixed_elements(trace: Callable[[PyTree], Trace], arrays: PyTree) -> ElementsMixed | None:
    """A site whose density mixes elements of an enumerated value from outside of loops, if there is one.

    It is read off the computation which densities may do so. Whether they do, is tried out.

    Args:
        trace: a function of `arrays` to the trace of the model, with discrete sites enumerated.
        arrays: what it needs of numbers.
    """
    spread: dict[str, _Spread] = {}
    names: list[str] = []

    def look(arrays: PyTree) -> None:
        for name, site in sample_sites(trace(arrays)).items():
            if "_slot" in site["infer"] and "_loop" not in site["infer"]:
                spread[name] = _Spread.of(site)

    def sites_with(values: Mapping[str, Any], arrays: PyTree) -> list[Message]:
        with _Given(values):
            sites = sample_sites(trace(arrays))
        names[:] = sites
        return list(sites.values())

    jax.eval_shape(look, arrays)
    if not spread:
        return None
    values = {name: own.value for name, own in spread.items()}
    suspects = _suspects(sites_with, spread, values, arrays)
    if not suspects or sum(value.size for value in values.values()) > MAX_ELEMENTS:
        return None
    run = jax.jit(lambda values, arrays: [_log_prob(site) for site in sites_with(values, arrays)])
    before = [np.asarray(x) for x in run(values, arrays)]
    for name, numbers in suspects.items():
        own = spread[name]
        for change in CHANGES:
            after = run({**values, name: own.changed(change)}, arrays)
            for number in numbers:
                if not own.explains(change, before[number], np.asarray(after[number])):
                    return ElementsMixed(names[number], name)
    return None


def _log_prob(site: Message) -> Array:
    return unscaled_log_prob(site, unmasked(site["fn"]) if "_slot" in site["infer"] else site["fn"])


def _suspects(
    sites_with: Callable[..., list[Message]], spread: Mapping[str, _Spread], values: Mapping[str, Any], arrays: PyTree
) -> dict[str, list[int]]:
    """By enumerated site, the numbers of the sites whose parameters or values may mix its elements.

    A density takes the elements of a batch one by one, so that is not asked of it.
    """

    def parameters(values: Mapping[str, Any], arrays: PyTree) -> list[list[Array]]:
        return [
            [x for x in jax.tree.leaves((site["fn"], site["value"])) if isinstance(x, jax.Array)]
            for site in sites_with(values, arrays)
        ]

    closed, shapes = jax.make_jaxpr(parameters, return_shape=True)(values, arrays)
    if sum(1 for _ in equations(closed.jaxpr)) * len(spread) > MAX_EQUATIONS:
        return {}
    owners = [number for number, leaves in enumerate(shapes) for _ in leaves]
    found = {}
    for place, name in enumerate(sorted(values)):
        inputs: list[Any] = [None] * len(closed.jaxpr.invars)
        inputs[place] = identity_of(np.shape(values[name]))
        kept = dependences(closed, inputs)
        numbers = sorted({owner for owner, by in zip(owners, kept) if not spread[name].is_kept(by)})
        if numbers:
            found[name] = numbers
    return found
