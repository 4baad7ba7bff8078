"""Models with discrete sites as plain data, and the model functions that the data stand for; `drawing.py` draws them at random.

A program holds plates (nested up to three levels, siblings, or two that cross), up to six discrete sites and chains of them, and
continuous sites, observed and latent. What a site's distribution depends on is a lookup in a table by discrete parents, plus a
linear function of the values of other parents, plus an offset for each element of the plates.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import ppl
import ppl.distributions as dist
from ppl import handlers
from ppl.ops.indexing import Vindex

DISCRETE = ("bernoulli", "bernoulli_probs", "categorical", "categorical_probs", "binomial", "uniform", "ordered")
VECTOR = ("categorical", "categorical_probs")
CUTPOINTS = np.array([-0.8, 0.4, 1.3])
Path = tuple[str, ...]
Latents = dict[str, tuple[tuple[int, ...], tuple[int, ...]]]


@dataclass(frozen=True)
class Plate:
    """A plate; it is subsampled where `indices` are fewer than `full_size`."""

    name: str
    dim: int
    full_size: int
    indices: tuple[int, ...]

    @property
    def size(self) -> int:
        return len(self.indices)


@dataclass(frozen=True, eq=False)
class Table:
    """The numbers that discrete parents look up; with a `prior` they are a latent site, and `array` is its value."""

    name: str
    array: np.ndarray
    prior: str | None = None


@dataclass(frozen=True, eq=False)
class Site:
    """A site.

    Attributes:
        name: its name.
        kind: one of `DISCRETE`, or `normal`, `vector`, `poisson`, `factor`.
        role: `enumerated`, `observed`, `fixed` (discrete and latent, but its value is given) or `latent` (continuous).
        plates: the plates around it, outermost first.
        support: the values of a discrete site.
        indexed: the discrete parents that look up the table.
        added: the parents that enter by arithmetic.
        table: as many dimensions as `indexed`, and one more for a categorical site.
        slopes: the factors of the values of `added`.
        offset: a summand for each element of the plates, before subsampling.
        mask: for `handlers.mask`, in the plates.
        mask_outside: whether it is the outermost handler instead of the innermost.
        scale: for `handlers.scale`.
        obs_mask: which elements are observed.
        derived: whether children take the value from a deterministic site.
    """

    name: str
    kind: str
    role: str
    plates: Path
    support: tuple[int, ...] = ()
    indexed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    table: Table | None = None
    slopes: tuple[float, ...] = ()
    offset: np.ndarray | None = None
    mask: np.ndarray | None = None
    mask_outside: bool = False
    scale: float | None = None
    obs_mask: np.ndarray | None = None
    derived: bool = False

    @property
    def parents(self) -> tuple[str, ...]:
        return self.indexed + self.added


@dataclass(frozen=True, eq=False)
class Chain:
    """The sites of each step of a loop, with plates around the loop or within."""

    plates: Path
    history: int
    steps: tuple[tuple[Site, ...], ...]
    plates_around: bool


@dataclass(frozen=True, eq=False)
class Program:
    """Statements, and the values that they need.

    Attributes:
        plates: by name.
        statements: in the order of the run.
        data: what observed sites observed, of full size in subsampled plates.
        fixed: the values of fixed sites.
        params: the values of the continuous latent sites.
        fresh_plates: whether each statement constructs its plates anew, instead of using the ones made at the start.
    """

    plates: dict[str, Plate]
    statements: tuple[Site | Chain, ...]
    data: dict[str, np.ndarray]
    fixed: dict[str, np.ndarray]
    params: dict[str, np.ndarray]
    fresh_plates: bool

    @property
    def sites(self) -> dict[str, Site]:
        return {site.name: site for site in _flat(self.statements)}

    @property
    def latents(self) -> Latents:
        """The supports and shapes of the sites to be summed out."""
        return {s.name: (s.support, shape_of(s.plates, self.plates)) for s in self.sites.values() if s.role == "enumerated"}

    @property
    def num_states(self) -> int:
        return int(np.prod([float(len(support)) ** int(np.prod(shape)) for support, shape in self.latents.values()]))

    @property
    def is_subsampled(self) -> bool:
        return any(plate.size != plate.full_size for plate in self.plates.values())

    @property
    def first_available_dim(self) -> int:
        """The first dimension left of all plates."""
        return min((plate.dim for plate in self.plates.values()), default=0) - 1

    def model(self, loop: Callable[..., Iterable[int]] | None = None) -> Callable[[dict[str, Any]], None]:
        """The model, a function of the data; `loop` is `markov`, or nothing for a plain loop."""

        def model(data: dict[str, Any]) -> None:
            Run(self, data, loop or (lambda steps, history: steps)).run()

        indices = {plate.name: np.array(plate.indices) for plate in self.plates.values() if plate.size != plate.full_size}
        return handlers.substitute(model, data={**indices, **self.fixed})


def shape_of(path: Path, plates: dict[str, Plate]) -> tuple[int, ...]:
    """The batch shape of a site in these plates."""
    sizes = {plates[name].dim: plates[name].size for name in path}
    return tuple(sizes.get(dim, 1) for dim in range(min(sizes, default=0), 0))


def full_shape_of(path: Path, plates: dict[str, Plate]) -> tuple[int, ...]:
    """The same before subsampling."""
    sizes = {plates[name].dim: plates[name].full_size for name in path}
    return tuple(sizes.get(dim, 1) for dim in range(min(sizes, default=0), 0))


def _flat(statements: Iterable[Site | Chain]) -> list[Site]:
    sites: list[Site] = []
    for statement in statements:
        sites += [statement] if isinstance(statement, Site) else [site for step in statement.steps for site in step]
    return sites


# The model function


@dataclass
class Run:
    """One run of a program: the values so far."""

    program: Program
    data: dict[str, Any]
    loop: Callable[..., Iterable[int]]
    values: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        for site in self.program.sites.values():
            self._make_table(site.table)
        if not self.program.fresh_plates:
            self.made = {name: self._construct(name) for name in self.program.plates}
        for statement in self.program.statements:
            if isinstance(statement, Site):
                self._site(statement, ())
            else:
                self._chain(statement)

    def _make_table(self, table: Table | None) -> None:
        if table is None or table.name in self.tables:
            return
        shape = table.array.shape
        if table.prior == "normal":
            self.tables[table.name] = ppl.sample(table.name, dist.Normal(0.0, 1.5).expand(shape).to_event(len(shape)))
        elif table.prior == "dirichlet":
            rows = dist.Dirichlet(np.full(shape[-1], 1.5)).expand(shape[:-1]).to_event(len(shape) - 1)
            self.tables[table.name] = ppl.sample(table.name, rows)
        else:
            self.tables[table.name] = table.array

    def _construct(self, name: str) -> Any:
        plate = self.program.plates[name]
        size = None if plate.size == plate.full_size else plate.size
        return ppl.plate(name, plate.full_size, subsample_size=size, dim=plate.dim)

    def _enter(self, stack: ExitStack, path: Path) -> None:
        for name in path:
            stack.enter_context(self.made[name] if name in self.made else self._construct(name))

    def _chain(self, chain: Chain) -> None:
        with ExitStack() as stack:
            around = chain.plates if chain.plates_around else ()
            self._enter(stack, around)
            for t in self.loop(range(len(chain.steps)), history=chain.history):
                for site in chain.steps[t]:
                    self._site(site, around)

    def _site(self, site: Site, entered: Path) -> None:
        with ExitStack() as stack:
            if site.scale is not None:
                stack.enter_context(handlers.scale(scale=site.scale))
            if site.mask is not None and site.mask_outside:
                stack.enter_context(handlers.mask(mask=site.mask))
            self._enter(stack, tuple(name for name in site.plates if name not in entered))
            if site.mask is not None and not site.mask_outside:
                stack.enter_context(handlers.mask(mask=site.mask))
            self._sample(site)

    def _sample(self, site: Site) -> None:
        if site.kind == "factor":
            ppl.factor(site.name, jnp.sin(self._predictor(site)))
            return
        obs = None
        if site.role == "observed":
            obs = ppl.subsample(self.data[site.name], event_dim=1 if site.kind == "vector" else 0)
        value = ppl.sample(site.name, self._distribution(site), obs=obs, obs_mask=site.obs_mask)
        self.values[site.name] = value
        self.shown[site.name] = ppl.deterministic(f"{site.name}_shown", 1.5 - value) if site.derived else value

    def _predictor(self, site: Site) -> Any:
        """The scalar or vector that the distribution depends on."""
        sites, table = self.program.sites, self.tables[site.table.name]
        is_vector = site.kind in VECTOR
        lookup = tuple(self.values[name] - sites[name].support[0] for name in site.indexed)
        out = Vindex(table)[(*lookup, slice(None)) if is_vector else lookup] if lookup else jnp.asarray(table)
        spread = np.linspace(-1.0, 1.0, out.shape[-1]) if is_vector else 1.0
        for name, slope in zip(site.added, site.slopes):
            value = jnp.asarray(self.shown[name])
            out = out + slope * spread * (value[..., None] if is_vector else value)
        if site.offset is not None:
            offset = jnp.asarray(ppl.subsample(site.offset, event_dim=0))
            out = out + spread * (offset[..., None] if is_vector else offset)
        return out

    def _distribution(self, site: Site) -> dist.Distribution:
        if site.kind == "uniform":
            return dist.DiscreteUniform(site.support[0], site.support[-1])
        eta = self._predictor(site)
        match site.kind:
            case "bernoulli":
                return dist.Bernoulli(logits=eta)
            case "bernoulli_probs":
                return dist.Bernoulli(probs=jax.nn.sigmoid(eta))
            case "categorical":
                return dist.Categorical(logits=eta)
            case "categorical_probs":
                return dist.Categorical(probs=eta if site.table.prior == "dirichlet" else jax.nn.softmax(eta))
            case "binomial":
                return dist.Binomial(site.support[-1], logits=eta)
            case "ordered":
                return dist.OrderedLogistic(eta, CUTPOINTS[: site.support[-1]])
            case "normal":
                return dist.Normal(eta, 0.8)
            case "vector":
                return dist.Normal(eta[..., None] + np.array([0.0, 0.5]), np.array([0.9, 1.2])).to_event(1)
            case "poisson":
                return dist.Poisson(jnp.exp(0.4 * eta))
        raise ValueError(site.kind)


# What variable elimination with plates can do


def is_tractable(sites: Iterable[Site]) -> bool:
    """Whether eliminating leaf plates first never needs a product over one of two plates that cross.

    Each factor is a set of plates and the enumerated variables in it. From the leaves on, the variables that live in just these
    plates are summed out, component by component; what remains must live in fewer plates.
    """
    plates = {site.name: frozenset(site.plates) for site in sites if site.role == "enumerated"}
    factors = [(frozenset(site.plates), {name for name in (site.name, *site.parents) if name in plates}) for site in sites]
    while leaf := max((own for own, _ in factors), key=len, default=frozenset()):
        components = _components([names for own, names in factors if own == leaf], {n for n in plates if plates[n] == leaf})
        factors = [(own, names) for own, names in factors if own != leaf]
        for names in components:
            remaining = {name for name in names if plates[name] != leaf}
            within = frozenset[str]().union(*(plates[name] for name in remaining))
            if within == leaf:
                return False
            factors.append((within, remaining))
    return True


def _components(groups: list[set[str]], by: set[str]) -> list[set[str]]:
    """Unions of the groups that share elements of `by`."""
    found: list[set[str]] = []
    for group in groups:
        joined = [other for other in found if other & group & by]
        found = [other for other in found if not other & group & by] + [group.union(*joined)]
    return found
