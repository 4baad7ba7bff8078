"""The factors of random programs by formulas in NumPy: neither the library's handlers nor its distributions come in.

Nothing is compiled, so that hundreds of programs take seconds. Every array is `(s, ...)`: the states, then one axis for each dim
that plates use. Gradients are complex steps: `f(x + ih v)` has the imaginary part `h df(x)[v]`, to rounding.
"""

from typing import Any

import numpy as np
from enumeration.brute_force import Factor, Factors, Values, logsumexp, prototypes, states, total, total_by_plates
from enumeration.programs import CUTPOINTS, VECTOR, Path, Program, Site, Table
from scipy import special

STEP = 1e-40
Params = dict[str, np.ndarray]


def log_density(program: Program, params: Params) -> complex:
    """The log density of a program with its enumerated sites summed out."""
    if program.is_subsampled:
        return total_by_plates(factors(program, params, prototypes(program.latents)), program.latents)
    return total(factors(program, params, states(program.latents)))


def slope(program: Program, name: str, direction: np.ndarray) -> float:
    """The derivative of the log density when one site's value moves in a direction."""
    moved = {**program.params, name: program.params[name] + 1j * STEP * direction}
    return float(np.imag(log_density(program, moved)) / STEP)


def factors(program: Program, params: Params, values: Values) -> Factors:
    """The factors at these states of the enumerated sites."""
    return Evaluation(program, params, values).factors()


class Evaluation:
    """A program at given values of its parameters and states."""

    def __init__(self, program: Program, params: Params, values: Values) -> None:
        self.program, self.params = program, params
        self.rank = max((-plate.dim for plate in program.plates.values()), default=0)
        self.values: dict[str, Any] = {}
        for name, value in values.items():
            self.values[name] = value.reshape(len(value), *(1,) * (self.rank + 1 - value.ndim), *value.shape[1:])
        self.found: dict[str, Factor] = {}

    def factors(self) -> Factors:
        """Of the tables that are latent, and of all sites."""
        for site in self.program.sites.values():
            if site.table is not None and site.table.prior is not None:
                self.found[site.table.name] = Factor(np.reshape(self._prior(site.table), (1,)), {})
        for site in self.program.sites.values():
            self._site(site)
        scales = {plate.name: plate.full_size / plate.size for plate in self.program.plates.values()}
        return Factors(self.found, scales)

    def _prior(self, table: Table) -> Any:
        array = self.params[table.name]
        if table.prior == "normal":
            return log_normal(array, 0.0, 1.5).sum()
        size = array.shape[-1]
        constant = special.gammaln(1.5 * size) - size * special.gammaln(1.5)
        return (0.5 * np.log(array).sum(-1) + constant).sum()

    def _place(self, array: Any) -> np.ndarray:
        """An array of a site's shape with an axis for the states in front, and one for each dim."""
        array = np.asarray(array)
        return array.reshape(1, *(1,) * (self.rank - array.ndim), *array.shape)

    def _subsample(self, array: np.ndarray, path: Path, event_dim: int = 0) -> np.ndarray:
        for name in path:
            plate = self.program.plates[name]
            array = np.take(array, plate.indices, axis=plate.dim - event_dim)
        return array

    def _site(self, site: Site) -> None:
        eta = self._predictor(site)
        if site.kind == "factor":
            self._add(site, site.name, np.sin(eta))
            return
        if site.role in ("fixed", "latent"):
            value = self.program.fixed[site.name] if site.role == "fixed" else self.params[site.name]
            self.values[site.name] = self._place(value)
        elif site.role == "observed":
            data = self._subsample(self.program.data[site.name], site.plates, int(site.kind == "vector"))
            if site.kind == "vector":
                terms = [log_normal(self._place(data[..., k]), eta + 0.5 * k, (0.9, 1.2)[k]) for k in range(2)]
                self._add(site, site.name, terms[0] + terms[1])
                return
            self.values[site.name] = self._place(data)
        if site.obs_mask is None:
            self._add(site, site.name, self._log_prob(site, eta, self.values[site.name]))
            return
        unobserved, is_observed = self._place(self.params[f"{site.name}_unobserved"]), self._place(site.obs_mask)
        self._add(site, f"{site.name}_observed", self._log_prob(site, eta, self.values[site.name]), is_observed)
        self._add(site, f"{site.name}_unobserved", self._log_prob(site, eta, unobserved), ~is_observed)
        self.values[site.name] = np.where(is_observed, self.values[site.name], unobserved)

    def _add(self, site: Site, name: str, log_prob: Any, counts: Any = True) -> None:
        """One term for each element of the plates, with mask and scale."""
        if site.mask is not None and site.role != "enumerated":
            counts = counts & self._place(site.mask)
        sizes = {self.program.plates[plate].dim: self.program.plates[plate].size for plate in site.plates}
        shape = tuple(sizes.get(dim, 1) for dim in range(-self.rank, 0))
        log_prob = np.broadcast_to(np.where(counts, log_prob, 0.0), (np.shape(log_prob)[0], *shape))
        dims = {plate: self.program.plates[plate].dim for plate in site.plates}
        self.found[name] = Factor(log_prob if site.scale is None else site.scale * log_prob, dims)

    def _predictor(self, site: Site) -> Any:
        """As in `programs.py`; for a categorical site with one more axis, for the categories."""
        if site.kind == "uniform":
            return None
        is_vector = site.kind in VECTOR
        table = self.params.get(site.table.name, site.table.array)
        lookup = tuple(self.values[name] - self.program.sites[name].support[0] for name in site.indexed)
        out = table[lookup] if lookup else np.reshape(table, (1,) * (self.rank + 1) + np.shape(table))
        spread = np.linspace(-1.0, 1.0, out.shape[-1]) if is_vector else 1.0
        for name, factor in zip(site.added, site.slopes):
            value = 1.5 - self.values[name] if self.program.sites[name].derived else self.values[name]
            out = out + factor * spread * (value[..., None] if is_vector else value)
        if site.offset is not None:
            offset = self._place(self._subsample(site.offset, site.plates))
            out = out + spread * (offset[..., None] if is_vector else offset)
        return out

    def _log_prob(self, site: Site, eta: Any, x: Any) -> Any:
        match site.kind:
            case "bernoulli" | "bernoulli_probs":
                return x * eta - np.log(1.0 + np.exp(eta))
            case "binomial":
                n = site.support[-1]
                return x * eta - n * np.log(1.0 + np.exp(eta)) + np.log(special.comb(n, x))
            case "categorical" | "categorical_probs":
                log_probs = np.log(eta) if site.table.prior == "dirichlet" else eta - logsumexp(eta, (-1,))
                return np.sum(np.where(x[..., None] == np.arange(len(site.support)), log_probs, 0.0), axis=-1)
            case "uniform":
                return np.full(x.shape, -np.log(len(site.support)))
            case "ordered":
                edges = [-np.inf, *CUTPOINTS[: site.support[-1]], np.inf]
                below = [0.0 * eta, *(1.0 / (1.0 + np.exp(eta - edge)) for edge in edges[1:-1]), 0.0 * eta + 1.0]
                return sum(np.where(x == k, np.log(below[k + 1] - below[k]), 0.0) for k in site.support)
            case "normal":
                return log_normal(x, eta, 0.8)
            case "poisson":
                return 0.4 * x * eta - np.exp(0.4 * eta) - special.gammaln(x + 1.0)
        raise ValueError(site.kind)


def log_normal(x: Any, loc: Any, scale: float) -> Any:
    """The log density of a normal law."""
    return -0.5 * ((x - loc) / scale) ** 2 - np.log(scale * np.sqrt(2 * np.pi))
