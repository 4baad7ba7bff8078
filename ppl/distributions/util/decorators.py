"""Decorators of properties and of `log_prob`."""

from collections.abc import Callable
from functools import update_wrapper, wraps
from typing import Any, Generic, TypeVar, overload

from ppl.distributions.util.concrete import is_concrete

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


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


def validate_sample(log_prob: F) -> F:
    """Decorator of a `log_prob` method: checks the event shape of the value, and warns of concrete values outside the support."""

    @wraps(log_prob)
    def wrapper(self: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        self._check_event_shape(value)
        if self._validate_args and is_concrete(value):
            self._validate_sample(value)
        return log_prob(self, value, *args, **kwargs)

    return wrapper  # type: ignore[return-value]
