"""The rule by which draws match a reference posterior."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ppl import diagnostics

LARGEST_ERROR = 4.5
LARGEST_DEVIATION = 0.15
LARGEST_RHAT = 1.01
SMALLEST_SIZE = 400


@dataclass(frozen=True)
class Match:
    """One parameter: the error of the mean in Monte Carlo errors, the relative one of the deviation, and convergence."""

    parameter: str
    mean: float
    reference_mean: float
    error: float
    sd_ratio: float
    r_hat: float
    ess_bulk: float
    ess_tail: float

    @property
    def complaints(self) -> list[str]:
        """What does not match, in words; nan matches nothing."""
        checks = {
            f"mean off by {self.error:.1f} Monte Carlo errors": self.error <= LARGEST_ERROR,
            f"sd times {self.sd_ratio:.2f}": abs(self.sd_ratio - 1) <= LARGEST_DEVIATION,
            f"R-hat {self.r_hat:.3f}": self.r_hat < LARGEST_RHAT,
            f"bulk ESS {self.ess_bulk:.0f}": self.ess_bulk >= SMALLEST_SIZE,
            f"tail ESS {self.ess_tail:.0f}": self.ess_tail >= SMALLEST_SIZE,
        }
        return [complaint for complaint, passed in checks.items() if not passed]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "complaints": self.complaints}


def compare(draws: Mapping[str, np.ndarray], reference: Mapping[str, Mapping[str, float]]) -> list[Match]:
    """Compare draws ``(chains, n)`` by name with reference moments; ``draws`` may hold more names than the reference."""
    stacked = np.stack([np.asarray(draws[name], dtype=np.float64) for name in reference], axis=-1)
    columns = zip(
        reference.items(),
        stacked.mean(axis=(0, 1)),
        stacked.std(axis=(0, 1), ddof=1),
        diagnostics.mcse_mean(stacked),
        diagnostics.split_gelman_rubin(stacked),
        diagnostics.ess_bulk(stacked),
        diagnostics.ess_tail(stacked),
    )
    return [
        Match(
            parameter=name,
            mean=float(mean),
            reference_mean=expected["mean"],
            error=float(abs(mean - expected["mean"]) / np.hypot(mcse, expected["mcse_mean"])),
            sd_ratio=float(sd / expected["sd"]),
            r_hat=float(r_hat),
            ess_bulk=float(bulk),
            ess_tail=float(tail),
        )
        for (name, expected), mean, sd, mcse, r_hat, bulk, tail in columns
    ]
