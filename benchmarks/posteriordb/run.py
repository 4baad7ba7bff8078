"""Sample one posterior and compare it with its reference."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.posteriordb.comparison import Match, compare
from benchmarks.posteriordb.data import load_data, load_reference
from benchmarks.posteriordb.posteriors import POSTERIORS
from ppl.infer import MCMC, NUTS, BarkerMH
from ppl.infer.gibbs import Gibbs, latent_sample_sites
from ppl.infer.kernel import MCMCKernel

Model = Callable[..., Any]


@dataclass(frozen=True)
class Outcome:
    """A posterior, its parameters compared, and what the run took."""

    name: str
    matches: list[Match]
    divergences: int
    mean_leapfrog: float
    seconds: float

    @property
    def complaints(self) -> list[str]:
        """What does not match, with the parameter."""
        return [f"{match.parameter}: {complaint}" for match in self.matches for complaint in match.complaints]

    def line(self) -> str:
        """A row of the table, with the worst of each figure over the parameters."""
        worst = [
            f"{max(match.error for match in self.matches):7.2f}",
            f"{max((match.sd_ratio for match in self.matches), key=lambda ratio: abs(ratio - 1)):7.3f}",
            f"{max(match.r_hat for match in self.matches):7.4f}",
            f"{min(match.ess_bulk for match in self.matches):9.0f}",
            f"{min(match.ess_tail for match in self.matches):9.0f}",
        ]
        verdict = "ok" if not self.complaints else "MISMATCH"
        return f"{self.name:<43}{''.join(worst)}{self.divergences:6d}{self.mean_leapfrog:8.1f}{self.seconds:8.1f}  {verdict}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "matches": not self.complaints,
            "divergences": self.divergences,
            "mean_leapfrog": self.mean_leapfrog,
            "seconds": self.seconds,
            "parameters": [match.as_dict() for match in self.matches],
        }


@dataclass(frozen=True)
class Sampling:
    """A kernel, and as many iterations as bring it to the reference of most posteriors."""

    kernel: Callable[[Model], MCMCKernel]
    num_warmup: int = 1000
    num_samples: int = 1000
    thinning: int = 1


def blocks(model: Model) -> MCMCKernel:
    """NUTS on every other site given the rest, and on the rest, in turns."""
    return Gibbs([(NUTS(model), lambda sites: latent_sample_sites(sites)[::2]), (NUTS(model), None)])


KERNELS = {
    "nuts": Sampling(NUTS),
    "barker": Sampling(lambda model: BarkerMH(model, dense_mass=True), num_warmup=20_000, num_samples=100_000, thinning=20),
    "blocks": Sampling(blocks, num_warmup=2000, num_samples=20_000, thinning=4),
}
HEADER = f"{'posterior':<43}{'error':>7}{'sd':>7}{'r_hat':>7}{'ess_bulk':>9}{'ess_tail':>9}{'div':>6}{'steps':>8}{'s':>8}"


def check(name: str, directory: Path, seed: int = 0, kernel: str = "nuts") -> Outcome:
    """Four chains against the reference of posterior ``name``; of NUTS, 1,000 + 1,000 iterations at default settings."""
    posterior = POSTERIORS[name]
    reference = load_reference(directory)[name]
    arguments = posterior.arguments(load_data(directory, reference["data"]))
    how = KERNELS[kernel]
    mcmc = MCMC(
        how.kernel(posterior.model),
        num_warmup=how.num_warmup,
        num_samples=how.num_samples,
        num_chains=4,
        thinning=how.thinning,
        progress_bar=False,
    )
    start = time.perf_counter()
    mcmc.run(jax.random.key(seed), *arguments, extra_fields=("num_steps",) if kernel == "nuts" else ())
    draws = posterior.parameters({site: np.asarray(value) for site, value in mcmc.get_samples(group_by_chain=True).items()})
    extra = mcmc.get_extra_fields()
    return Outcome(
        name=name,
        matches=compare(draws, reference["parameters"]),
        divergences=int(np.sum(extra.get("diverging", 0))),
        mean_leapfrog=float(np.mean(extra.get("num_steps", np.nan))),
        seconds=time.perf_counter() - start,
    )
