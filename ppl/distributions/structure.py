"""Values with named fields: what constraints and transforms have in common."""

from typing import Any, TypeVar

import jax
from jax.tree_util import GetAttrKey, register_pytree_with_keys

from ppl._typing import ArrayLike
from ppl.distributions.util import array_equiv

S = TypeVar("S", bound="Structure")
Aux = tuple[tuple[str, ...], dict[str, Any]]


def _hashable_aux(value: "Structure") -> tuple[tuple[Any, ...], tuple[tuple[str, ...], tuple[tuple[str, Any], ...]]]:
    children, (names, static) = value.tree_flatten()
    return tuple(children), (tuple(names), tuple(sorted(static.items())))


def _register(cls: type["Structure"]) -> None:
    def flatten_with_keys(value: "Structure") -> tuple[tuple[Any, ...], Any]:
        children, aux = _hashable_aux(value)
        return tuple((GetAttrKey(name), child) for name, child in zip(aux[0], children)), aux

    def unflatten(aux: Any, children: Any) -> "Structure":
        return cls.tree_unflatten((aux[0], dict(aux[1])), children)

    register_pytree_with_keys(cls, flatten_with_keys, unflatten, _hashable_aux)


class Structure:
    """A value made of named fields, registered as a pytree, compared by type and fields.

    Attributes:
        leaf_fields: names of the fields that are arrays or structures, the children of the pytree.
        static_fields: names of the fields that are part of the tree's structure; their values are hashable.
    """

    leaf_fields: tuple[str, ...] = ()
    static_fields: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _register(cls)

    def tree_flatten(self) -> tuple[tuple[Any, ...], Aux]:
        """The children, and (their names, the static fields)."""
        children = tuple(getattr(self, name) for name in self.leaf_fields)
        return children, (self.leaf_fields, {name: getattr(self, name) for name in self.static_fields})

    @classmethod
    def tree_unflatten(cls: type[S], aux_data: Aux, params: Any) -> S:
        """The inverse of `tree_flatten`; validates nothing."""
        names, static = aux_data
        out = cls.__new__(cls)
        out.__dict__.update(zip(names, params))
        out.__dict__.update(static)
        return out

    def eq(self, other: object, static: bool = False) -> ArrayLike:
        """Whether `other` has the same type and fields.

        With `static=True` always a bool, where traced values equal only themselves.
        """
        if self is other:
            return True
        if type(self) is not type(other):
            return False
        children, (names, fields) = self.tree_flatten()
        others, (other_names, other_fields) = other.tree_flatten()
        if tuple(names) != tuple(other_names) or fields != other_fields:
            return False
        result: Any = True
        for a, b in zip(children, others):
            same = _equal(a, b, static)
            if same is False:
                return False
            result = same if result is True else (result if same is True else result & same)
        return result

    def __eq__(self, other: object) -> bool:
        return bool(self.eq(other, static=True))

    def __hash__(self) -> int:
        return hash(type(self))


def _equal(a: Any, b: Any, static: bool) -> Any:
    if isinstance(a, Structure):
        return a.eq(b, static=static)
    if isinstance(a, (list, tuple)):
        if not isinstance(b, (list, tuple)) or len(a) != len(b):
            return False
        result: Any = True
        for x, y in zip(a, b):
            same = _equal(x, y, static)
            if same is False:
                return False
            result = same if result is True else (result if same is True else result & same)
        return result
    if isinstance(b, Structure) or a is None or b is None:
        return a is b
    if jax.tree_util.all_leaves([a]):
        return array_equiv(a, b, static=static)
    return a == b
