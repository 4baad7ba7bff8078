"""Decorators of properties, of methods, and of functions that make distributions."""

from collections.abc import Callable
from functools import update_wrapper, wraps
from typing import Any, Generic, ParamSpec, TypeVar, overload

import jax
import numpy as np

from ppl.distributions.util.concrete import is_concrete

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")


class lazy_property(Generic[T]):
    """A property that is computed once and kept, unless its value is traced (a traced value must not outlive its trace)."""

    def __init__(self, wrapped: Callable[[Any], T]) -> None:
        self.wrapped = wrapped
        update_wrapper(self, wrapped)  # type: ignore[arg-type]

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "lazy_property[T]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> "lazy_property[T] | T":
        if instance is None:
            return self
        value = self.wrapped(instance)
        if is_concrete(value):
            instance.__dict__[self.name] = value
        return value


def factory(make: Callable[P, T]) -> Callable[P, T]:
    """Decorator of a function that makes one of several families: errors carry a note with the name that the user wrote."""

    @wraps(make)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return make(*args, **kwargs)
        except (TypeError, ValueError) as error:
            error.add_note(f"in the call of {make.__name__}(...)")
            raise

    return wrapper


def validate_key(sample: F) -> F:
    """Decorator of a `sample` method: checks that its first argument is a random key, and the second one a shape."""

    @wraps(sample)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(("key", "sample_shape"), args)), **kwargs}
        if "key" in given and not isinstance(given["key"], (jax.Array, np.ndarray)):
            raise TypeError(
                f"{type(self).__name__}.sample needs a random key, found {given['key']!r} of type {type(given['key']).__name__}; "
                "pass jax.random.key(0), say"
            )
        if isinstance(given.get("sample_shape"), int):
            shape = given["sample_shape"]
            raise TypeError(f"{type(self).__name__}.sample: sample_shape must be a tuple, found {shape}; write ({shape},)")
        return sample(self, *args, **kwargs)

    return wrapper  # type: ignore[return-value]


def validate_sample(log_prob: F) -> F:
    """Decorator of a `log_prob` method: checks the event shape of the value, and warns of concrete values outside the support."""

    @wraps(log_prob)
    def wrapper(self: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        self._check_event_shape(value)
        if self._validate_args and is_concrete(value):
            self._validate_sample(value)
        return log_prob(self, value, *args, **kwargs)

    return wrapper  # type: ignore[return-value]
