"""Handlers that lay the supports of discrete sites along dimensions of their own: enum, markov, config_enumerate.

An enumerated site does not draw. Its value is its whole support, of shape `(k, 1, ..., 1)`, along a fresh dimension on the left of
the dimensions of plates; later sites broadcast against it, so that their log probabilities have one entry for each state.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from ppl._typing import Array, Message
from ppl.distributions.distribution import Distribution, ExpandedDistribution, Independent, MaskedDistribution
from ppl.distributions.util import TracedSupport, reshaped
from ppl.handlers.structure import infer_config
from ppl.handlers.values import Lookup
from ppl.stack import Messenger, acts_inside, current_stack, describe_plates, innermost
from ppl.util import describe

__all__ = [
    "GiveStates",
    "Loop",
    "Slot",
    "Variable",
    "config_enumerate",
    "enum",
    "enum_apart",
    "first_state_dim",
    "is_enumerable",
    "is_marked",
    "markov",
    "missing_plate",
    "unmasked",
    "without_support",
    "written_name",
]

MAX_STATES = 2**20
MAX_RANK = 30  # NumPy broadcasts up to 32 dimensions
DEFAULT_FIRST_DIM = -9
INSTEAD_WITHIN_LOOPS = {
    "scan": "write the inner loop in Python (with `markov` where it has states), or take its steps as one site in a plate",
    "cond": "compute what both branches would and choose by jnp.where, or leave out the sites of one by handlers.mask",
}
EARLIER = "_PREV_"  # before the name of a site in one of the first steps of a loop, once for each step that follows among them


class Variable(NamedTuple):
    """A discrete variable: the site, and within a loop which step's.

    Attributes:
        site: the name of the site.
        step: of a site in a loop: the number of the step, for one of the first; else None.
        age: of a site in a loop: how many steps ago it was, 0 for the step at hand; counted from behind the loop where `is_last`.
        is_last: whether the step is one of the last, seen from behind the loop.
    """

    site: str
    step: int | None = None
    age: int = 0
    is_last: bool = False

    def __str__(self) -> str:
        if self.step is not None:
            return f"{self.site}[{self.step}]"
        if self.is_last:
            return f"{self.site}[{-self.age}]"
        return f"{self.site}[t-{self.age}]" if self.age else self.site


class Scope(NamedTuple):
    """What a step of a `markov` context sees: its own steps, and those so recent that they block their dimensions."""

    context: "markov"
    step: int
    visible: frozenset[int]
    blocked: frozenset[int]


@dataclass(frozen=True)
class Slot:
    """Where the support of an enumerated site lies.

    Attributes:
        variable: what it enumerates.
        dim: the dimension, counted from the right.
        size: the number of states k.
        scopes: the steps of `markov` that it belongs to.
    """

    variable: Variable
    dim: int
    size: int
    scopes: tuple[Scope, ...] = ()


# Marking


def is_enumerable(msg: Message) -> bool:
    """Whether a site is latent and its distribution has a finite support that can be listed."""
    return msg["type"] == "sample" and not msg["is_observed"] and bool(msg["fn"].has_enumerate_support)


def is_marked(msg: Message) -> bool:
    """Whether a site is latent and to be enumerated."""
    return msg["type"] == "sample" and not msg["is_observed"] and msg["infer"].get("enumerate") == "parallel"


def _default_hint(default: str, site: Message) -> dict[str, Any]:
    return {"enumerate": default} if is_enumerable(site) and "enumerate" not in site["infer"] else {}


def config_enumerate(fn: Callable[..., Any] | None = None, default: Literal["parallel"] = "parallel") -> Any:
    """Marks the latent sites with a finite support for enumeration, unless they say otherwise.

    Args:
        fn: a model; `None` for use as a decorator or a context manager.
        default: the hint: `"parallel"`.

    Returns:
        The model inside a handler, or the handler.

    Raises:
        ValueError: for another hint.

    Example:
        >>> from ppl import distributions as dist, handlers
        >>> from ppl.primitives import sample
        >>> model = config_enumerate(lambda: sample("z", dist.Bernoulli(0.3)))
        >>> handlers.trace(handlers.seed(model, 0)).get_trace()["z"]["infer"]
        {'enumerate': 'parallel'}
    """
    if default != "parallel":
        raise ValueError(f"config_enumerate: `default` must be 'parallel', the only way to enumerate; found {default!r}")
    return infer_config(fn, config_fn=partial(_default_hint, default))


# Steps of a chain


class markov(Messenger):
    """Says that sites of a step depend on those of the last `history` steps only, so that steps can share dimensions.

    Use it around an iterable, `for t in markov(range(n))`, as a context, `with markov():`, or as a decorator of a function that
    calls itself. Without enumeration it does nothing.

    Args:
        fn: an iterable, a function, or None.
        history: how many earlier steps a site may depend on.
        keep: whether sites of a context that was left can still be used in the next one at the same depth.

    Raises:
        ValueError: if `history` is negative.
        TypeError: if `fn` is neither iterable nor a function.

    Example:
        >>> [t for t in markov(range(3))]
        [0, 1, 2]
    """

    def __init__(self, fn: Callable[..., Any] | Iterable[Any] | None = None, history: int = 1, keep: bool = False) -> None:
        if isinstance(history, bool) or not isinstance(history, int) or history < 0:
            raise ValueError(f"markov: `history` must be a number of steps, at least 0; found {history!r}")
        if fn is not None and not callable(fn) and not isinstance(fn, Iterable):
            raise TypeError(f"markov: expected an iterable, a function or nothing, found {describe(fn)}")
        self.history = history
        self.keep = keep
        self._iterable = None if callable(fn) else fn
        self._origin = self
        self.is_loop = False
        self._steps: list[int] = []  # the steps under way, outermost first; of an iteration those that matter
        self._kept: list[int] = []  # by depth: the step that was last there
        self._left: frozenset[int] = frozenset()  # steps that can be seen from outside
        self._made = 0
        super().__init__(fn if callable(fn) else None)

    def _own(self) -> "markov":
        """A context for this run, so that runs in other threads have theirs: the one under way, or a new one."""
        under_way = [handler for handler in current_stack() if isinstance(handler, markov) and handler._origin is self._origin]
        if under_way and self._iterable is None:
            return under_way[-1]
        own = markov(history=self.history, keep=self.keep)
        own._origin = self._origin
        own.is_loop = self._iterable is not None
        return own

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function in a step of its own."""
        if self.fn is None:
            return super().__call__(*args, **kwargs)
        with self._own():
            return self.fn(*args, **kwargs)

    def __iter__(self) -> Iterator[Any]:
        if self._iterable is None:
            raise TypeError("markov: there is nothing to iterate over; write `for t in markov(range(n))`")
        own = self._own()
        with own:
            try:
                for i, item in enumerate(self._iterable):
                    if i:
                        own._steps = [*own._steps, own._new_step()][-2 - self.history :]
                    yield item
            finally:  # also where the loop is left by `break` or `return`
                own._left = frozenset(own._steps[-max(self.history, 1) :])
                del own._steps[1:]

    def _new_step(self) -> int:
        self._made += 1
        return self._made

    def __enter__(self) -> "markov":
        depth = len(self._steps)
        if depth == len(self._kept):
            self._kept.append(self._new_step())
        elif not self.keep:
            self._kept[depth] = self._new_step()
        self._steps.append(self._kept[depth])
        return super().__enter__()

    def __exit__(self, *exc: Any) -> None:
        self._steps.pop()
        if self.keep:
            self._left = frozenset(self._kept)
        super().__exit__(*exc)

    def sees(self, step: int) -> bool:
        """Whether a step can be seen from outside the context."""
        return step in self._left

    def is_over(self, step: int) -> bool:
        """Whether no site will ever see a step again."""
        return step not in self._left and step not in self._steps

    def process_message(self, msg: Message) -> None:
        """Note the step among the scopes of a sample site."""
        if msg["type"] != "sample" or any(scope.context is self for scope in msg.get("scopes", ())):
            return
        recent = self._steps[-2 - self.history :]
        scope = Scope(self, self._steps[-1], frozenset(recent[-1 - self.history :]), frozenset(recent))
        msg["scopes"] = (*msg.get("scopes", ()), scope)


def _in_sight(slot: Slot, scopes: Sequence[Scope], field: Literal["visible", "blocked"]) -> bool:
    """Whether a site in these scopes may depend on the variable of a slot, or may not lie where it lies."""
    around = {id(scope.context): scope for scope in scopes}
    for own in slot.scopes:
        here = around.get(id(own.context))
        if not (own.context.sees(own.step) if here is None else own.step in getattr(here, field)):
            return False
    return True


# Enumeration


def unmasked(fn: Distribution) -> Distribution:
    """A distribution without the masks around it."""
    if isinstance(fn, MaskedDistribution):
        return unmasked(fn.base_dist)
    if isinstance(fn, ExpandedDistribution):
        base = unmasked(fn.base_dist)
        return fn if base is fn.base_dist else base.expand(fn.batch_shape)
    return fn


@dataclass(frozen=True)
class Loop:
    """A loop whose body enumerates sites, as `scan` tells of it.

    Attributes:
        name: of the time dimension.
        length: the number of steps.
        history: how many earlier steps a site may depend on.
        reverse: whether the steps run from the last entry to the first.
        sizes: the number of states of each enumerated site in the body.
        rank: the number of dimensions of a log probability within a step; the time dimension lies on the left of them.
    """

    name: str
    length: int
    history: int
    reverse: bool
    sizes: tuple[tuple[str, int], ...]
    rank: int

    @property
    def num_first(self) -> int:
        """How many steps lack a part of their past; their sites are sites of their own."""
        return min(self.history, self.length)


class enum(Messenger):
    """Enumerates the sites that are marked `infer={"enumerate": "parallel"}` and have no value.

    The value of such a site is its support along a dimension of its own, at or left of `first_available_dim`.

    Args:
        fn: a model.
        first_available_dim: the first dimension, counted from the right, that no plate uses: `-1` without plates, `-1 - n` with `n`
            of them nested; None: left of eight plates.

    Raises:
        ValueError: if `first_available_dim` is not a negative integer; if a model has so many enumerated sites that dimensions run
            out.

    Example:
        >>> from ppl import distributions as dist
        >>> from ppl.primitives import sample
        >>> hint = {"enumerate": "parallel"}
        >>> enum(lambda: sample("z", dist.Categorical(logits=jnp.zeros(3)), infer=hint), first_available_dim=-2)().shape
        (3, 1)
    """

    gap = 0  # dimensions that are left free beside each site

    def __init__(self, fn: Callable[..., Any] | None = None, first_available_dim: int | None = None) -> None:
        dim = DEFAULT_FIRST_DIM if first_available_dim is None else first_available_dim
        if isinstance(dim, bool) or not isinstance(dim, int | np.integer) or dim >= 0:
            raise ValueError(
                f"enum: first_available_dim must be a negative integer, found {first_available_dim!r}; with n nested plates it is "
                "-1 - n"
            )
        self.first_available_dim = int(dim)
        self._start()
        super().__init__(fn)

    def __enter__(self) -> "enum":
        self._start()
        return super().__enter__()

    def _start(self) -> None:
        self.slots: list[Slot] = []
        self._in_loops: list[Slot] = []  # of states in loops that are over
        self._followers: dict[Slot, tuple[tuple[int, int], ...]] = {}
        self._loops = 0

    def process_message(self, msg: Message) -> None:
        """Lay out the support of a marked site; note for every sample site what its dimensions mean."""
        if msg["type"] == "control_flow":
            if "enumeration" in msg["kwargs"]:
                msg["kwargs"]["enumeration"] = self
            else:
                msg["kwargs"]["inside"].append(lambda step: _NoEnumeration())
            return
        if msg["type"] != "sample" or "_slots" in msg["infer"]:
            return
        self._check_plates(msg)
        _check_hint(msg)
        scopes = msg.get("scopes", ())
        self.slots = [slot for slot in self.slots if self._blocks(slot, scopes)]
        if is_marked(msg) and msg["value"] is None:
            self._lay_out(msg, scopes)
        visible = tuple(slot for slot in self.slots if _in_sight(slot, scopes, "visible"))
        passed = tuple(slot for slot in self.slots if slot not in visible and self._is_passed(slot, scopes))
        note_dims(msg, visible, self.first_available_dim, (*self._in_loops, *passed))

    def _blocks(self, slot: Slot, scopes: tuple[Scope, ...]) -> bool:
        """Whether a slot is still kept.

        That of a context that was left is kept within the next one beside it, so that a value that is handed over is noticed.
        """
        over = next((depth for depth, own in enumerate(slot.scopes) if own.context.is_over(own.step)), None)
        if over is None:
            return True
        here = tuple((id(scope.context), scope.step) for scope in scopes)
        if slot.scopes[over].context.is_loop:
            return False
        return len(here) <= over or self._followers.setdefault(slot, here[: over + 1]) == here[: over + 1]

    def _is_passed(self, slot: Slot, scopes: tuple[Scope, ...]) -> bool:
        return slot in self._followers or _in_sight(slot, scopes, "blocked")

    def _lay_out(self, msg: Message, scopes: tuple[Scope, ...]) -> None:
        support = support_of(msg)
        blocked = {slot.dim for slot in self._in_loops} | {slot.dim for slot in self.slots if self._is_passed(slot, scopes)}
        dim = self.first_available_dim
        while dim in blocked:
            dim -= 1 + self.gap
        if dim < -MAX_RANK:
            raise ValueError(
                f"site {msg['name']!r}: the dimensions for enumerated sites have run out after {len(blocked)} of them, as arrays "
                f"have at most {MAX_RANK}; put independent sites into a plate, or the steps of a loop into `markov`"
            )
        self.slots.append(Slot(Variable(msg["name"]), dim, len(support), scopes))
        _check_free(msg, dim)
        lay_out(msg, support, self.slots[-1])

    def _check_plates(self, msg: Message) -> None:
        for frame in msg["cond_indep_stack"]:
            if frame.dim <= self.first_available_dim:
                raise ValueError(
                    f"site {msg['name']!r} in {describe_plates(msg['cond_indep_stack'])}: dim {frame.dim} is not left to plates, "
                    f"since enumerated sites lie from first_available_dim={self.first_available_dim} on; pass "
                    f"first_available_dim={frame.dim - 1}"
                )

    # For loops

    def new_loop(self) -> tuple[str, int]:
        """A name for the time dimension of a loop, and the first dimension free for its sites."""
        self._loops += 1
        dims = [slot.dim - 1 - self.gap for slot in (*self.slots, *self._in_loops)]
        return f"_scan_{self._loops}", min([self.first_available_dim, *dims])

    def leave_loop(self, last: Iterable[Slot], inside: Iterable[Slot]) -> None:
        """Note where the last states of a loop lie, for the sites after it, and where states lie that these cannot use."""
        self.slots.extend(last)
        self._in_loops.extend(inside)


class enum_apart(enum):
    """The same, with a dimension left free beside each site, so that states which get into the next one are noticed."""

    gap = 1


class _NoEnumeration(Messenger):
    """Refuses enumerated sites in the branches of `cond`."""

    def process_message(self, msg: Message) -> None:
        """Refuse a marked site without a value."""
        if is_marked(msg) and msg["value"] is None:
            raise RuntimeError(
                f"site {msg['name']!r} is to be enumerated in a branch of cond, which is not possible; write the condition as a "
                "mask or with jnp.where, so that the site is there in both cases"
            )


class enum_in_loop(Messenger):
    """Enumerates the sites of one step of a loop.

    The support of each site has `history + 1` neighbouring dimensions, for the step at hand and for those before it.

    Args:
        outer: what enumerates the sites outside the loop.
        first_dim: the first free dimension.
        history: how many earlier steps a site may depend on.
        step: the number of the step, for one of the first; None for all others.
        earlier: the slots of a step before, whose states the carry may hold.
        copies: how many copies of all states are laid along the first free dimension, so that it can be seen where states are.
    """

    def __init__(
        self,
        outer: enum,
        first_dim: int,
        history: int,
        step: int | None,
        earlier: Sequence[Slot],
        copies: int | None = None,
    ) -> None:
        self.outer = outer
        self.first_dim = self.next_dim = first_dim
        self.history = history
        self.step = step
        self.copies = copies
        self.earlier = {slot.variable.site: slot for slot in earlier}
        self.slots: list[Slot] = []  # of the step at hand
        self.values: dict[str, Array] = {}
        super().__init__()

    def process_message(self, msg: Message) -> None:
        """Lay out the support of a marked site; note for every sample site what its dimensions mean."""
        if msg["type"] == "control_flow":
            kind = msg["name"].removeprefix("_")
            raise NotImplementedError(f"{kind} within the body of a scan that enumerates sites; {INSTEAD_WITHIN_LOOPS[kind]}")
        if msg["type"] != "sample":
            return
        _check_hint(msg)
        if is_marked(msg) and msg["value"] is None:
            support = support_of(msg)
            self.slots.append(Slot(self._variable(msg["name"], 0), self.next_dim, len(support)))
            if self.copies is None:
                _check_free(msg, self.next_dim)
            self.next_dim -= self.history + 1 + self.outer.gap
            value = lay_out(msg, support, self.slots[-1])
            if self.copies is not None:
                value = msg["value"] = copied(value, self.first_dim, msg["fn"].event_dim, self.copies)
            self.values[msg["name"]] = value
        note_dims(msg, (*self.outer.slots, *self.all_slots()), self.first_dim)

    def _variable(self, site: str, age: int) -> Variable:
        return Variable(site, age=age) if self.step is None else Variable(site, step=self.step - age)

    def all_slots(self) -> tuple[Slot, ...]:
        """The slots of the step at hand, as far as its sites are laid out, and of those before it."""
        ages = range(self.history + 1 if self.step is None else min(self.history, self.step) + 1)
        own = {slot.variable.site: slot for slot in self.slots}
        return tuple(
            Slot(self._variable(site, age), slot.dim - age, slot.size)
            for site, slot in (self.earlier | own).items()
            for age in ages
            if age or site in own
        )


def first_state_dim() -> float:
    """The first dimension, counted from the right, that enumerated states may have at this place of a model; -inf: none has."""
    around = [handler.outer if isinstance(handler, enum_in_loop) else handler for handler in current_stack()]
    return max((handler.first_available_dim for handler in around if isinstance(handler, enum)), default=-math.inf)


def copied(value: Array, dim: int, event_dim: int, copies: int) -> Array:
    """Copies of a value along a dimension of its batch that is inserted at `dim`."""
    axis = np.ndim(value) + 1 + dim - event_dim
    shape = np.shape(value)
    return jnp.broadcast_to(jnp.expand_dims(value, axis), (*shape[:axis], copies, *shape[axis:]))


class GiveStates(Lookup):
    """Gives discrete sites values that were found for them.

    Args:
        values: of each site, with leading time axes for loops, then axes for the dimensions of its plates and of the event.
    """

    def __init__(self, values: Mapping[str, Array]) -> None:
        self.values = values
        super().__init__()

    def process_message(self, msg: Message) -> None:
        """Set the value of a site, in the shape that it has."""
        if acts_inside(msg, self.inside) or msg["type"] != "sample" or msg["value"] is not None or msg["name"] not in self.values:
            return
        value = jnp.asarray(self.values[msg["name"]])
        for step in self._steps:
            value = value[step.index]
        shape = msg["fn"].shape()
        if value.ndim > len(shape):
            value = jnp.reshape(value, value.shape[value.ndim - len(shape) :])
        event = shape[len(shape) - msg["fn"].event_dim :]
        batch = value.shape[: value.ndim - len(event)]
        value = jnp.reshape(value, (1,) * (len(shape) - value.ndim) + batch + event)
        msg["value"] = jnp.broadcast_to(value, shape)


def without_support(
    fn: Distribution,
    handled: str = "enumerated",
    cure: str = "observe it, truncate it (a Categorical over the states that matter), sum it out by hand (MixtureSameFamily, "
    "GammaPoisson, ...), or sample it with another kernel",
) -> str:
    """Why a distribution without `enumerate_support` cannot be enumerated, or handled otherwise, and what to do."""
    if isinstance(fn, Independent) and fn.base_dist.has_enumerate_support:
        return (
            f"~ {type(innermost(fn)).__name__}.to_event has a finite support for each entry of its event, but an event is "
            f"{handled} as a whole: put the entries into a plate instead of .to_event"
        )
    return f"~ {type(fn).__name__} has no finite support that can be {handled}: {cure}"


def support_of(msg: Message) -> Array:
    """The values of a finite support `(k, 1, ..., 1) + event_shape`.

    Raises:
        NotImplementedError: if there is none, or it differs between elements of the batch; for several draws.
        ValueError: if it is too large.
    """
    fn, name = msg["fn"], msg["name"]
    if {"num_samples", "expand"} & set(msg["infer"]):
        raise NotImplementedError(
            f"site {name!r}: infer={msg['infer']} asks for draws of an enumerated site; its support is enumerated whole"
        )
    if not fn.has_enumerate_support:
        raise NotImplementedError(f"site {name!r} {without_support(fn)}")
    if msg["kwargs"]["sample_shape"]:
        raise NotImplementedError(f"site {name!r}: an enumerated site cannot have sample_shape; open a plate")
    try:
        support = fn.enumerate_support(expand=False)
    except NotImplementedError as error:
        cure = "its number of states must be known" if isinstance(error, TracedSupport) else "let all elements have the same states"
        error.add_note(f"ppl: site {name!r} is to be enumerated; {cure}")
        raise
    if support.size != support.shape[0] * math.prod(fn.event_shape):
        support = support.reshape((support.shape[0], -1, *fn.event_shape))[:, 0]
    if support.shape[0] > MAX_STATES:
        raise ValueError(
            f"site {name!r} ~ {type(fn).__name__} has {support.shape[0]} states, more than can be enumerated ({MAX_STATES}); "
            "truncate its support, sum it out by hand, or sample it with DiscreteHMCGibbs"
        )
    return support


def _check_hint(msg: Message) -> None:
    """Refuse to draw a site that is to be enumerated otherwise."""
    hint = msg["infer"].get("enumerate")
    if hint not in (None, "parallel") and msg["value"] is None:
        raise NotImplementedError(f"site {msg['name']!r}: infer={{'enumerate': {hint!r}}} is not supported; write 'parallel'")


def _check_free(msg: Message, dim: int) -> None:
    """Refuse a site whose batch has entries already where its own states are to lie."""
    batch_shape = msg["fn"].batch_shape
    if len(batch_shape) >= -dim and batch_shape[dim] != 1:
        raise ValueError(missing_plate(msg, dim, f"its batch shape is {batch_shape}, where its own states are to lie at {dim}"))


def lay_out(msg: Message, support: Array, slot: Slot) -> Array:
    """Give a site its support along a dimension. It has no mask: a masked element counts once, by its own probabilities."""
    fn = msg["fn"] = unmasked(msg["fn"])
    value = msg["value"] = reshaped(support, (slot.size,) + (1,) * (-slot.dim - 1) + fn.event_shape)
    msg["infer"]["_slot"] = slot
    return value


def written_name(site: Message) -> str:
    """The name of a site as it is written, also of the first steps of a loop."""
    return site["name"].replace(EARLIER, "")


def missing_plate(site: Message, dim: int, found: str) -> str:
    """What to do about a dimension that belongs to nothing."""
    frames = site["cond_indep_stack"]
    where = f" in {describe_plates(frames)}" if frames else ""
    return (
        f"Missing a plate statement for batch dimension {dim} at site {written_name(site)!r}{where}: {found}, and each dimension "
        "must belong to a plate or to an enumerated site; add a plate, use .to_event, or index by enumerated values with "
        "ppl.ops.indexing.Vindex; `ppl.util.format_shapes` shows the shapes of all sites"
    )


def note_dims(msg: Message, slots: tuple[Slot, ...], first_dim: int, passed: tuple[Slot, ...] = ()) -> None:
    """Note what the dimensions of a site mean, for the contraction and for people; and what lies where it must not look."""
    infer = msg["infer"]
    infer["_slots"], infer["_first_dim"], infer["_passed"] = slots, first_dim, passed
    dims = {frame.dim: frame.name for frame in msg["cond_indep_stack"]} | {slot.dim: str(slot.variable) for slot in slots}
    infer["dim_to_name"] = dict(sorted(dims.items(), reverse=True))
    infer["name_to_dim"] = {name: dim for dim, name in infer["dim_to_name"].items()}
