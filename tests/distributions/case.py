"""One line of the tables of distributions that `test_properties.py`, `test_draws.py` and `test_exact.py` run over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# What a family may define; a case names in `without` what it does not, and `test_properties.py` holds it to that.
MEMBERS = ("mean", "variance", "entropy", "cdf", "icdf", "rsample", "enumerate_support")


@dataclass(frozen=True, eq=False)
class Case:
    """One family with several settings of its parameters.

    Attributes:
        name: unique; shown by pytest.
        make: constructor, called with parameters and `static` as keyword arguments.
        params: parameters of one distribution of batch shape (), Python numbers or arrays, which tests may also pass as arrays,
            batched on the left, or traced.
        scipy: the same law in SciPy or by an independent formula, made from the parameters: it has `logpdf` or `logpmf`, and
            for scalars `cdf`, `ppf`, `mean`, `var`, `entropy` and `support` as far as these are tested.
        static: further constructor arguments, which are never traced.
        invalid: for each parameter, a value that validation must refuse.
        outside: values outside the support of the first setting; the ends of the support of `scipy` give others.
        exactly: puts draws in float32 on the support in float64, where rounding has moved them off a manifold.
        others: further settings: what differs from `params` and `static`.
        without: by name, with the reason, members that the family does not define, and properties that do not hold. A test of
            such a property must fail.
    """

    name: str
    make: Callable[..., Any]
    params: Mapping[str, Any]
    scipy: Callable[..., Any]
    static: Mapping[str, Any] = field(default_factory=dict)
    invalid: Mapping[str, Any] = field(default_factory=dict)
    outside: tuple[Any, ...] = ()
    exactly: Callable[[np.ndarray], np.ndarray] = lambda x: x
    others: tuple[Mapping[str, Any], ...] = ()
    without: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The arguments of every setting."""
        return [{**self.params, **self.static, **other} for other in ({}, *self.others)]

    def build(self, convert: Callable[[Any], Any] = lambda p: p, **options: Any) -> Any:
        """The first setting, with `convert` applied to every parameter."""
        return self.make(**{name: convert(p) for name, p in self.params.items()}, **self.static, **options)

    def batch(self, dtype: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Parameters in this width and static arguments of all k settings, batched on the left."""
        settings = self.settings
        params = {name: np.stack([np.asarray(s[name], dtype) for s in settings]) for name in self.params}
        varying = {name for other in self.others for name in other} & set(self.static)
        static = {name: np.stack([s[name] for s in settings]) if name in varying else p for name, p in self.static.items()}
        return params, static

    def references(self) -> list[Any]:
        """The law of every setting in SciPy."""
        return [self.scipy(**setting) for setting in self.settings]

    def has(self, *members: str) -> bool:
        """Whether the family defines these members."""
        return not set(members) & set(self.without)
