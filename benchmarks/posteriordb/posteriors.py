"""The posteriors: each a model, its arguments out of the data of the collection, and its draws under the reference's names."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.posteriordb import models
from benchmarks.posteriordb.data import Data

Arguments = tuple[np.ndarray, ...]
Draws = dict[str, np.ndarray]


@dataclass(frozen=True)
class Posterior:
    """``arguments`` maps the data set to the model's arguments, ``parameters`` its draws by site to those by reference name."""

    model: Callable[..., None]
    arguments: Callable[[Data], Arguments]
    parameters: Callable[[Draws], Draws]


def by_coordinate(draws: Draws) -> Draws:
    """Scalar coordinates with indices from 1: ``(chains, n, 2)`` of ``beta`` gives ``beta[1]`` and ``beta[2]``."""
    return {
        f"{site}[{','.join(str(i + 1) for i in index)}]" if index else site: np.asarray(value)[:, :, *index]
        for site, value in draws.items()
        for index in np.ndindex(np.shape(value)[2:])
    }


def _hmm_parameters(draws: Draws) -> Draws:
    theta = np.asarray(draws["theta"])
    return by_coordinate({**draws, "theta1": theta[:, :, 0], "theta2": theta[:, :, 1]})


def _design(*columns: np.ndarray) -> np.ndarray:
    """A design matrix: an intercept, then the given columns."""
    return np.stack([np.ones(len(columns[0])), *columns], axis=1)


def _centred(x: np.ndarray) -> np.ndarray:
    return x - x.mean()


def _earn_height(d: Data) -> Arguments:
    return _design(d["height"]), d["earn"].astype(float)


def _logearn_height(d: Data, log: Callable[[np.ndarray], np.ndarray]) -> Arguments:
    return _design(d["height"]), log(d["earn"])


def _logearn_height_male(d: Data, scale: Callable[[np.ndarray], np.ndarray]) -> Arguments:
    return _design(scale(d["height"]), d["male"]), np.log(d["earn"])


def _logearn_interaction_z(d: Data) -> Arguments:
    z = _centred(d["height"]) / d["height"].std(ddof=1)
    return _design(z, d["male"], z * d["male"]), np.log(d["earn"])


def _kidscore(d: Data, names: tuple[str, ...]) -> Arguments:
    return _design(*(d[name] for name in names)), d["kid_score"].astype(float)


def _kidscore_interaction_c(d: Data) -> Arguments:
    hs, iq = _centred(d["mom_hs"]), _centred(d["mom_iq"])
    return _design(hs, iq, hs * iq), d["kid_score"].astype(float)


def _kidscore_interaction_z(d: Data) -> Arguments:
    hs, iq = (_centred(x) / (2 * x.std(ddof=1)) for x in (d["mom_hs"], d["mom_iq"]))
    return _design(hs, iq, hs * iq), d["kid_score"].astype(float)


def _kidscore_mom_work(d: Data) -> Arguments:
    return _design(*(d["mom_work"] == level for level in (2, 3, 4))), d["kid_score"].astype(float)


_SIZES = ("diam1", "diam2", "canopy_height", "total_height", "density")


def _mesquite(d: Data) -> Arguments:
    return _design(*(d[name] for name in _SIZES), d["group"]), d["weight"]


def _logmesquite(d: Data) -> Arguments:
    return _design(*(np.log(d[name]) for name in _SIZES), d["group"]), np.log(d["weight"])


def _logmesquite_logvolume(d: Data) -> Arguments:
    return _design(np.log(d["diam1"] * d["diam2"] * d["canopy_height"])), np.log(d["weight"])


def _logmesquite_logva(d: Data) -> Arguments:
    area = d["diam1"] * d["diam2"]
    return _design(np.log(area * d["canopy_height"]), np.log(area), d["group"]), np.log(d["weight"])


def _nes(d: Data) -> Arguments:
    ages = (d["age_discrete"] == level for level in (2, 3, 4))
    return _design(d["real_ideo"], d["race_adj"], *ages, d["educ1"], d["gender"], d["income"]), d["partyid7"].astype(float)


def _blr(d: Data) -> Arguments:
    return d["X"], d["y"]


def _ark(d: Data) -> Arguments:
    order, y = d["K"], d["y"]
    return np.stack([y[order - k : len(y) - k] for k in range(1, order + 1)], axis=1), y[order:]


def _diamonds(d: Data) -> Arguments:
    means = d["X"][:, 1:].mean(axis=0)
    return d["X"][:, 1:] - means, means, d["Y"]


def _eight_schools(d: Data) -> Arguments:
    return d["y"].astype(float), d["sigma"].astype(float)


def _hmm_drive(d: Data) -> Arguments:
    return d["alpha"].astype(float), d["u"], d["v"]


def _flat(arguments: Callable[[Data], Arguments]) -> Posterior:
    return Posterior(models.flat_regression, arguments, by_coordinate)


def _half_cauchy(*columns: str) -> Posterior:
    return Posterior(models.half_cauchy_regression, partial(_kidscore, names=columns), by_coordinate)


POSTERIORS: dict[str, Posterior] = {
    "eight_schools-eight_schools_noncentered": Posterior(models.eight_schools_noncentered, _eight_schools, by_coordinate),
    "arK-arK": Posterior(models.autoregression, _ark, by_coordinate),
    "bball_drive_event_0-hmm_drive_0": Posterior(models.hmm_drive, _hmm_drive, _hmm_parameters),
    "diamonds-diamonds": Posterior(models.centred_regression, _diamonds, by_coordinate),
    "earnings-earn_height": _flat(_earn_height),
    "earnings-log10earn_height": _flat(partial(_logearn_height, log=np.log10)),
    "earnings-logearn_height": _flat(partial(_logearn_height, log=np.log)),
    "earnings-logearn_height_male": _flat(partial(_logearn_height_male, scale=np.asarray)),
    "earnings-logearn_interaction_z": _flat(_logearn_interaction_z),
    "earnings-logearn_logheight_male": _flat(partial(_logearn_height_male, scale=np.log)),
    "kidiq-kidscore_momhs": _half_cauchy("mom_hs"),
    "kidiq-kidscore_momhsiq": _half_cauchy("mom_hs", "mom_iq"),
    "kidiq-kidscore_momiq": _half_cauchy("mom_iq"),
    "kidiq_with_mom_work-kidscore_interaction_c": _flat(_kidscore_interaction_c),
    "kidiq_with_mom_work-kidscore_interaction_z": _flat(_kidscore_interaction_z),
    "kidiq_with_mom_work-kidscore_mom_work": _flat(_kidscore_mom_work),
    "mesquite-logmesquite": _flat(_logmesquite),
    "mesquite-logmesquite_logva": _flat(_logmesquite_logva),
    "mesquite-logmesquite_logvolume": _flat(_logmesquite_logvolume),
    "mesquite-mesquite": _flat(_mesquite),
    **{f"nes{year}-nes": _flat(_nes) for year in (1972, 1976, 1980, 1988, 1992, 2000)},
    "sblrc-blr": Posterior(models.normal_regression, _blr, by_coordinate),
}


def select(patterns: list[str]) -> list[str]:
    """The posteriors with a name, or the part of it before or after the hyphen, among ``patterns``; all for no patterns.

    :raises ValueError: for a pattern that names none.
    """
    chosen = []
    for pattern in patterns:
        found = [name for name in POSTERIORS if pattern in (name, *name.split("-"))]
        if not found:
            raise ValueError(f"no posterior '{pattern}'; the names are {', '.join(POSTERIORS)}")
        chosen += found
    return list(dict.fromkeys(chosen)) or list(POSTERIORS)
