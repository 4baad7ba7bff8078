"""What a body runs in: its own handlers, hidden from those outside; and how its sites come out again."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from ppl._typing import Message, Trace
from ppl.handlers import trace
from ppl.stack import Messenger, Step, apply_stack, isolated


class _Mark(Messenger):
    """Tells handlers further out in which step a site is."""

    def __init__(self, step: Step) -> None:
        self.step = step
        super().__init__()

    def process_message(self, msg: Message) -> None:
        """Note the index of the step among the hints for inference."""
        if msg["type"] == "sample":
            msg["infer"]["_scan_current_index"] = self.step.index


def run_body(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    inside: list[Callable[[Step | None], Messenger]],
    step: Step | None,
) -> tuple[Any, Trace]:
    """The result of `fn(*args)` and its trace, under the handlers that act inside, apart from those outside.

    Raises:
        NotImplementedError: for statements that cannot be repeated: `param`, `mutable`.
    """
    with ExitStack() as stack:
        stack.enter_context(isolated())
        beyond = stack.enter_context(trace()) if inside else {}
        for handler in reversed(inside):
            stack.enter_context(handler(step))
        sites = stack.enter_context(trace())
        if step is not None:
            stack.enter_context(_Mark(step))
        out = fn(*args)
    # Handlers may send further sites outwards, as `do` sends the natural one.
    sites = {**sites, **{name: site for name, site in beyond.items() if name not in sites}}
    for name, site in sites.items():
        if site["type"] in ("param", "mutable"):
            raise NotImplementedError(
                f"{site['type']} site {name!r} in the body of control flow is not supported; make it before the loop or the branch"
            )
    return out, sites


def with_sample_shape(site: Message) -> Message:
    """A site whose distribution has absorbed `sample_shape`."""
    if site["type"] != "sample" or not site["kwargs"]["sample_shape"]:
        return site
    sample_shape = site["kwargs"]["sample_shape"]
    return {**site, "fn": site["fn"].expand_by(sample_shape), "kwargs": {**site["kwargs"], "sample_shape": ()}}


def emit(site: Message, fn: Any, value: Any, time_dims: int) -> None:
    """Pass a site that comes out of control flow through the handlers outside."""
    msg = {**site, "fn": fn, "value": value, "_control_flow_done": True, "cond_indep_stack": list(site["cond_indep_stack"])}
    msg.pop("stop", None)
    if site["type"] == "sample":
        msg["infer"] = {k: v for k, v in site["infer"].items() if k != "_scan_current_index"}
        msg["intermediates"] = []
    if time_dims:
        msg["time_dims"] = time_dims
    apply_stack(msg)
