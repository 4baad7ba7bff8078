"""What a run has drawn: samples and fields by chain, in host memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ppl._typing import PyTree
from ppl.infer.launch import Launch, read_field
from ppl.infer.run.store import as_jax

__all__ = ["Results", "without_site"]


@dataclass
class Results:
    """Draws of a run.

    Attributes:
        samples: what the user gets, leaves `(chains, draws, ...)`.
        fields: statistics and extra fields, the same.
        requested: names of the fields that the user gets.
        interrupted: whether Ctrl-C stopped the run.
        deterministic: names of deterministic sites.
        on_host: whether arrays are handed out as NumPy's.
        discrete: draws of the discrete sites that were summed out, once they were asked for.
    """

    samples: PyTree
    fields: dict[str, PyTree]
    requested: tuple[str, ...]
    interrupted: bool
    deterministic: frozenset[str]
    on_host: bool = False
    discrete: dict[str, PyTree] | None = None

    @staticmethod
    def of(
        launch: Launch,
        rows: dict[str, Any],
        samples: PyTree,
        default_fields: Sequence[str],
        extra_fields: Sequence[str],
        interrupted: bool,
    ) -> "Results":
        """The results of a run from what was read; extra fields under the sample field are unconstrained values.

        Raises:
            ValueError: if a site to be dropped is not there.
        """
        own = launch.sample_field
        rows = launch.expand(rows)
        requested = [name for name in default_fields if name != own]
        fields = {name: value for name, value in rows.items() if name != own}
        for name in extra_fields:
            if name.startswith("~"):
                samples = without_site(samples, name, own)
                continue
            requested.append(name)
            if name.split(".")[0] == own and rows:
                unconstrained = launch.unravel(rows[own])
                fields[name] = read_field(unconstrained, name.split(".", 1)[1]) if "." in name else unconstrained
        present = tuple(name for name in dict.fromkeys(requested) if name in fields)
        return Results(samples, fields, present, interrupted, launch.deterministic)

    @property
    def count(self) -> int:
        """The number of draws of each chain."""
        leaves = jax.tree.leaves(self.samples)
        return int(leaves[0].shape[1]) if leaves else 0

    @property
    def num_chains(self) -> int:
        """The number of chains; fewer than ran where an interruption found some of them far behind."""
        leaves = jax.tree.leaves(self.samples)
        return int(leaves[0].shape[0]) if leaves else 0

    def get(self, tree: PyTree, group_by_chain: bool) -> PyTree:
        """Arrays for the user, `(chains, draws, ...)`, or `(chains * draws, ...)` one chain after another."""

        def hand_out(x: Any) -> Any:
            shaped = x if group_by_chain else x.reshape((x.shape[0] * x.shape[1], *x.shape[2:]))
            return as_jax(shaped) if isinstance(shaped, np.ndarray) and not self.on_host else shaped

        return jax.tree.map(hand_out, tree)

    def extra(self) -> dict[str, PyTree]:
        """The fields that the user gets."""
        return {name: self.fields[name] for name in self.requested}

    def without_deterministic(self) -> PyTree:
        """The samples without deterministic sites."""
        if not isinstance(self.samples, Mapping):
            return self.samples
        return {name: value for name, value in self.samples.items() if name not in self.deterministic}

    def keep_on_host(self) -> None:
        """Hand out NumPy arrays from now on."""
        self.samples, self.fields = jax.tree.map(np.asarray, (self.samples, self.fields))
        self.on_host = True


def without_site(samples: PyTree, request: str, own: str) -> PyTree:
    """The samples without the site that a request like "~z.x" names.

    Raises:
        ValueError: if there is none.
    """
    site = request.removeprefix(f"~{own}.")
    if not isinstance(samples, Mapping) or site not in samples:
        known = sorted(samples) if isinstance(samples, Mapping) else []
        raise ValueError(f"extra_fields: {request!r} drops site {site!r}, which the samples do not have; they have {known}")
    return {name: value for name, value in samples.items() if name != site}
