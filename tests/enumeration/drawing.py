"""Random programs, from a NumPy generator: only such as variable elimination with plates can do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from enumeration.programs import (
    DISCRETE,
    VECTOR,
    Chain,
    Path,
    Plate,
    Program,
    Site,
    Table,
    full_shape_of,
    is_tractable,
    shape_of,
)

LARGEST = 20_000
LAYOUTS: tuple[tuple[float, tuple[Path, ...]], ...] = (
    (1.0, ()),
    (2.0, (("a",),)),
    (3.0, (("a",), ("a", "b"))),
    (3.0, (("a",), ("a", "b"), ("a", "b", "c"))),
    (2.0, (("a",), ("b",))),
    (1.5, (("a",), ("a", "b"), ("c",))),
    (1.5, (("a",), ("a", "b"), ("a", "c"))),
    (2.0, (("a",), ("b",), ("a", "b"))),  # these two cross
)


def random_program(seed: int, *, max_states: int | None = None, subsampled: bool | None = None) -> Program:
    """A program; the same for the same arguments.

    Args:
        seed: for the NumPy generator.
        max_states: the largest number of joint states of all copies of the enumerated sites; `None` for a random one, up to
            `LARGEST`.
        subsampled: whether some plate is subsampled; `None` for either.
    """
    rng = np.random.default_rng([2718, seed])
    if max_states is None:
        max_states = int(np.exp(rng.uniform(np.log(200), np.log(LARGEST))))
    numbers = range(len(LAYOUTS)) if not subsampled else range(1, len(LAYOUTS) - 1)
    weights = np.array([LAYOUTS[number][0] for number in numbers])
    layout = LAYOUTS[rng.choice(list(numbers), p=weights / weights.sum())][1]
    return Draw(rng, layout, max_states, subsampled).program()


@dataclass(frozen=True)
class ChainPlan:
    """What the steps of a chain have in common.

    Attributes:
        name: the prefix of its sites.
        path: the plates around its sites.
        kinds: the kind of each state in a step.
        supports: of each state.
        history: how far back a state looks.
        outer: discrete sites before the loop that the states depend on.
        leads: whether the second state of a step depends on the first.
        lagged: whether what is emitted depends on the state before, too.
        latent: whether what is emitted is latent.
        tables: the tables that the steps share, by use; `None` where each step has its own.
    """

    name: str
    path: Path
    kinds: tuple[str, ...]
    supports: tuple[tuple[int, ...], ...]
    history: int
    outer: tuple[str, ...]
    leads: bool
    lagged: bool
    latent: bool
    tables: dict[str, Table] | None


class Draw:
    """The state of drawing one program."""

    def __init__(self, rng: np.random.Generator, layout: Sequence[Path], max_states: int, subsampled: bool | None) -> None:
        self.rng = rng
        self.budget = float(np.log(max_states))
        self.paths: tuple[Path, ...] = ((), *layout)
        self.crosses = ("b",) in self.paths and ("a", "b") in self.paths
        self.plates = self._draw_plates(subsampled)
        self.sites: dict[str, Site] = {}
        self.visible: list[str] = []
        self.params: dict[str, np.ndarray] = {}
        self.fixed: dict[str, np.ndarray] = {}
        self.data: dict[str, np.ndarray] = {}

    def program(self) -> Program:
        """A discrete site to be summed out, then discrete sites, chains and continuous sites in any order."""
        rng = self.rng
        kinds = ["discrete"] * int(rng.integers(0, 5)) + ["continuous"] * int(rng.integers(1, 5))
        kinds += ["chain"] * self._chance(0.45) + ["factor"] * self._chance(0.15)
        rng.shuffle(kinds)
        statements: list[Site | Chain] = [self._discrete("z0", must_enumerate=True)]
        for i, kind in enumerate(kinds, 1):
            if kind == "chain":
                statements += self._chain(f"s{i}")
            elif kind == "discrete":
                statements.append(self._discrete(f"z{i}"))
            else:
                statements.append(self._child(f"x{i}", "factor" if kind == "factor" else None))
        fresh_plates = self._chance(0.5)
        return Program(self.plates, tuple(statements), self.data, self.fixed, self.params, fresh_plates)

    def _chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def _some(self, names: Sequence[str], count: int) -> tuple[str, ...]:
        """Up to so many of the names, in any order."""
        return tuple(names[i] for i in self.rng.permutation(len(names))[:count])

    # Plates

    def _draw_plates(self, subsampled: bool | None) -> dict[str, Plate]:
        rng, names = self.rng, sorted({name for path in self.paths for name in path})
        dims = self._draw_dims(names)
        sizes = {name: int(rng.choice([1, 2, 3], p=[0.15, 0.6, 0.25])) for name in names}
        chosen: tuple[str, ...] = ()
        if subsampled or (subsampled is None and not self.crosses and self._chance(0.25)):
            chosen = self._some(names, int(rng.integers(1, 3)))
        plates = {}
        for name in names:
            full_size = sizes[name] + (int(rng.integers(1, 4)) if name in chosen else 0)
            indices = rng.permutation(full_size)[: sizes[name]] if name in chosen else np.arange(full_size)
            plates[name] = Plate(name, dims[name], full_size, tuple(int(i) for i in indices))
        return plates

    def _draw_dims(self, names: list[str]) -> dict[str, int]:
        """Each plate its own dimension, or by depth from the right or from the left."""
        if self.crosses or self._chance(0.3):
            return {name: -1 - int(place) for name, place in zip(names, self.rng.permutation(len(names)))}
        depths = {name: next(path.index(name) for path in self.paths if name in path) for name in names}
        if self._chance(0.5):
            return {name: -1 - depth for name, depth in depths.items()}
        return {name: depth - max(depths.values()) - 1 for name, depth in depths.items()}

    def _copies(self, path: Path) -> int:
        return int(np.prod([self.plates[name].size for name in path], dtype=int))

    def _path(self) -> Path:
        weights = np.array([0.5 + len(path) for path in self.paths])
        return self.paths[self.rng.choice(len(self.paths), p=weights / weights.sum())]

    def _within(self, path: Path) -> list[Site]:
        """The sites that one in these plates may depend on."""
        return [self.sites[name] for name in self.visible if set(self.sites[name].plates) <= set(path)]

    # Sites

    def _discrete(self, name: str, *, must_enumerate: bool = False) -> Site:
        rng, path = self.rng, self._path()
        kind = DISCRETE[rng.integers(len(DISCRETE))]
        role = "enumerated" if must_enumerate else str(rng.choice(["enumerated", "observed", "fixed"], p=[0.8, 0.12, 0.08]))
        support = self._support(kind)
        if role == "enumerated" and np.log(len(support)) * self._copies(path) > self.budget:
            support = support[:2]
            if np.log(2.0) * self._copies(path) > self.budget:
                path, role = ((), role) if must_enumerate else (path, "observed")
        if role == "enumerated":
            self.budget -= np.log(len(support)) * self._copies(path)
        site = Site(name, kind, role, path, support, derived=self._chance(0.15))
        return self._finish(self._with_parents(site, eager=role != "enumerated"))

    def _support(self, kind: str) -> tuple[int, ...]:
        size = int(self.rng.integers(2, 5))
        if kind.startswith("bernoulli"):
            return (0, 1)
        low = int(self.rng.choice([-2, 1, 2, 3])) if kind == "uniform" else 0
        return tuple(range(low, low + size))

    def _child(self, name: str, kind: str | None) -> Site:
        kind = kind or str(self.rng.choice(["normal", "vector", "poisson"], p=[0.7, 0.15, 0.15]))
        role = "latent" if kind == "normal" and self._chance(0.25) else "observed"
        return self._finish(self._with_parents(Site(name, kind, role, self._path()), eager=True))

    def _with_parents(self, site: Site, *, eager: bool) -> Site:
        """The site with parents among those it may depend on; eager ones have a discrete parent where there is one."""
        if site.kind == "uniform":
            return site
        rng, others = self.rng, self._within(site.plates)
        discrete = [other.name for other in others if other.support]
        numbers = [other.name for other in others if other.support or other.kind == "normal"]
        for _ in range(3):
            indexed = self._some(discrete, int(rng.integers(eager, 3)))
            added = self._some([name for name in numbers if name not in indexed], int(rng.integers(0, 3)))
            candidate = replace(site, indexed=indexed, added=added, slopes=tuple(rng.normal(0.0, 0.7, len(added))))
            if self._allows(candidate):
                return self._with_table(candidate)
        return self._with_table(site)

    def _allows(self, *sites: Site) -> bool:
        return is_tractable([*self.sites.values(), *sites])

    def _with_table(self, site: Site) -> Site:
        rng, shape = self.rng, self._table_shape(site)
        array = rng.normal(0.0, 1.2, shape)
        prior = "normal" if shape and self._chance(0.3) else None
        offset = None
        if site.plates and self._chance(0.5):
            offset = rng.normal(0.0, 0.8, full_shape_of(site.plates, self.plates))
        elif site.kind == "categorical_probs" and not site.added and self._chance(0.6):
            array, prior = rng.dirichlet(np.full(shape[-1], 2.0), shape[:-1]), "dirichlet"
        return replace(site, table=Table(f"{site.name}_table", array, prior), offset=offset)

    def _table_shape(self, site: Site) -> tuple[int, ...]:
        shape = tuple(len(self.sites[name].support) for name in site.indexed)
        return (*shape, len(site.support)) if site.kind in VECTOR else shape

    def _finish(self, site: Site) -> Site:
        """Masks, scales and values; later sites may depend on this one."""
        rng, shape = self.rng, shape_of(site.plates, self.plates)
        if shape and self._chance(0.25):
            kept = tuple(size if self._chance(0.75) else 1 for size in shape)
            site = replace(site, mask=rng.random(kept) < 0.6, mask_outside=self._chance(0.5))
        if self._chance(0.2) and not (site.mask is not None and site.role == "enumerated"):
            site = replace(site, scale=float(rng.choice([0.5, 0.7, 2.0])))
        if site.kind == "normal" and site.role == "observed" and shape and self._chance(0.3):
            site = replace(site, obs_mask=rng.random(shape) < 0.5)
        self.visible.append(site.name)
        return self._record(site)

    def _record(self, site: Site) -> Site:
        """Keep the site and give it the values that it needs."""
        rng, shape = self.rng, shape_of(site.plates, self.plates)
        if site.table is not None and site.table.prior is not None:
            self.params[site.table.name] = site.table.array
        if site.role == "fixed":
            self.fixed[site.name] = rng.choice(site.support, shape)
        elif site.role == "latent":
            self.params[site.name] = rng.normal(0.0, 1.5, shape)
        elif site.role == "observed" and site.kind != "factor":
            self.data[site.name] = self._observed(site, full_shape_of(site.plates, self.plates))
        if site.obs_mask is not None:
            self.params[f"{site.name}_unobserved"] = rng.normal(0.0, 1.5, shape)
        self.sites[site.name] = site
        return site

    def _observed(self, site: Site, shape: tuple[int, ...]) -> np.ndarray:
        if site.support:
            return self.rng.choice(site.support, shape)
        if site.kind == "poisson":
            return self.rng.poisson(1.5, shape)
        return self.rng.normal(0.0, 1.5, shape + ((2,) if site.kind == "vector" else ()))

    # Chains

    def _chain(self, name: str) -> list[Chain]:
        """One or two chains of states in one loop, with what they emit; nothing where there are too many states already."""
        rng, weights = self.rng, np.array([1.0 / self._copies(path) for path in self.paths])
        path = self.paths[rng.choice(len(self.paths), p=weights / weights.sum())]
        kinds = tuple(str(kind) for kind in rng.choice([kind for kind in DISCRETE if kind != "uniform"], 1 + self._chance(0.3)))
        supports = tuple(self._support(kind)[: 3 - i] for i, kind in enumerate(kinds))
        cost = float(sum(np.log(len(support)) for support in supports)) * self._copies(path)
        if self.budget < 2 * cost:
            return []
        length = max(int(length) for length in rng.integers(2, min(5, int(self.budget / cost)) + 1, 2))
        self.budget -= length * cost
        outer = self._some([site.name for site in self._within(path) if site.support], int(self._chance(0.4)))
        plan = ChainPlan(
            name=name,
            path=path,
            kinds=kinds,
            supports=supports,
            history=int(rng.integers(1, 3)),
            outer=outer,
            leads=self._chance(0.5),
            lagged=self._chance(0.3),
            latent=self._chance(0.2),
            tables={} if self._chance(0.5) else None,
        )
        if not self._allows(Site(name, "normal", "observed", path, indexed=outer)):
            plan = replace(plan, outer=())
        lengths = rng.integers(1, length + 1, shape_of(path, self.plates)) if path and self._chance(0.7) else None
        steps: list[tuple[Site, ...]] = []
        for t in range(length):
            steps.append(self._step(plan, t, None if lengths is None else lengths > t))
        return [Chain(path, plan.history, tuple(steps), self._chance(0.5))]

    def _step(self, plan: ChainPlan, t: int, mask: np.ndarray | None) -> tuple[Site, ...]:
        """The states of a step, and what they emit."""

        def states(at: int) -> tuple[str, ...]:
            return tuple(f"{plan.name}{'ab'[k]}{at}" for k in range(len(plan.kinds)))

        sites = []
        for k, (kind, support) in enumerate(zip(plan.kinds, plan.supports)):
            before = tuple(states(t - lag)[k] for lag in range(1, plan.history + 1) if lag <= t)
            indexed = (*before, *states(t)[:1][: k * plan.leads], *plan.outer)
            site = Site(states(t)[k], kind, "enumerated", plan.path, support, indexed, mask=mask)
            sites.append(self._record(self._in_chain(plan, site, f"state{k}")))
        indexed = states(t) + (states(t - 1)[:1] if plan.lagged and t else ())
        site = Site(f"{plan.name}x{t}", "normal", "latent" if plan.latent else "observed", plan.path, (), indexed, mask=mask)
        if plan.latent and t:
            site = replace(site, added=(f"{plan.name}x{t - 1}",), slopes=(0.6,))
        sites.append(self._record(self._in_chain(plan, site, "emission")))
        return tuple(sites)

    def _in_chain(self, plan: ChainPlan, site: Site, use: str) -> Site:
        """The site with its table: its own, or the one that all steps with as many parents share."""
        if plan.tables is None:
            return self._with_table(site)
        use = f"{plan.name}_{use}_{len(site.indexed)}"
        if use not in plan.tables:
            shape = self._table_shape(site)
            is_latent = bool(shape) and site.kind != "categorical_probs" and self._chance(0.4)
            plan.tables[use] = Table(f"{use}_table", self.rng.normal(0.0, 1.2, shape), "normal" if is_latent else None)
        return replace(site, table=plan.tables[use])


def describe(program: Program) -> dict[str, Any]:
    """Which features a program has, for the tests that all of them come up."""
    sites = program.sites.values()
    chains = [statement for statement in program.statements if isinstance(statement, Chain)]
    return {
        "levels": max((len(site.plates) for site in sites), default=0),
        "chain": bool(chains),
        "history 2": any(chain.history == 2 and len(chain.steps) > 2 for chain in chains),
        "chain in a plate": any(chain.plates for chain in chains),
        "masked latent": any(site.mask is not None and site.role == "enumerated" for site in sites),
        "ragged chain": any(site.mask is not None for chain in chains for step in chain.steps for site in step),
        "scaled latent": any(site.scale is not None and site.role == "enumerated" for site in sites),
        "obs_mask": any(site.obs_mask is not None for site in sites),
        "subsampled": program.is_subsampled,
        "crossing": any(site.plates == ("b",) for site in sites) and any(site.plates == ("a", "b") for site in sites),
        "fixed": bool(program.fixed),
        "observed discrete": any(site.role == "observed" and site.support and site.parents for site in sites),
        "continuous latent child": any(site.role == "latent" and site.parents for site in sites),
        "outer parent": any(
            set(program.sites[parent].plates) < set(site.plates)
            for site in sites
            for parent in site.parents
            if program.sites[parent].role == "enumerated"
        ),
        **{kind: any(site.kind == kind and site.role == "enumerated" for site in sites) for kind in DISCRETE},
    }
