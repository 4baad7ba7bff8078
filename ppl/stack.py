"""Messages, the stack of handlers, and `Messenger`, the base of every handler.

A primitive such as `sample` builds a *message* (a dict) and passes it to `apply_stack`:

1. `process_message` of each handler, innermost first, until a message says `stop`;
2. the default: a message without a value gets one by calling its `fn`;
3. `postprocess_message` of the visited handlers, outermost first.

The stack is kept in a `contextvars.ContextVar`, so that models run concurrently in threads and tasks.
"""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, overload

from ppl._typing import Message
from ppl.distributions.distribution import ExpandedDistribution, Independent, MaskedDistribution

__all__ = [
    "CondIndepStackFrame",
    "Messenger",
    "Step",
    "acts_inside",
    "apply_outer",
    "apply_stack",
    "copy_message",
    "current_stack",
    "default_process_message",
    "describe_plates",
    "innermost",
    "isolated",
]

_STACK: ContextVar[tuple["Messenger", ...]] = ContextVar("ppl_stack", default=())
_PACKAGE = str(Path(__file__).parent)


class CondIndepStackFrame(NamedTuple):
    """A plate around a site: its name, its (negative) batch dimension and the number of indices in use."""

    name: str
    dim: int
    size: int


class _StackView(Sequence["Messenger"]):
    """The handlers around the caller, outermost first; a read-only view of the current context's stack."""

    def __len__(self) -> int:
        return len(_STACK.get())

    @overload
    def __getitem__(self, index: int) -> "Messenger": ...
    @overload
    def __getitem__(self, index: slice) -> "tuple[Messenger, ...]": ...
    def __getitem__(self, index: int | slice) -> "Messenger | tuple[Messenger, ...]":
        return _STACK.get()[index]

    def __iter__(self) -> Iterator["Messenger"]:
        return iter(_STACK.get())

    def __repr__(self) -> str:
        return f"<stack of {list(_STACK.get())!r}>"


_PYRO_STACK = _StackView()


def current_stack() -> tuple["Messenger", ...]:
    """The handlers around the caller, outermost first."""
    return _STACK.get()


class Messenger:
    """The base class of handlers: a context manager, a decorator, and a wrapper of a function.

    A handler of one's own overrides `process_message` (before the value is known) or `postprocess_message` (after) and
    changes the message in place. Setting `msg["stop"] = True` hides the message from the handlers further out.

    Args:
        fn: a callable to be run inside the handler; `None` for use as a context manager or a decorator.

    Raises:
        ValueError: if `fn` is neither `None` nor callable.

    Example:
        >>> from ppl.primitives import deterministic
        >>> class double(Messenger):
        ...     def process_message(self, msg):
        ...         msg["value"] = 2 * msg["value"]
        >>> with double():
        ...     deterministic("x", 3)
        6
    """

    def __init__(self, fn: Callable[..., Any] | None = None) -> None:
        self.fn: Callable[..., Any] | None = None
        if fn is not None:
            self._wrap(fn)

    def _wrap(self, fn: Callable[..., Any]) -> None:
        if not callable(fn):
            raise ValueError(
                f"{type(self).__name__}: expected `fn` to be a Python callable object, found {fn!r} of type {type(fn).__name__}; "
                "pass the model as the first argument and other arguments by keyword"
            )
        self.fn = fn
        functools.update_wrapper(self, fn, updated=())

    def __enter__(self) -> Any:
        _STACK.set((*_STACK.get(), self))
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stack = _STACK.get()
        for position in range(len(stack) - 1, -1, -1):
            if stack[position] is self:
                _STACK.set(stack[:position])
                return

    def process_message(self, msg: Message) -> None:
        """Called on the way out, before the value of the message is known; may change `msg`."""

    def postprocess_message(self, msg: Message) -> None:
        """Called on the way back, when `msg["value"]` is known; may change `msg`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `fn` inside the handler; without an `fn`, take the only argument as `fn` and return the handler."""
        if self.fn is None:
            if len(args) != 1 or kwargs:
                raise ValueError(f"{type(self).__name__}: expected `fn`, the only argument, to be a Python callable object")
            self._wrap(args[0])
            return self
        with self:
            return self.fn(*args, **kwargs)


@contextmanager
def _below(depth: int) -> Iterator[None]:
    """Hide the handlers from position `depth` of the stack on."""
    token = _STACK.set(_STACK.get()[:depth])
    try:
        yield
    finally:
        _STACK.reset(token)


def isolated() -> AbstractContextManager[None]:
    """A context without handlers: messages inside reach none of those outside (the body of a loop that JAX traces)."""
    return _below(0)


def default_process_message(msg: Message) -> None:
    """Give a message that has no value the one that its `fn` computes; a sample site also gets its intermediates."""
    if msg["value"] is not None:
        return
    if msg["type"] == "sample":
        msg["value"], msg["intermediates"] = msg["fn"](*msg["args"], sample_intermediates=True, **msg["kwargs"])
    else:
        msg["value"] = msg["fn"](*msg["args"], **msg["kwargs"])


def apply_stack(msg: Message) -> Message:
    """Pass a message through the handlers around the caller.

    `process_message` runs from the innermost handler outwards until one sets `stop`, then comes the default, then
    `postprocess_message` of the visited handlers, from the outermost of them to the innermost.

    Returns:
        The message, which the handlers have changed in place.

    Raises:
        Whatever a handler or the distribution raises, with a note that names the site, its distribution and its plates.
    """
    stack = _STACK.get()
    innermost = len(stack) - 1
    outermost = 0
    drawing = False
    try:
        for position in range(innermost, -1, -1):
            stack[position].process_message(msg)
            if msg.get("stop"):
                outermost = position
                break
        drawing = True
        default_process_message(msg)
        drawing = False
        for position in range(outermost, innermost + 1):
            stack[position].postprocess_message(msg)
    except Exception as error:
        _add_note(error, msg, drawing)
        raise
    return msg


def apply_outer(handler: Messenger, msg: Message) -> Message:
    """Pass a message through the handlers outside `handler` only, from within its `process_message`."""
    stack = _STACK.get()
    depth = max(i for i, entry in enumerate(stack) if entry is handler)
    with _below(depth):
        return apply_stack(msg)


def copy_message(msg: Message) -> Message:
    """A copy of a message that shares none of its containers."""
    copied = dict(msg)
    for field, kind in (("infer", dict), ("kwargs", dict), ("cond_indep_stack", list)):
        if field in copied:
            copied[field] = kind(copied[field])
    return copied


class Step(NamedTuple):
    """A step of a loop: its index, a traced number, the number of steps, and the first dimension of enumerated sites, if any."""

    index: Any
    length: int
    first_dim: int | None = None


def acts_inside(msg: Message, handler: Callable[[Step | None], Messenger]) -> bool:
    """Whether a handler acts inside control flow, so that it leaves this message alone.

    A handler that changes values cannot do so after a loop has run. It calls this first: for a control-flow message
    `handler` is noted, to be called with the step (`None` in a branch) for a handler around the body; for a site that comes out
    of such a loop nothing is left to do.
    """
    if msg["type"] == "control_flow":
        msg["kwargs"]["inside"].append(handler)
        return True
    return bool(msg.get("_control_flow_done"))


def _add_note(error: Exception, msg: Message, drawing: bool) -> None:
    """Say in a note of the exception where in the model it was raised; never raises itself."""
    name = msg.get("name")
    if name is None:
        return
    text = f"ppl: at the {msg['type']} site {name!r}"
    fn = msg.get("fn")
    if msg["type"] == "sample":
        batch_shape, event_shape = getattr(fn, "batch_shape", "unknown"), getattr(fn, "event_shape", "unknown")
        text += f" ~ {type(innermost(fn)).__name__} (batch shape {batch_shape}, event shape {event_shape})"
        if drawing and msg["kwargs"].get("rng_key") is None:
            text += ", without a random key: run the model inside `handlers.seed`, or pass `rng_key`"
    frames = msg.get("cond_indep_stack")
    if frames:
        text += ", in " + describe_plates(frames)
    caller = _user_frame()
    error.add_note(text + (f"; {caller}" if caller else ""))


def innermost(fn: Any) -> Any:
    """A distribution below the wrappers that plates, masks and `to_event` put around it."""
    while isinstance(fn, ExpandedDistribution | Independent | MaskedDistribution):
        fn = fn.base_dist
    return fn


def describe_plates(frames: Sequence[CondIndepStackFrame]) -> str:
    """The plates around a site in words, outermost first."""
    return "plate " + ", plate ".join(f"{f.name!r} (size {f.size}, dim {f.dim})" for f in reversed(frames))


def _user_frame() -> str:
    """The innermost line outside this package that led here: the statement of the user's model."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None:
        return ""
    return f"{frame.f_code.co_filename}:{frame.f_lineno}, in {frame.f_code.co_name}"
