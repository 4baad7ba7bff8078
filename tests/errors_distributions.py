"""Malformed uses of distributions, constraints and transforms: more of the table in `errors.py`."""

import jax
import jax.numpy as jnp
import numpy as np
from errors import KEY, Case

import ppl.distributions as dist
from ppl.distributions import biject_to, constraints, transforms

EYE = np.eye(2)
NOT_POSITIVE = np.array([[1.0, 2.0], [2.0, 1.0]])
HALVES = np.array([0.5, 0.5])


def traced_scale(scale: jax.Array) -> jax.Array:
    d = dist.Normal(0.0, scale)
    d.validate_args(strict=True)
    return d.mean


class Triangle(dist.Distribution):
    """A distribution that tells next to nothing about itself."""

    arg_constraints = {"width": constraints.positive}
    support = constraints.real

    def __init__(self, width: float) -> None:
        self.width = width
        super().__init__()


PARAMETERS = [
    Case(
        "distribution: negative scale",
        lambda: dist.Normal(0.0, -1.0),
        ValueError,
        ("Normal distribution got invalid scale parameter", "found -1.0", "Positive"),
    ),
    Case("distribution: scale 0", lambda: dist.HalfNormal(0.0), ValueError, ("HalfNormal", "invalid scale parameter", "found 0.0")),
    Case("loc nan", lambda: dist.Normal(np.nan, 1.0), ValueError, ("Normal", "invalid loc parameter", "found nan", "Real")),
    Case(
        "one of many scales",
        lambda: dist.Normal(0.0, np.array([1.0, -2.0, 3.0])),
        ValueError,
        ("Normal", "invalid scale", "found -2.0 at index (1,)", "1 of 3"),
    ),
    Case("scale None", lambda: dist.Normal(0.0, None), TypeError, ("Normal", "scale", "None")),
    Case(
        "distribution: scale a string",
        lambda: dist.Normal(0.0, "1"),
        TypeError,
        ("Normal", "invalid scale parameter", "found '1'", "numbers"),
    ),
    Case(
        "scale a distribution",
        lambda: dist.Normal(0.0, dist.HalfNormal(1.0)),
        TypeError,
        ("Normal", "HalfNormal", "ppl.sample"),
    ),
    Case("ragged loc", lambda: dist.Normal([[0.0], [1.0, 2.0]], 1.0), ValueError, ("Normal", "[[0.0], [1.0, 2.0]]", "rectangular")),
    Case(
        "shapes that do not broadcast",
        lambda: dist.Normal(np.zeros(3), np.ones(4)),
        ValueError,
        ("Normal", "(3,)", "(4,)", "broadcast"),
    ),
    Case(
        "shapes of positional arguments",
        lambda: dist.Gamma(np.ones(3), np.ones(4)),
        ValueError,
        ("Gamma", "concentration=float64[3]", "rate=float64[4]", "broadcast"),
    ),
    Case("complex scale", lambda: dist.Normal(0.0, 1j), TypeError, ("Normal", "invalid scale parameter", "1j", "real numbers")),
    Case("complex probs", lambda: dist.Binomial(3, 0.5j), TypeError, ("Binomial", "invalid probs", "0.5j", "real numbers")),
    Case("complex low", lambda: dist.Uniform(1j, 2.0), TypeError, ("Uniform", "invalid low parameter", "1j", "real numbers")),
    Case("low a string", lambda: dist.Uniform("0", 2.0), TypeError, ("Uniform", "invalid low parameter", "found '0'", "numbers")),
    Case("bounds of DiscreteUniform", lambda: dist.DiscreteUniform(0, "3"), TypeError, ("DiscreteUniform", "invalid high", "'3'")),
    Case(
        "one parameter, a distribution",
        lambda: dist.Bernoulli(dist.Beta(1.0, 1.0)),
        TypeError,
        ("BernoulliProbs(probs=", "found Beta", "ppl.sample"),
    ),
    Case(
        "ragged total_count",
        lambda: dist.Binomial([[1], [1, 2]], 0.5),
        ValueError,
        ("Binomial", "total_count=[[1], [1, 2]]", "rectangular"),
    ),
    Case(
        "LKJCholesky: concentration a string",
        lambda: dist.LKJCholesky(3, "1"),
        TypeError,
        ("LKJCholesky", "concentration='1'", "expected numbers, found '1'"),
    ),
    Case("Delta: a string", lambda: dist.Delta("1"), TypeError, ("Delta", "v", "numbers", "found '1'")),
    Case(
        "RelaxedBernoulli: a string", lambda: dist.RelaxedBernoulli(1.0, "0.5"), TypeError, ("Bernoulli", "invalid probs", "'0.5'")
    ),
    Case("RelaxedBernoulli: probs 2", lambda: dist.RelaxedBernoulli(1.0, 2.0), ValueError, ("Bernoulli", "invalid probs", "2.0")),
    Case(
        "TruncatedNormal: a string",
        lambda: dist.TruncatedNormal(low="0", high=1.0),
        TypeError,
        ("TwoSidedTruncatedDistribution", "invalid low", "found '0'"),
    ),
    Case(
        "CirculantNormal: not positive definite",
        lambda: dist.CirculantNormal(np.zeros(3), covariance_row=np.array([1.0, 2.0, 2.0])),
        ValueError,
        ("CirculantNormal", "invalid covariance_row", "[1.0, 2.0, 2.0]", "PositiveDefiniteCirculantVector"),
    ),
    Case("missing parameter", lambda: dist.Gamma(), TypeError, ("Gamma", "missing", "concentration")),
    Case("unknown parameter", lambda: dist.Normal(mu=0.0), TypeError, ("Normal", "unexpected keyword argument 'mu'")),
    Case("Gamma: rate 0", lambda: dist.Gamma(1.0, 0.0), ValueError, ("Gamma", "invalid rate", "found 0.0")),
    Case("Beta: negative", lambda: dist.Beta(1.0, -1.0), ValueError, ("Beta", "invalid concentration0", "found -1.0")),
    Case("StudentT: df 0", lambda: dist.StudentT(0.0), ValueError, ("StudentT", "invalid df", "found 0.0")),
    Case("Uniform: low above high", lambda: dist.Uniform(1.0, 0.0), ValueError, ("Uniform", "invalid", "low=1.0", "high=0.0")),
    Case("DiscreteUniform: low above high", lambda: dist.DiscreteUniform(4, 2), ValueError, ("DiscreteUniform", "low=4", "high=2")),
    Case("Bernoulli: probs 1.5", lambda: dist.Bernoulli(1.5), ValueError, ("Bernoulli", "invalid probs", "found 1.5")),
    Case("Bernoulli: neither", lambda: dist.Bernoulli(), ValueError, ("`probs`, `logits`", "exactly one", "none")),
    Case("Bernoulli: both", lambda: dist.Bernoulli(0.5, 0.0), ValueError, ("exactly one", "`probs` and `logits`")),
    Case("Binomial: both", lambda: dist.Binomial(3, 0.5, 0.0), ValueError, ("exactly one", "`probs` and `logits`")),
    Case("Binomial: negative count", lambda: dist.Binomial(-3, 0.5), ValueError, ("Binomial", "invalid total_count", "found -3")),
    Case("Binomial: fraction", lambda: dist.Binomial(2.5, 0.5), ValueError, ("Binomial", "invalid total_count", "found 2.5")),
    Case(
        "Categorical: not normalised",
        lambda: dist.Categorical(np.array([0.5, 0.6])),
        ValueError,
        ("Categorical", "invalid probs", "[0.5, 0.6]", "Simplex"),
    ),
    Case(
        "Categorical: a number",
        lambda: dist.Categorical(0.5),
        ValueError,
        ("Categorical", "`probs`", "one entry per category", "scalar"),
    ),
    Case("Categorical: neither", lambda: dist.Categorical(), ValueError, ("exactly one", "`probs`, `logits`", "none")),
    Case("Multinomial: both", lambda: dist.Multinomial(3, HALVES, HALVES), ValueError, ("exactly one", "`probs` and `logits`")),
    Case("Geometric: neither", lambda: dist.Geometric(), ValueError, ("exactly one", "none")),
    Case("Poisson: negative", lambda: dist.Poisson(-1.0), ValueError, ("Poisson", "invalid rate", "found -1.0")),
    Case("NegativeBinomial2", lambda: dist.NegativeBinomial2(-1.0, 1.0), ValueError, ("NegativeBinomial2", "mean", "-1.0")),
    Case("ZeroInflatedPoisson: gate", lambda: dist.ZeroInflatedPoisson(2.0, 1.0), ValueError, ("gate", "found 2.0")),
    Case(
        "ZeroInflated: vectors",
        lambda: dist.ZeroInflatedDistribution(dist.Multinomial(2, HALVES), gate=0.5),
        ValueError,
        ("ZeroInflated", "event_shape", "(2,)"),
    ),
    Case(
        "Dirichlet: negative",
        lambda: dist.Dirichlet(np.array([1.0, -1.0])),
        ValueError,
        ("Dirichlet", "invalid concentration", "-1.0"),
    ),
    Case("Dirichlet: a number", lambda: dist.Dirichlet(1.0), ValueError, ("Dirichlet", "concentration", "dimension")),
    Case(
        "OrderedLogistic: cutpoints",
        lambda: dist.OrderedLogistic(0.0, [2.0, 1.0]),
        ValueError,
        ("OrderedLogistic", "cutpoints", "[2.0, 1.0]"),
    ),
    Case("LKJ: dimension 1", lambda: dist.LKJ(1), ValueError, ("LKJ", "dimension", "at least 2", "1")),
    Case("LKJCholesky: float dimension", lambda: dist.LKJCholesky(3.0), ValueError, ("LKJ", "dimension", "integer", "3.0")),
    Case(
        "LKJCholesky: concentration 0", lambda: dist.LKJCholesky(3, 0.0), ValueError, ("LKJCholesky", "concentration", "found 0.0")
    ),
    Case(
        "LKJCholesky: method",
        lambda: dist.LKJCholesky(3, 1.0, "vine"),
        ValueError,
        ("sample_method", "'onion' or 'cvine'", "'vine'"),
    ),
    Case("GaussianRandomWalk: steps", lambda: dist.GaussianRandomWalk(1.0, 0), ValueError, ("num_steps", "positive integer", "0")),
    Case(
        "MultivariateNormal: none",
        lambda: dist.MultivariateNormal(np.zeros(2)),
        ValueError,
        ("MultivariateNormal", "exactly one", "none"),
    ),
    Case(
        "MultivariateNormal: two",
        lambda: dist.MultivariateNormal(np.zeros(2), covariance_matrix=EYE, scale_tril=EYE),
        ValueError,
        ("MultivariateNormal", "exactly one", "covariance_matrix and scale_tril"),
    ),
    Case(
        "MultivariateNormal: not positive definite",
        lambda: dist.MultivariateNormal(np.zeros(2), NOT_POSITIVE),
        ValueError,
        ("MultivariateNormal", "covariance_matrix", "[[1.0, 2.0], [2.0, 1.0]]", "PositiveDefinite"),
    ),
    Case(
        "MultivariateNormal: not symmetric",
        lambda: dist.MultivariateNormal(np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]])),
        ValueError,
        ("covariance_matrix", "PositiveDefinite"),
    ),
    Case(
        "MultivariateNormal: not triangular",
        lambda: dist.MultivariateNormal(np.zeros(2), scale_tril=np.ones((2, 2))),
        ValueError,
        ("MultivariateNormal", "scale_tril", "LowerCholesky"),
    ),
    Case(
        "MultivariateNormal: not square",
        lambda: dist.MultivariateNormal(np.zeros(2), np.ones((2, 3))),
        ValueError,
        ("MultivariateNormal", "covariance_matrix", "square", "(2, 3)"),
    ),
    Case(
        "MultivariateNormal: a number", lambda: dist.MultivariateNormal(0.0, 1.0), ValueError, ("covariance_matrix", "square", "()")
    ),
    Case(
        "MultivariateNormal: loc of another length",
        lambda: dist.MultivariateNormal(np.zeros(3), EYE),
        ValueError,
        ("MultivariateNormal", "loc of shape (3,)", "dimension 2"),
    ),
    Case(
        "MultivariateNormal: nan",
        lambda: dist.MultivariateNormal(np.zeros(2), np.nan * EYE),
        ValueError,
        ("covariance_matrix", "nan"),
    ),
    Case(
        "MultivariateStudentT",
        lambda: dist.MultivariateStudentT(3.0, np.zeros(2)),
        ValueError,
        ("scale_tril must be given", "None"),
    ),
    Case(
        "LowRankMultivariateNormal",
        lambda: dist.LowRankMultivariateNormal(np.zeros(3), np.ones((2, 1)), np.ones(3)),
        ValueError,
        ("LowRankMultivariateNormal", "cov_factor of shape (2, 1)", "3"),
    ),
    Case("Wishart: df", lambda: dist.Wishart(0.5, EYE), ValueError, ("Wishart", "concentration", "0.5")),
    Case(
        "BetaProportion",
        lambda: dist.BetaProportion(1.5, 1.0),
        ValueError,
        ("BetaProportion distribution got invalid mean parameter.",),
    ),
    Case(
        "traced and strict",
        lambda: jax.eval_shape(traced_scale, 1.0),
        RuntimeError,
        ("Cannot validate arguments inside jitted code", "'scale' of Normal"),
    ),
]

WRAPPERS = [
    Case(
        "to_event beyond the batch",
        lambda: dist.Normal(np.zeros(3), 1.0).to_event(2),
        ValueError,
        ("2 batch dimension", "Normal", "(3,)", "between 0 and 1"),
    ),
    Case("to_event negative", lambda: dist.Normal().to_event(-1), ValueError, ("-1", "Normal", "between 0 and 0")),
    Case("to_event float", lambda: dist.Normal(np.zeros(3), 1.0).to_event(1.0), TypeError, ("integer", "1.0")),
    Case(
        "expand to another size",
        lambda: dist.Normal(np.zeros(3), 1.0).expand([4]),
        ValueError,
        ("Cannot broadcast distribution of shape (3,) to shape (4,)", "Normal"),
    ),
    Case(
        "expand to fewer axes",
        lambda: dist.Normal(np.zeros((2, 3)), 1.0).expand([3]),
        ValueError,
        ("Cannot broadcast", "(2, 3)", "(3,)"),
    ),
    Case("expand to a number", lambda: dist.Normal().expand(3), TypeError, ("expand", "Normal", "found 3", "(3,)")),
    Case("expand to floats", lambda: dist.Normal().expand([3.0]), TypeError, ("expand", "Normal", "integers", "3.0")),
    Case("expand_by a number", lambda: dist.Normal().expand_by(3), TypeError, ("expand_by", "Normal", "found 3", "(3,)")),
    Case("expand to negative sizes", lambda: dist.Normal().expand([-1]), ValueError, ("expand", "Normal", "(-1,)", "at least 0")),
    Case(
        "distribution: mask of numbers", lambda: dist.Normal().mask(np.ones(3)), TypeError, ("mask", "array of bools", "mask=x > 0")
    ),
    Case(
        "distribution: mask of another length",
        lambda: dist.Normal(np.zeros(3), 1.0).mask(np.array([True, False])),
        ValueError,
        ("MaskedDistribution", "(2,)", "(3,)", "broadcast"),
    ),
    Case(
        "Independent of a class",
        lambda: dist.Independent(dist.Normal, 1),
        TypeError,
        ("Independent", "base_dist", "the class Normal"),
    ),
    Case("Masked of a number", lambda: dist.MaskedDistribution(1.0, True), TypeError, ("MaskedDistribution", "base_dist", "1.0")),
    Case("Delta: event_dim", lambda: dist.Delta(0.0, event_dim=1), ValueError, ("Delta", "event_dim=1", "()")),
    Case(
        "ImproperUniform: support",
        lambda: dist.ImproperUniform("real", (), ()),
        TypeError,
        ("ImproperUniform", "support", "'real'", "constraints.real"),
    ),
    Case(
        "ImproperUniform: event shape",
        lambda: dist.ImproperUniform(constraints.simplex, (), ()),
        ValueError,
        ("event_shape ()", "Simplex", "1"),
    ),
    Case(
        "ImproperUniform: no draws",
        lambda: dist.ImproperUniform(constraints.real, (), ()).sample(KEY),
        NotImplementedError,
        ("ImproperUniform.sample", "proper prior"),
    ),
    Case(
        "TransformedDistribution: no transform",
        lambda: dist.TransformedDistribution(dist.Normal(), jnp.exp),
        TypeError,
        ("transforms", "Transform"),
    ),
    Case(
        "TransformedDistribution: no base", lambda: dist.TransformedDistribution(0.0, []), TypeError, ("base_distribution", "0.0")
    ),
    Case(
        "TransformedDistribution: a scalar base of a vector transform",
        lambda: dist.TransformedDistribution(dist.Normal(), transforms.StickBreakingTransform()),
        ValueError,
        ("StickBreakingTransform", "1 dimension", "Normal has shape ()", "expand"),
    ),
    Case(
        "FoldedDistribution of a number",
        lambda: dist.FoldedDistribution(1.0),
        TypeError,
        ("FoldedDistribution", "base_dist", "found 1.0"),
    ),
    Case(
        "FoldedDistribution of vectors",
        lambda: dist.FoldedDistribution(dist.Dirichlet(np.ones(2))),
        ValueError,
        ("univariate", "Dirichlet", "event_shape (2,)"),
    ),
    Case("Truncated: base", lambda: dist.TruncatedDistribution(dist.Gamma(1.0), low=0.0), TypeError, ("truncates", "Gamma")),
    Case("Truncated: low above high", lambda: dist.TruncatedNormal(low=2.0, high=1.0), ValueError, ("low", "high", "2.0", "1.0")),
    Case(
        "MixtureSameFamily: number of components",
        lambda: dist.MixtureSameFamily(dist.Categorical(HALVES), dist.Normal(np.zeros(3), 1.0)),
        ValueError,
        ("MixtureSameFamily", "mixture size 2", "(3,)"),
    ),
    Case(
        "MixtureSameFamily: weights",
        lambda: dist.MixtureSameFamily(HALVES, dist.Normal(np.zeros(2), 1.0)),
        ValueError,
        ("MixtureSameFamily", "must be a Categorical", "ndarray"),
    ),
    Case(
        "MixtureSameFamily: support",
        lambda: dist.MixtureSameFamily(dist.Categorical(HALVES), dist.Uniform(np.zeros(2), np.ones(2))),
        ValueError,
        ("ParameterFreeConstraint, but found ", "Uniform", "MixtureGeneral"),
    ),
    Case(
        "MixtureGeneral: number of components",
        lambda: dist.MixtureGeneral(dist.Categorical(HALVES), [dist.Normal()]),
        ValueError,
        ("MixtureGeneral", "2", "1"),
    ),
    Case(
        "MixtureGeneral: a number",
        lambda: dist.MixtureGeneral(dist.Categorical(HALVES), 0.0),
        ValueError,
        ("MixtureGeneral", "0.0"),
    ),
]

METHODS = [
    Case("sample without a key", lambda: dist.Normal().sample(), TypeError, ("sample", "key")),
    Case("sample with None", lambda: dist.Normal().sample(None), TypeError, ("Normal", "random key", "None", "jax.random.key(0)")),
    Case(
        "sample with a number", lambda: dist.Normal().sample(0), TypeError, ("Normal", "random key", "found 0", "jax.random.key(0)")
    ),
    Case("sample_shape a number", lambda: dist.Normal().sample(KEY, 3), TypeError, ("Normal", "sample_shape", "found 3", "(3,)")),
    Case(
        "call without a key", lambda: dist.Normal()(rng_key=None), ValueError, ("Normal", "random key", "rng_key=jax.random.key(0)")
    ),
    Case("rsample", lambda: dist.Poisson(1.0).rsample(KEY), NotImplementedError, ("Poisson.rsample", "not differentiable")),
    Case("no icdf", lambda: dist.Poisson(1.0).icdf(0.5), NotImplementedError, ("Poisson.icdf", "not implemented")),
    Case("no cdf", lambda: dist.Dirichlet(np.ones(2)).cdf(HALVES), NotImplementedError, ("Dirichlet.cdf", "not implemented")),
    Case(
        "no finite support",
        lambda: dist.Poisson(1.0).enumerate_support(),
        NotImplementedError,
        ("Poisson.enumerate_support", "not implemented"),
    ),
    Case("no mode", lambda: dist.Wishart(3.0, EYE).mode, NotImplementedError, ("Wishart.mode", "not implemented")),
    Case(
        "no log_prob", lambda: Triangle(1.0).log_prob(0.0), NotImplementedError, ("Triangle.log_prob", "not implemented", "define")
    ),
    Case(
        "no support",
        lambda: dist.Normal(np.zeros(2), 1.0).to_event(1).enumerate_support(),
        NotImplementedError,
        ("enumerate_support", "Independent"),
    ),
    Case("infer_shapes", lambda: dist.ImproperUniform.infer_shapes(), NotImplementedError, ("ImproperUniform.infer_shapes",)),
    Case("log_prob of a string", lambda: dist.Normal().log_prob("1"), TypeError, ("Normal.log_prob", "numbers", "'1'")),
    Case("log_prob of None", lambda: dist.Normal().log_prob(None), TypeError, ("Normal.log_prob", "numbers", "None")),
    Case(
        "log_prob of another event shape",
        lambda: dist.Dirichlet(np.ones(3)).log_prob(HALVES),
        ValueError,
        ("Dirichlet.log_prob", "(2,)", "event shape is (3,)"),
    ),
    Case(
        "log_prob of another batch shape",
        lambda: dist.Normal(np.zeros(3), 1.0).log_prob(np.zeros(4)),
        ValueError,
        ("Normal.log_prob", "(4,)", "batch shape", "(3,)"),
    ),
    Case(
        "log_prob outside the support",
        lambda: dist.Exponential(1.0).log_prob(-1.0),
        UserWarning,
        ("Out-of-support values provided to log prob method.", "Exponential", "found -1.0"),
    ),
    Case(
        "log_prob of nan",
        lambda: dist.Normal().log_prob(np.array([0.0, np.nan])),
        UserWarning,
        ("Out-of-support", "Normal", "found nan at index (1,)"),
    ),
    Case(
        "log_prob of fractions",
        lambda: dist.Poisson(1.0).log_prob(0.5),
        UserWarning,
        ("Out-of-support", "Poisson", "found 0.5"),
    ),
    Case(
        "kl_divergence",
        lambda: dist.kl_divergence(dist.Normal(), dist.Poisson(1.0)),
        NotImplementedError,
        ("Normal", "Poisson", "register"),
    ),
]

TRANSFORMS = [
    Case("biject_to a class", lambda: biject_to(dist.Normal), TypeError, ("biject_to", "constraint", "Normal")),
    Case(
        "biject_to a sphere",
        lambda: biject_to(constraints.sphere),
        NotImplementedError,
        ("no transform", "Sphere", "biject_to.register"),
    ),
    Case("register a number", lambda: biject_to.register(3, abs), TypeError, ("Constraint", "3")),
    Case("ComposeTransform", lambda: transforms.ComposeTransform([jnp.exp]), TypeError, ("Transform",)),
    Case(
        "ReshapeTransform", lambda: transforms.ReshapeTransform((2, 3), (5,)), ValueError, ("(2, 3)", "(5,)", "are not compatible")
    ),
    Case(
        "StickBreakingTransform of a number",
        lambda: transforms.StickBreakingTransform()(0.0),
        ValueError,
        ("StickBreakingTransform", "vectors", "()"),
        compiles=True,
    ),
    Case(
        "OrderedTransform of a number",
        lambda: transforms.OrderedTransform()(np.float32(0.0)),
        ValueError,
        ("OrderedTransform", "vectors", "()"),
        compiles=True,
    ),
    Case(
        "LowerCholeskyTransform of a number",
        lambda: transforms.LowerCholeskyTransform().forward_shape(()),
        ValueError,
        ("LowerCholeskyTransform", "vectors", "()"),
    ),
    Case(
        "CholeskyTransform of a vector",
        lambda: transforms.CholeskyTransform().forward_shape((3,)),
        ValueError,
        ("CholeskyTransform", "square", "(3,)"),
    ),
    Case(
        "LowerCholeskyAffine of another length",
        lambda: transforms.LowerCholeskyAffine(np.zeros(2), EYE).forward_shape((3,)),
        ValueError,
        ("LowerCholeskyAffine", "scale_tril of shape (2, 2)", "(..., 2)", "(3,)"),
    ),
    Case(
        "LowerCholeskyAffine: a matrix that is not square",
        lambda: transforms.LowerCholeskyAffine(np.zeros(2), np.ones((2, 3))),
        ValueError,
        ("LowerCholeskyAffine", "scale_tril", "square", "(2, 3)"),
    ),
    Case(
        "RecursiveLinearTransform: a matrix that is not square",
        lambda: transforms.RecursiveLinearTransform(np.ones((2, 3))),
        ValueError,
        ("RecursiveLinearTransform", "transition_matrix", "square", "(2, 3)"),
    ),
    Case(
        "PermuteTransform: an index twice",
        lambda: transforms.PermuteTransform([0, 0, 1]),
        ValueError,
        ("PermuteTransform", "each of 0, ..., 2 once", "[0, 0, 1]"),
    ),
    Case(
        "PermuteTransform of another length",
        lambda: transforms.PermuteTransform([1, 0]).forward_shape((3,)),
        ValueError,
        ("PermuteTransform", "(..., 2)", "(3,)"),
    ),
    Case(
        "CatTransform of a number",
        lambda: transforms.CatTransform([transforms.ExpTransform()]).forward_shape(()),
        ValueError,
        ("shape ()", "no axis dim=0"),
    ),
    Case("cat of nothing", lambda: constraints.cat([]), ValueError, ("cseq cannot be empty",)),
    Case("cat along a float", lambda: constraints.cat([constraints.real], 0.5), TypeError, ("dim must be an integer", "0.5")),
    Case("independent of a number", lambda: constraints.independent(3, 1), TypeError, ("base_constraint", "Constraint", "3")),
    Case("check a dependent constraint", lambda: constraints.dependent.check(1.0), ValueError, ("dependent constraint",)),
]

CASES = [*PARAMETERS, *WRAPPERS, *METHODS, *TRANSFORMS]
