"""Every constraint: members and non-members, feasible values, NumPy in NumPy out, values as pytrees."""

import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppl.distributions import biject_to
from ppl.distributions import constraints as c

NAN, INF = float("nan"), float("inf")
EYE = np.eye(2)


class Case(NamedTuple):
    make: Callable[[], Any]
    inside: list[Any]
    outside: list[Any]
    event_dim: int = 0
    is_discrete: bool = False


CASES = {
    "real": Case(lambda: c.real, [0.0, -3.0], [NAN, INF]),
    "real_vector": Case(lambda: c.real_vector, [[1.0, 2.0]], [[1.0, NAN]], 1),
    "real_matrix": Case(lambda: c.real_matrix, [EYE], [np.full((2, 2), INF)], 2),
    "positive": Case(lambda: c.positive, [0.1], [0.0, -1.0, NAN]),
    "nonnegative": Case(lambda: c.nonnegative, [0.0, 1.0], [-0.1, NAN]),
    "softplus_positive": Case(lambda: c.softplus_positive, [0.1], [0.0]),
    "greater_than": Case(lambda: c.greater_than(2.0), [2.5], [2.0, NAN]),
    "greater_than_eq": Case(lambda: c.greater_than_eq(2), [2.0], [1.9]),
    "less_than": Case(lambda: c.less_than(2.0), [1.5], [2.0]),
    "less_than_eq": Case(lambda: c.less_than_eq(2.0), [2.0], [2.1]),
    "interval": Case(lambda: c.interval(0.1, 2.0), [0.1, 1.0, 2.0], [0.0, 2.1, NAN]),
    "open_interval": Case(lambda: c.open_interval(0.0, 2.0), [1.0], [0.0, 2.0]),
    "unit_interval": Case(lambda: c.unit_interval, [0.0, 1.0], [-0.1, 1.1]),
    "circular": Case(lambda: c.circular, [-np.pi, np.pi, 0.0], [3.2]),
    "complex": Case(lambda: c.complex, [1j], [complex(NAN, 0.0)]),
    "simplex": Case(lambda: c.simplex, [[0.2, 0.8], [0.0, 1.0]], [[0.2, 0.7], [-0.1, 1.1]], 1),
    "ordered": Case(lambda: c.ordered_vector, [[-1.0, 2.0, 3.0]], [[1.0, 1.0, 2.0], [1.0, NAN, 2.0]], 1),
    "positive_ordered": Case(lambda: c.positive_ordered_vector, [[0.1, 2.0]], [[-1.0, 2.0], [2.0, 1.0]], 1),
    "l1_ball": Case(lambda: c.l1_ball, [[0.5, -0.4], [0.5, -0.5]], [[0.7, -0.7]], 1),
    "sphere": Case(lambda: c.sphere, [[0.6, -0.8]], [[0.6, 0.7]], 1),
    "zero_sum": Case(lambda: c.zero_sum(1), [[1.0, -3.0, 2.0]], [[1.0, 1.0, 1.0]], 1),
    "zero_sum_matrix": Case(lambda: c.zero_sum(2), [[[1.0, -1.0], [-1.0, 1.0]]], [[[1.0, -1.0], [2.0, -2.0]]], 2),
    "circulant": Case(
        lambda: c.positive_definite_circulant_vector, [[2.0, 0.5, 0.1, 0.5]], [[2.0, 0.5, 0.1, 0.1], [0.1, 1.0, 0.0, 1.0]], 1
    ),
    "lower_cholesky": Case(lambda: c.lower_cholesky, [EYE, [[1.0, 0.0], [-3.0, 2.0]]], [-EYE, [[1.0, 1.0], [0.0, 1.0]]], 2),
    "softplus_lower_cholesky": Case(lambda: c.softplus_lower_cholesky, [EYE], [-EYE], 2),
    "scaled_unit_lower_cholesky": Case(lambda: c.scaled_unit_lower_cholesky, [2 * EYE], [-EYE], 2),
    "corr_cholesky": Case(lambda: c.corr_cholesky, [EYE, [[1.0, 0.0], [0.6, 0.8]]], [2 * EYE, [[1.0, 0.0], [0.6, -0.8]]], 2),
    "corr_matrix": Case(lambda: c.corr_matrix, [EYE, [[1.0, 0.9], [0.9, 1.0]]], [2 * EYE, [[1.0, 1.1], [1.1, 1.0]]], 2),
    "positive_definite": Case(lambda: c.positive_definite, [EYE], [-EYE, [[1.0, 0.5], [0.0, 1.0]], EYE * NAN, 0 * EYE], 2),
    "positive_semidefinite": Case(lambda: c.positive_semidefinite, [EYE, 0 * EYE, np.ones((2, 2))], [-EYE], 2),
    "boolean": Case(lambda: c.boolean, [0, 1], [2, -1], 0, True),
    "integer_interval": Case(lambda: c.integer_interval(1, 3), [1.0, 3.0], [0.0, 4.0, 1.5], 0, True),
    "integer_greater_than": Case(lambda: c.integer_greater_than(2), [2, 5], [1], 0, True),
    "positive_integer": Case(lambda: c.positive_integer, [1.0], [0.0, 1.5, NAN], 0, True),
    "nonnegative_integer": Case(lambda: c.nonnegative_integer, [0.0, 7.0], [-1.0, 0.5, INF], 0, True),
    "multinomial": Case(lambda: c.multinomial(3), [[1.0, 2.0]], [[1.0, 1.0], [-1.0, 4.0], [1.5, 1.5]], 1, True),
    "independent": Case(lambda: c.independent(c.simplex, 1), [EYE], [2 * EYE], 2),
    "cat": Case(
        lambda: c.cat([c.independent(c.positive, 1), c.simplex], -1, [1, 2]),
        [[3.0, 0.2, 0.8]],
        [[-3.0, 0.2, 0.8], [3.0, 0.2, 0.9]],
        1,
    ),
}


pytestmark = pytest.mark.usefixtures("strict")


@pytest.mark.parametrize("name", CASES)
def test_check(name: str) -> None:
    case = CASES[name]
    constraint = case.make()
    assert (constraint.event_dim, constraint.is_discrete) == (case.event_dim, case.is_discrete)
    for values, expected in ((case.inside, True), (case.outside, False)):
        x = np.asarray(values)
        if x.dtype.kind == "f":
            x = x.astype(np.float32)
        valid = constraint(x)
        assert isinstance(valid, np.ndarray) and valid.dtype == bool and valid.shape == x.shape[: x.ndim - case.event_dim]
        assert (valid == expected).all(), values
        assert (np.asarray(jax.jit(constraint.check)(x)) == expected).all()
        if not case.event_dim:
            assert all(bool(constraint(value)) == expected for value in values)
        if x.dtype == np.float32:
            assert (constraint(np.asarray(values, float)) == expected).all()


@pytest.mark.parametrize("name", CASES)
def test_feasible_like_gives_members(name: str) -> None:
    case = CASES[name]
    constraint = case.make()
    prototype = np.broadcast_to(np.asarray(case.inside[0]), (4, *np.shape(case.inside[0])))
    prototype = prototype.astype(np.float32) if prototype.dtype.kind == "f" else prototype
    value = constraint.feasible_like(prototype)
    assert value.shape == prototype.shape and value.dtype == prototype.dtype
    assert np.asarray(constraint(value)).all()


@pytest.mark.parametrize("name", CASES)
def test_constraints_are_values(name: str) -> None:
    case = CASES[name]
    constraint = case.make()
    leaves, treedef = jax.tree_util.tree_flatten(constraint)
    again = jax.tree_util.tree_unflatten(treedef, leaves)
    copy = pickle.loads(pickle.dumps(constraint))
    assert constraint == case.make() == again == copy and hash(constraint) == hash(copy)
    assert constraint.eq(again, static=True) is True
    assert "object at" not in repr(constraint) and not repr(constraint).startswith("_")
    if isinstance(constraint, c.ParameterFreeConstraint):
        assert constraint is again is copy and not leaves
    assert constraint != (c.positive if constraint is not c.positive else c.real)


def test_feasible_values_are_the_documented_ones() -> None:
    x = np.zeros(3, np.float32)
    assert c.greater_than(2.0).feasible_like(x).tolist() == [3.0] * 3
    assert c.less_than(2.0).feasible_like(x).tolist() == [1.0] * 3
    assert c.interval(1.0, 2.0).feasible_like(x).tolist() == [1.5] * 3
    assert c.ordered_vector.feasible_like(x).tolist() == [0.0, 1.0, 2.0]
    np.testing.assert_allclose(c.softplus_lower_cholesky.feasible_like(EYE), np.log(2) * EYE)
    assert c.multinomial(np.array([2, 3])).feasible_like(np.zeros((2, 3), int)).tolist() == [[2, 0, 0], [3, 0, 0]]
    assert c.integer_interval(2, 4).feasible_like(np.zeros(2, int)).tolist() == [2, 2]
    assert c.positive.feasible_like(0).dtype == np.float32


def test_names_in_repr() -> None:
    assert repr(c.interval(0.0, 1.0)) == "Interval(lower_bound=0.0, upper_bound=1.0)"
    assert repr(c.real_vector) == "RealVector(Real(), 1)"
    assert repr(c.independent(c.positive, 2)) == "IndependentConstraint(Positive(lower_bound=0.0), 2)"


def test_equality_by_value() -> None:
    assert c.greater_than(1.0) == c.greater_than(np.array(1.0)) and c.greater_than(1.0) != c.greater_than(2.0)
    assert c.greater_than(1.0) != c.greater_than_eq(1.0)
    assert c.independent(c.real, 1) == c.real_vector and hash(c.independent(c.real, 1)) == hash(c.real_vector)
    assert c.independent(c.independent(c.real, 1), 1) == c.real_matrix
    assert c.cat([c.real, c.positive]) != c.cat([c.positive, c.real])

    @jax.jit
    def compare(x: Any) -> Any:
        assert c.greater_than(x) == c.greater_than(x) and c.greater_than(x) != c.greater_than(x + 1.0)
        return c.greater_than(x).eq(c.greater_than(x * 1.0))

    assert compare(1.0)


def test_parameters_broadcast_and_trace() -> None:
    low = np.array([0.0, 1.0], np.float32)
    x = np.array([[0.5, 0.5], [1.5, 1.5]], np.float32)
    expected = x > low
    assert (c.greater_than(low)(x) == expected).all()
    assert (jax.jit(lambda k, x: k(x))(c.greater_than(low), x) == expected).all()
    assert (jax.vmap(lambda k, x: k(x))(c.greater_than(low), low + 1.0)).all()
    np.testing.assert_allclose(jax.jit(lambda low: c.greater_than(low).feasible_like(x))(low), np.broadcast_to(low + 1, (2, 2)))
    assert isinstance(c.greater_than([0.0, 1.0]).lower_bound, np.ndarray)


def test_bounds_are_rounded_to_the_width_of_the_value() -> None:
    assert c.interval(0.0, 0.1)(np.float32(0.1))
    assert c.interval(0.0, np.array([0.1]))(np.array([0.1], np.float32)).all()
    assert c.circular(np.float32(np.pi))


def test_simplex_in_single_precision_is_checked_with_its_rounding() -> None:
    x = np.random.default_rng(0).dirichlet(np.ones(1000)).astype(np.float32)
    assert c.simplex(x) and not c.simplex(x * np.float32(1.001))


def test_dependent_constraints_stand_for_others() -> None:
    class Box:
        high = 2.0

        @c.dependent_property(is_discrete=False, event_dim=0)
        def support(self) -> Any:
            return c.interval(0.0, self.high)

    assert Box.support.event_dim == 0 and Box.support.is_discrete is False  # type: ignore[attr-defined]
    assert Box().support == c.interval(0.0, 2.0)
    assert c.is_dependent(Box.support) and c.is_dependent(c.independent(c.dependent(is_discrete=False, event_dim=0), 1))
    assert not c.is_dependent(Box().support)
    with pytest.raises(ValueError, match="dependent constraint"):
        c.dependent(1.0)
    with pytest.raises(ValueError, match="dependent constraint"):
        Box.support(1.0)  # type: ignore[operator]
    with pytest.raises(NotImplementedError, match="event_dim"):
        _ = c.dependent.event_dim
    with pytest.raises(NotImplementedError, match="is_discrete"):
        _ = c.dependent(event_dim=1).is_discrete


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: c.independent(c.real, 1)(0.0), ValueError, "at least 1 dimension"),
        (lambda: c.independent(c.real, -1), ValueError, "reinterpreted_batch_ndims"),
        (lambda: c.independent(3.0, 1), TypeError, "base_constraint must be a Constraint"),
        (lambda: c.cat([]), ValueError, "cseq cannot be empty"),
        (lambda: c.cat([1.0]), TypeError, "each of cseq must be a Constraint"),
        (lambda: c.cat([c.real], dim="a"), TypeError, "dim must be an integer"),
        (lambda: c.cat([c.real], lengths=[1, 2]), ValueError, "one entry per part"),
        (lambda: c.cat([c.real], lengths=[-1]), ValueError, "nonnegative integers"),
        (lambda: c.cat([c.real, c.real], lengths=[1, 2])(np.ones(4)), ValueError, "must equal the sum of lengths 3"),
        (lambda: c.cat([c.real], dim=2)(np.ones(1)), ValueError, "no axis dim=2"),
        (lambda: c.zero_sum(-1), ValueError, "event_dim"),
        (lambda: c.Constraint()(1.0), NotImplementedError, "check"),
        (lambda: c.dependent.feasible_like(1.0), NotImplementedError, "feasible_like"),
    ],
)
def test_errors_name_the_argument(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_a_user_can_define_a_constraint() -> None:
    class _Even(c.Constraint):
        is_discrete = True
        leaf_fields = ("offset",)

        def __init__(self, offset: int) -> None:
            self.offset = offset

        def check(self, x: Any) -> Any:
            return (x - self.offset) % 2 == 0

    assert _Even(1)(np.array([1, 2])).tolist() == [True, False]
    assert repr(_Even(1)) == "Even(offset=1)" and _Even(1) == _Even(1) != _Even(0)
    assert jax.tree_util.tree_leaves(_Even(1)) == [1]

    class Flattened(c.Constraint):
        def __init__(self, low: Any, name: str) -> None:
            self.low, self.name = low, name

        def check(self, x: Any) -> Any:
            return x > self.low

        def tree_flatten(self) -> Any:
            return (self.low,), (("low",), {"name": self.name})

    x = Flattened(1.0, "a")
    assert jax.jit(lambda k, v: k(v))(x, 2.0) and x == Flattened(1.0, "a") != Flattened(1.0, "b")
    assert jnp.shape(jax.tree_util.tree_map(jnp.asarray, x).low) == ()


def test_bijection_of_pieces_has_the_pieces_as_its_image() -> None:
    constraint = c.cat([c.simplex, c.ordered_vector, c.positive], -1, [3, 2, 1])
    t = biject_to(constraint)
    assert t.lengths == (2, 2, 1) and t.codomain == constraint
    z = np.linspace(-1.0, 1.0, 5, dtype=np.float32)
    y = t(z)
    assert y.shape == (6,) == t.forward_shape(z.shape) and bool(constraint(np.asarray(y)))
    np.testing.assert_allclose(t.inv(y), z, atol=1e-5)
    assert repr(c.cat([c.real, c.positive])) == "Cat((Real(), Positive(lower_bound=0.0)), dim=0, lengths=(1, 1))"
