"""Distributions as pytrees, and notes on errors in their construction."""

from inspect import Signature, signature
from typing import Any, ClassVar, TypeVar

from jax.tree_util import GetAttrKey, register_pytree_with_keys

from ppl.distributions.util import lazy_property

P = TypeVar("P", bound="ParameterTree")


class DistributionType(type):
    """The type of distribution classes: an error in a constructor gets a note with the class and the shapes of the arguments."""

    @property
    def __signature__(cls) -> Signature:
        """That of the constructor, for `help` and editors, which would show the one of `__call__`."""
        constructor = signature(cls.__init__)  # type: ignore[misc]
        return constructor.replace(parameters=list(constructor.parameters.values())[1:], return_annotation=Signature.empty)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """A new distribution."""
        try:
            return super().__call__(*args, **kwargs)
        except (TypeError, ValueError) as error:
            if not getattr(error, "__notes__", None) and "distribution got invalid" not in str(error):
                error.add_note(f"while constructing {cls.__name__}({_arguments_text(cls.__signature__, args, kwargs)})")
            raise


def _arguments_text(parameters: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The arguments with their names, as far as they fit the parameters."""
    try:
        named = parameters.bind_partial(*args, **kwargs).arguments
    except TypeError:
        return ", ".join([*(_shape_text(arg) for arg in args), *(f"{name}={_shape_text(arg)}" for name, arg in kwargs.items())])
    return ", ".join(f"{name}={_shape_text(arg)}" for name, arg in named.items())


def _shape_text(x: Any) -> str:
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return f"{x.dtype}{list(x.shape)}"
    text = repr(x)
    return text if len(text) <= 60 else f"{text[:57]}..."


class ParameterTree:
    """Registers every subclass as a pytree: parameters are leaves, shapes and settings are static.

    Attributes:
        arg_constraints: parameter names and their constraints.
        pytree_data_fields: names of further attributes of this class that are leaves.
        pytree_aux_fields: names of further attributes of this class that are static; their values are hashable.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    pytree_data_fields: ClassVar[tuple[str, ...]] = ()
    pytree_aux_fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        data, aux = cls.gather_pytree_data_fields(), cls.gather_pytree_aux_fields()

        def flatten(d: "ParameterTree") -> tuple[tuple[Any, ...], Any]:
            fields = d.__dict__
            present = tuple(name for name in data if name in fields)
            static = tuple((name, fields[name]) for name in aux if name in fields)
            return tuple(fields[name] for name in present), (present, static)

        def flatten_with_keys(d: "ParameterTree") -> tuple[tuple[Any, ...], Any]:
            children, static = flatten(d)
            return tuple((GetAttrKey(name), child) for name, child in zip(static[0], children)), static

        def unflatten(static: Any, children: Any) -> "ParameterTree":
            d = cls.__new__(cls)
            d.__dict__.update(zip(static[0], children))
            d.__dict__.update(static[1])
            return d

        cls._flatten, cls._unflatten = flatten, staticmethod(unflatten)  # type: ignore[attr-defined]
        register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)

    @classmethod
    def gather_pytree_data_fields(cls) -> tuple[str, ...]:
        """Names of the attributes that are leaves: parameters that are no (lazy) properties, and `pytree_data_fields`."""
        names: dict[str, None] = {}
        for base in reversed(cls.__mro__):
            own = base.__dict__
            parameters = own.get("arg_constraints", {})
            declared = tuple(parameters) if isinstance(parameters, dict) else ()
            names.update(dict.fromkeys((*declared, *own.get("pytree_data_fields", ()))))
        static = set(cls.gather_pytree_aux_fields())
        return tuple(n for n in names if n not in static and not isinstance(getattr(cls, n, None), (lazy_property, property)))

    @classmethod
    def gather_pytree_aux_fields(cls) -> tuple[str, ...]:
        """Names of the attributes that are static."""
        names: dict[str, None] = {}
        for base in reversed(cls.__mro__):
            names.update(dict.fromkeys(base.__dict__.get("pytree_aux_fields", ())))
        return tuple(names)

    def tree_flatten(self) -> tuple[tuple[Any, ...], Any]:
        """The leaves, and the static part."""
        return self._flatten()  # type: ignore[attr-defined]

    @classmethod
    def tree_unflatten(cls: type[P], aux_data: Any, params: Any) -> P:
        """The distribution with these leaves; validates nothing."""
        return cls._unflatten(aux_data, params)  # type: ignore[attr-defined]
