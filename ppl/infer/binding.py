"""A kernel bound to arguments of certain shapes: its target, and the programs that were made for it."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ppl.infer.run.programs import Programs
from ppl.infer.target.diagnose import explain
from ppl.infer.target.gradient import GradientTarget
from ppl.infer.target.model import BoundModel

__all__ = ["Binding"]


@dataclass(frozen=True, eq=False)
class Binding:
    """A kernel bound to arguments of certain shapes.

    Attributes:
        target: the target; in place of arrays it has their shapes and types.
        model: the bound model, or None for a potential function.
        fixed: contents of the arrays, where the model has them fixed.
        processes: what the run executes, by the fields that it collects.
        programs: the compiled programs, by the same.
    """

    target: Any
    model: BoundModel | None
    fixed: bytes | None = None
    processes: dict[tuple[str, ...], Any] = field(default_factory=dict)
    programs: dict[tuple[str, ...], Programs] = field(default_factory=dict)

    @property
    def deterministic(self) -> frozenset[str]:
        """The names of deterministic sites."""
        return frozenset() if self.model is None else frozenset(self.model.facts.deterministics)

    def check_data(self, arrays: tuple[Any, ...]) -> None:
        """Warn of data outside the support of their site."""
        if self.model is not None:
            self.model.check_data(arrays)

    def with_arrays(self, arrays: tuple[Any, ...]) -> Any:
        """The target with these array arguments."""
        return replace(self.target, arrays=arrays)

    def raise_invalid_start(self, target: GradientTarget, position: np.ndarray, was_given: bool) -> None:
        """Say why a start has no finite density, or no finite gradient where the kernel needs one.

        Raises:
            RuntimeError: always.
        """
        what = "init_params have" if was_given else "Cannot find valid initial parameters: 100 proposals had"
        reasons = explain(target, position) if self.model is not None else []  # type: ignore[arg-type]
        details = (
            "".join(f"\n  {reason}" for reason in reasons) or "\n  potential_fn, or a gradient that is needed, is not finite there"
        )
        raise RuntimeError(
            f"{what} no finite log density (or gradient, where one is needed). At the last one:{details}\n"
            "Check the data and the supports, or choose another start: init_params, or init_strategy such as "
            "init_to_median or init_to_value."
        )
