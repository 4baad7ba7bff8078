"""The handler that gives random keys: seed."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from jax import random

from ppl._random import is_typed
from ppl._typing import Key, Message
from ppl.stack import Messenger, Step, current_stack
from ppl.util import as_key, check_seed, not_jax_tracer

__all__ = ["seed"]

_SEEDED = frozenset(("sample", "plate", "prng_key", "control_flow"))


class seed(Messenger):
    """Gives a fresh random key to every statement that needs one.

    The i-th key is `fold_in(rng_seed, i)`. Each call of a wrapped model starts again at 0, so that it returns the same draws; so
    does each entry of the context. Sites that have a value need no key. Of nested seeds the innermost counts.

    Args:
        fn: a model.
        rng_seed: a random key, typed or legacy, or an integer.
        hide_types: types of messages that get no key.

    Raises:
        TypeError: if `rng_seed` is neither a key nor an integer.

    Example:
        >>> from ppl import distributions as dist
        >>> from ppl.primitives import sample
        >>> model = seed(lambda: sample("x", dist.Normal(0.0, 1.0)), 0)
        >>> bool(model() == model())
        True
    """

    def __init__(
        self, fn: Callable[..., Any] | None = None, rng_seed: Any = None, hide_types: Collection[str] | None = None
    ) -> None:
        check_seed(rng_seed, name="seed: `rng_seed`")
        self.rng_seed = rng_seed
        self.hide_types = () if hide_types is None else tuple(hide_types)
        self._count = 0
        self._key: Key | None = None
        super().__init__(fn)

    def __enter__(self) -> "seed":
        if not any(handler is self for handler in current_stack()):
            self._count = 0
        return super().__enter__()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model from the first key on."""
        if self.fn is None:
            return super().__call__(*args, **kwargs)
        with seed(rng_seed=self.rng_seed, hide_types=self.hide_types):
            return self.fn(*args, **kwargs)

    def process_message(self, msg: Message) -> None:
        """Give a key to a message that has neither key nor value."""
        kind = msg["type"]
        if kind not in _SEEDED or kind in self.hide_types or msg["value"] is not None or msg["kwargs"]["rng_key"] is not None:
            return
        key = random.fold_in(self._base_key(), self._count)
        self._count += 1
        if kind == "prng_key" and not is_typed(self.rng_seed):
            key = random.key_data(key)  # the model gets the kind of key that the user works with
        msg["kwargs"]["rng_key"] = key
        if kind == "control_flow":
            msg["kwargs"]["inside"].append(partial(_seed_of_step, key, self.hide_types))

    def _base_key(self) -> Key:
        """The key to fold numbers into; kept when it is concrete, since a tracer must not outlive its trace."""
        if self._key is not None:
            return self._key
        key = as_key(self.rng_seed)
        if not_jax_tracer(key):
            self._key = key
        return key


def _seed_of_step(key: Key, hide_types: tuple[str, ...], step: Step | None) -> seed:
    """The handler for one step of a loop, or for a branch."""
    return seed(rng_seed=key if step is None else random.fold_in(key, step.index), hide_types=hide_types)
