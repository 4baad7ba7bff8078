"""Write the page of all families of distributions, with a picture of each, from the classes themselves.

    python docs/families.py docs/reference/generated       # families.md, and families/NAME.svg beside it

Description, density and parameters come from the docstring, constraints and support from the class, the picture from examples
in the table below: the density or probabilities of scalar families, draws of others.
"""

import inspect
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import ppl.distributions as dist
from ppl.distributions import Distribution

COLORS = ("#3366aa", "#cc6633", "#339966")
TRIL = np.array([[1.0, 0.0], [0.8, 0.6]])
CENTERS = np.array([[-1.5, 0.0], [1.5, 0.5]])
LINE = np.diag(np.ones(5), 1) + np.diag(np.ones(5), -1)


def decay(x: Any, t: Any) -> tuple[Any, Any]:
    """Drift and diffusion of a process that returns to 0."""
    return -x, 0.3 * jnp.ones_like(x)


def weights(*p: float) -> Distribution:
    """A mixing distribution."""
    return dist.Categorical(np.array(p))


EXAMPLES: Mapping[str, Sequence[Callable[[], Distribution]]] = {
    "Normal": [lambda: dist.Normal(0.0, 1.0), lambda: dist.Normal(1.0, 2.0)],
    "StudentT": [lambda: dist.StudentT(1.5), lambda: dist.StudentT(30.0)],
    "Cauchy": [lambda: dist.Cauchy(0.0, 1.0), lambda: dist.Cauchy(1.0, 0.5)],
    "Laplace": [lambda: dist.Laplace(0.0, 1.0), lambda: dist.Laplace(1.0, 2.0)],
    "Logistic": [lambda: dist.Logistic(0.0, 1.0), lambda: dist.Logistic(1.0, 0.5)],
    "SoftLaplace": [lambda: dist.SoftLaplace(0.0, 1.0), lambda: dist.SoftLaplace(1.0, 0.5)],
    "Gumbel": [lambda: dist.Gumbel(0.0, 1.0), lambda: dist.Gumbel(1.0, 2.0)],
    "AsymmetricLaplace": [lambda: dist.AsymmetricLaplace(0.0, 1.0, 2.0), lambda: dist.AsymmetricLaplace(0.0, 1.0, 0.7)],
    "AsymmetricLaplaceQuantile": [
        lambda: dist.AsymmetricLaplaceQuantile(0.0, 1.0, 0.2),
        lambda: dist.AsymmetricLaplaceQuantile(0.0, 1.0, 0.6),
    ],
    "Levy": [lambda: dist.Levy(0.0, 0.5), lambda: dist.Levy(0.0, 2.0)],
    "HalfNormal": [lambda: dist.HalfNormal(1.0), lambda: dist.HalfNormal(2.0)],
    "HalfCauchy": [lambda: dist.HalfCauchy(1.0), lambda: dist.HalfCauchy(2.0)],
    "LogNormal": [lambda: dist.LogNormal(0.0, 0.3), lambda: dist.LogNormal(0.0, 1.0)],
    "Exponential": [lambda: dist.Exponential(1.0), lambda: dist.Exponential(0.4)],
    "Gamma": [lambda: dist.Gamma(1.5, 1.0), lambda: dist.Gamma(6.0, 2.0)],
    "Chi2": [lambda: dist.Chi2(2.0), lambda: dist.Chi2(5.0)],
    "InverseGamma": [lambda: dist.InverseGamma(2.0, 1.0), lambda: dist.InverseGamma(4.0, 6.0)],
    "Weibull": [lambda: dist.Weibull(1.0, 0.8), lambda: dist.Weibull(1.5, 3.0)],
    "Gompertz": [lambda: dist.Gompertz(0.1, 1.0), lambda: dist.Gompertz(1.0, 1.0)],
    "Dagum": [lambda: dist.Dagum(0.5, 3.0, 1.0), lambda: dist.Dagum(2.0, 3.0, 1.0)],
    "Pareto": [lambda: dist.Pareto(1.0, 1.5), lambda: dist.Pareto(1.0, 4.0)],
    "LowerTruncatedPowerLaw": [lambda: dist.LowerTruncatedPowerLaw(-1.5, 1.0), lambda: dist.LowerTruncatedPowerLaw(-3.0, 1.0)],
    "Uniform": [lambda: dist.Uniform(0.0, 1.0), lambda: dist.Uniform(0.5, 3.0)],
    "LogUniform": [lambda: dist.LogUniform(0.3, 3.0)],
    "Beta": [lambda: dist.Beta(2.0, 5.0), lambda: dist.Beta(0.7, 0.7)],
    "BetaProportion": [lambda: dist.BetaProportion(0.3, 5.0), lambda: dist.BetaProportion(0.3, 30.0)],
    "Kumaraswamy": [lambda: dist.Kumaraswamy(2.0, 5.0), lambda: dist.Kumaraswamy(0.7, 0.7)],
    "RelaxedBernoulliLogits": [
        lambda: dist.RelaxedBernoulliLogits(0.5, np.array(0.5)),
        lambda: dist.RelaxedBernoulliLogits(2.0, np.array(0.5)),
    ],
    "DoublyTruncatedPowerLaw": [
        lambda: dist.DoublyTruncatedPowerLaw(1.5, 0.5, 3.0),
        lambda: dist.DoublyTruncatedPowerLaw(-1.5, 0.5, 3.0),
    ],
    "TruncatedPolyaGamma": [lambda: dist.TruncatedPolyaGamma()],
    "VonMises": [lambda: dist.VonMises(0.0, 1.0), lambda: dist.VonMises(1.0, 8.0)],
    "SineBivariateVonMises": [lambda: dist.SineBivariateVonMises(0.0, 0.0, 5.0, 5.0, weighted_correlation=0.8)],
    "SineSkewed": [lambda: dist.SineSkewed(dist.VonMises(np.zeros(2), 3.0).to_event(1), np.array([0.6, 0.3]))],
    "ProjectedNormal": [lambda: dist.ProjectedNormal(np.array([1.0, 1.0])), lambda: dist.ProjectedNormal(np.array([-3.0, 0.0]))],
    "LeftTruncatedDistribution": [lambda: dist.LeftTruncatedDistribution(dist.Normal(0.0, 1.0), 0.5)],
    "RightTruncatedDistribution": [lambda: dist.RightTruncatedDistribution(dist.Normal(0.0, 1.0), 0.5)],
    "TwoSidedTruncatedDistribution": [lambda: dist.TwoSidedTruncatedDistribution(dist.Laplace(0.0, 1.0), -1.0, 2.0)],
    "LeftTruncatedGamma": [lambda: dist.LeftTruncatedGamma(dist.Gamma(3.0, 1.0), 2.0)],
    "RightTruncatedGamma": [lambda: dist.RightTruncatedGamma(dist.Gamma(3.0, 1.0), 4.0)],
    "TwoSidedTruncatedGamma": [lambda: dist.TwoSidedTruncatedGamma(dist.Gamma(3.0, 1.0), 1.0, 5.0)],
    "Dirichlet": [lambda: dist.Dirichlet(np.array([1.0, 2.0, 4.0, 2.0]))],
    "MultivariateNormal": [lambda: dist.MultivariateNormal(np.zeros(2), scale_tril=TRIL)],
    "MultivariateStudentT": [lambda: dist.MultivariateStudentT(3.0, np.zeros(2), TRIL)],
    "LowRankMultivariateNormal": [
        lambda: dist.LowRankMultivariateNormal(np.zeros(2), np.array([[1.0], [1.0]]), np.array([0.1, 0.1]))
    ],
    "CirculantNormal": [lambda: dist.CirculantNormal(np.zeros(30), covariance_rfft=np.exp(-0.5 * np.arange(16.0)) * 8)],
    "CAR": [lambda: dist.CAR(np.zeros(6), 0.9, 1.0, LINE)],
    "ZeroSumNormal": [lambda: dist.ZeroSumNormal(1.0, (6,))],
    "GaussianRandomWalk": [lambda: dist.GaussianRandomWalk(1.0, 40)],
    "GaussianStateSpace": [lambda: dist.GaussianStateSpace(40, 0.95 * np.eye(1), covariance_matrix=np.eye(1))],
    "EulerMaruyama": [lambda: dist.EulerMaruyama(np.linspace(0.0, 4.0, 40), decay, dist.Normal(2.0, 0.2))],
    "GaussianCopula": [lambda: dist.GaussianCopula(dist.Beta(np.full(2, 2.0), 5.0), correlation_cholesky=TRIL)],
    "GaussianCopulaBeta": [lambda: dist.GaussianCopulaBeta(np.array([0.7, 2.0]), np.array([0.7, 5.0]), correlation_cholesky=TRIL)],
    "LKJ": [lambda: dist.LKJ(6, 1.0)],
    "LKJCholesky": [lambda: dist.LKJCholesky(6, 1.0)],
    "Wishart": [lambda: dist.Wishart(8.0, scale_matrix=np.eye(6))],
    "WishartCholesky": [lambda: dist.WishartCholesky(8.0, scale_matrix=np.eye(6))],
    "InverseWishart": [lambda: dist.InverseWishart(8.0, scale_matrix=np.eye(6))],
    "InverseWishartCholesky": [lambda: dist.InverseWishartCholesky(8.0, scale_matrix=np.eye(6))],
    "MatrixNormal": [lambda: dist.MatrixNormal(np.zeros((6, 6)), np.eye(6), np.linalg.cholesky(np.eye(6) + 5.0))],
    "BernoulliProbs": [lambda: dist.BernoulliProbs(0.3)],
    "BernoulliLogits": [lambda: dist.BernoulliLogits(1.0)],
    "BinomialProbs": [lambda: dist.BinomialProbs(0.3, 12), lambda: dist.BinomialProbs(0.7, 12)],
    "BinomialLogits": [lambda: dist.BinomialLogits(-1.0, 12), lambda: dist.BinomialLogits(1.0, 12)],
    "BetaBinomial": [lambda: dist.BetaBinomial(2.0, 4.0, 12), lambda: dist.BetaBinomial(0.5, 0.5, 12)],
    "CategoricalProbs": [lambda: dist.CategoricalProbs(np.array([0.2, 0.5, 0.3]))],
    "CategoricalLogits": [lambda: dist.CategoricalLogits(np.array([0.0, 1.0, 0.5]))],
    "OrderedLogistic": [lambda: dist.OrderedLogistic(0.5, np.array([-1.0, 0.0, 1.5]))],
    "DiscreteUniform": [lambda: dist.DiscreteUniform(1, 6)],
    "GeometricProbs": [lambda: dist.GeometricProbs(0.3)],
    "GeometricLogits": [lambda: dist.GeometricLogits(-1.0)],
    "Poisson": [lambda: dist.Poisson(2.0), lambda: dist.Poisson(8.0)],
    "GammaPoisson": [lambda: dist.GammaPoisson(2.0, 0.5), lambda: dist.GammaPoisson(20.0, 2.5)],
    "NegativeBinomialProbs": [lambda: dist.NegativeBinomialProbs(3.0, 0.5)],
    "NegativeBinomialLogits": [lambda: dist.NegativeBinomialLogits(3.0, 0.5)],
    "NegativeBinomial2": [lambda: dist.NegativeBinomial2(5.0, 2.0), lambda: dist.NegativeBinomial2(5.0, 50.0)],
    "BetaNegativeBinomial": [lambda: dist.BetaNegativeBinomial(4.0, 3.0, 4.0)],
    "MultinomialProbs": [lambda: dist.MultinomialProbs(np.array([0.2, 0.5, 0.3]), 10)],
    "MultinomialLogits": [lambda: dist.MultinomialLogits(np.array([0.0, 1.0, 0.5]), 10)],
    "DirichletMultinomial": [lambda: dist.DirichletMultinomial(np.array([1.0, 2.0, 4.0]), 10)],
    "ZeroInflatedProbs": [lambda: dist.ZeroInflatedProbs(dist.Poisson(4.0), 0.3)],
    "ZeroInflatedLogits": [lambda: dist.ZeroInflatedLogits(dist.Poisson(4.0), -1.0)],
    "ZeroInflatedPoisson": [lambda: dist.ZeroInflatedPoisson(0.3, 4.0)],
    "HurdleProbs": [lambda: dist.HurdleProbs(dist.Poisson(4.0), 0.3)],
    "HurdleLogits": [lambda: dist.HurdleLogits(dist.Poisson(4.0), -1.0)],
    "HurdlePoisson": [lambda: dist.HurdlePoisson(0.3, 4.0)],
    "HurdleGamma": [lambda: dist.HurdleGamma(0.3, 3.0, 1.0)],
    "HurdleLogNormal": [lambda: dist.HurdleLogNormal(0.3, 0.5, 0.5)],
    "MixtureSameFamily": [lambda: dist.MixtureSameFamily(weights(0.4, 0.6), dist.Normal(CENTERS[:, 0], 0.6))],
    "MixtureGeneral": [lambda: dist.MixtureGeneral(weights(0.4, 0.6), [dist.Normal(-1.0, 0.5), dist.Laplace(1.0, 0.5)])],
}

WITHOUT_PICTURE = {
    "Delta": "a point",
    "Unit": "no value",
    "ImproperUniform": "no finite mass",
    "Independent": "as its base",
    "ExpandedDistribution": "as its base",
    "MaskedDistribution": "as its base",
    "TransformedDistribution": "as its transforms say",
    "FoldedDistribution": "as its base",
    "LeftCensoredDistribution": "as its base",
    "RightCensoredDistribution": "as its base",
    "IntervalCensoredDistribution": "as its base",
}


def families() -> dict[str, type[Distribution]]:
    """The public classes, by name."""
    members = inspect.getmembers(dist, inspect.isclass)
    return {name: cls for name, cls in members if issubclass(cls, Distribution) and cls is not Distribution}


def kind_of(name: str, cls: type[Distribution]) -> str:
    """The section of the page in which a family stands."""
    if name in WITHOUT_PICTURE:
        return "Wrappers, censoring and special cases"
    d = EXAMPLES[name][0]()
    if "Mixture" in name:
        return "Mixtures"
    if "truncated" in cls.__module__:
        return "Truncated families"
    if d.is_discrete:
        return "Discrete families" if d.event_dim == 0 else "Vectors of counts"
    return ("Scalars", "Vectors and series", "Matrices")[min(d.event_dim, 2)]


def write(directory: Path) -> None:
    """Write the page and its pictures.

    Raises:
        KeyError: if a public family has no example above.
    """
    pictures = directory / "families"
    pictures.mkdir(parents=True, exist_ok=True)
    sections: dict[str, list[str]] = {}
    for name, cls in families().items():
        has_picture = name not in WITHOUT_PICTURE
        if has_picture:
            _draw(name, pictures / f"{name}.svg")
        sections.setdefault(kind_of(name, cls), []).append(_entry(name, cls, has_picture))
    order = (
        "Scalars",
        "Truncated families",
        "Discrete families",
        "Mixtures",
        "Vectors and series",
        "Vectors of counts",
        "Matrices",
    )
    lines = ["# All families", "", "Densities are written as logarithms. The picture of a scalar family shows its density or its"]
    lines += ["probabilities for one or two choices of parameters, that of another family draws.", ""]
    for title in (*order, *(set(sections) - set(order))):
        lines += [f"## {title}", "", *sections[title]]
    text = "\n".join(lines)
    page = directory / "families.md"
    if not page.exists() or page.read_text() != text:
        page.write_text(text)


def _entry(name: str, cls: type[Distribution], has_picture: bool) -> str:
    """The Markdown of one family."""
    description, parameters = _sections(inspect.getdoc(cls) or "")
    lines = [f"### {name}", "", f"`{name}{_signature(cls)}`", "", description, ""]
    if has_picture:
        lines += [f"```{{image}} families/{name}.svg", f":alt: {name}", ":width: 300px", "```", ""]
    rows = []
    for parameter, text in parameters:
        constraint = cls.arg_constraints.get(parameter)
        rows.append(
            f"| `{parameter}` | {'' if constraint is None else f'`{_plain(constraint)}`'} | {text.replace('|', chr(92) + '|')} |"
        )
    if rows:
        lines += ["| parameter | constraint | meaning |", "|---|---|---|", *rows, ""]
    if has_picture:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            d = EXAMPLES[name][0]()
        lines += [f"Support, of the first example: `{_plain(d.support)}`.", ""]
    return "\n".join(lines)


def _signature(cls: type[Distribution]) -> str:
    signature = inspect.signature(cls)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values() if p.name != "validate_args"]
    while bare and bare[-1].kind is inspect.Parameter.VAR_KEYWORD:
        bare.pop()
    return str(inspect.Signature(bare))


def _plain(constraint: Any) -> str:
    text = repr(constraint)
    return re.sub(r"Array\(([^,()]*)[^()]*\)", r"\1", " ".join(text.split())).replace("|", r"\|")


def _sections(doc: str) -> tuple[str, list[tuple[str, str]]]:
    """Description without its sections, and the parameters with their meaning."""
    heads = re.split(r"^(Args|Raises|Example|Attributes|Source|Sources|Returns):", doc, flags=re.MULTILINE)
    description = heads[0].strip()
    parameters: list[tuple[str, str]] = []
    for title, body in zip(heads[1::2], heads[2::2]):
        if title != "Args":
            continue
        for line in body.strip("\n").splitlines():
            if match := re.match(r"^    (\*{0,2}\w+): (.*)$", line):
                parameters.append((match[1], match[2]))
            elif parameters and line.strip():
                parameters[-1] = (parameters[-1][0], f"{parameters[-1][1]} {line.strip()}")
    return description, [pair for pair in parameters if pair[0] != "validate_args"]


def _draw(name: str, path: Path) -> None:
    """The picture of a family, from its examples."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = name
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(3.0, 1.8), layout="constrained")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for make, color in zip(EXAMPLES[name], COLORS):
            _plot(axes, make(), color)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _plot(axes: Any, d: Distribution, color: str) -> None:
    x = np.asarray(d.sample(jax.random.key(0), (2000,)))
    if d.event_dim == 2 and d.event_shape[-1] > 1:
        axes.imshow(x[0], cmap="coolwarm", vmin=-np.abs(x[0]).max(), vmax=np.abs(x[0]).max())
    elif d.event_shape == (2,):
        axes.scatter(x[:400, 0], x[:400, 1], s=3, color=color, alpha=0.5)
    elif d.event_dim > 0:
        axes.plot(x.reshape(len(x), -1)[:5].T, color=color, alpha=0.7, linewidth=1)
    elif d.is_discrete:
        k = np.arange(x.min(), min(x.max(), np.quantile(x, 0.99)) + 1)
        axes.vlines(k + (color != COLORS[0]) * 0.2, 0, np.exp(d.log_prob(k)), color=color, linewidth=2)
    else:
        low, high = np.quantile(x, [0.0, 0.97] if x.min() >= 0 else [0.02, 0.98])
        grid = np.linspace(low, high, 300)
        axes.plot(grid, np.exp(d.log_prob(grid)), color=color, linewidth=1.5)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
