"""Every transform: round trips, log-determinants in free coordinates, finiteness at the edges, shapes, structure."""

import math
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppl.distributions import constraints, transforms
from ppl.distributions.support import ConstraintRegistry, biject_to
from ppl.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    CatTransform,
    CholeskyTransform,
    ComplexTransform,
    ComposeTransform,
    CorrCholeskyTransform,
    CorrMatrixCholeskyTransform,
    DiscreteCosineTransform,
    ExpTransform,
    HaarTransform,
    IdentityTransform,
    IndependentTransform,
    LowerCholeskyAffine,
    LowerCholeskyTransform,
    OrderedTransform,
    PackRealFastFourierCoefficientsTransform,
    PermuteTransform,
    PowerTransform,
    RealFastFourierTransform,
    RecursiveLinearTransform,
    ReshapeTransform,
    SigmoidTransform,
    SimplexToOrderedTransform,
    SoftplusTransform,
    StickBreakingTransform,
    UnpackTransform,
    ZeroSumTransform,
)

TRIL = np.array([[1.5, 0.0, 0.0], [0.3, 0.7, 0.0], [-0.4, 0.2, 1.1]])
TRANSITION = np.array([[0.9, 0.2], [-0.1, 0.5]])
ROWS, COLS = np.tril_indices(3)
STRICT_ROWS, STRICT_COLS = np.tril_indices(3, -1)


def whole(y: Any) -> Any:
    return y.reshape(-1)


def but_last(y: Any) -> Any:
    return y[..., :-1].reshape(-1)


def lower(y: Any) -> Any:
    return y[ROWS, COLS]


def strictly_lower(y: Any) -> Any:
    return y[STRICT_ROWS, STRICT_COLS]


class Case(NamedTuple):
    """A transform, the shape of one unconstrained element, and the free coordinates of its image."""

    make: Callable[[], Any]
    shape: tuple[int, ...] = ()
    free: Callable[[Any], Any] = whole
    edge: float = 30.0


def bijection(constraint: Any) -> Callable[[], Any]:
    return lambda: biject_to(constraint)


CASES = {
    "identity": Case(IdentityTransform),
    "exp": Case(ExpTransform),
    "exp_of_greater_than": Case(lambda: ComposeTransform([biject_to(constraints.greater_than(-1.0)), ExpTransform()]), edge=4.0),
    "sigmoid": Case(SigmoidTransform),
    "softplus": Case(SoftplusTransform),
    "affine": Case(lambda: AffineTransform(np.array([1.0, 2.0]), np.array([-2.0, 0.5])), (2,)),
    "power": Case(lambda: ComposeTransform([ExpTransform(), PowerTransform(-1.5)]), edge=20.0),
    "greater_than": Case(bijection(constraints.greater_than(2.0))),
    "less_than": Case(bijection(constraints.less_than(2.0))),
    "interval": Case(bijection(constraints.interval(-1.0, 3.0))),
    "circular": Case(bijection(constraints.circular)),
    "ordered": Case(OrderedTransform, (4,)),
    "positive_ordered": Case(bijection(constraints.positive_ordered_vector), (3,)),
    "simplex": Case(StickBreakingTransform, (3,), but_last),
    "simplex_to_ordered": Case(
        lambda: ComposeTransform([StickBreakingTransform(), SimplexToOrderedTransform(0.3)]), (3,), edge=9.0
    ),
    "l1_ball": Case(bijection(constraints.l1_ball), (3,)),
    "zero_sum_matrix": Case(lambda: ZeroSumTransform(2), (2, 3)),
    "lower_cholesky": Case(LowerCholeskyTransform, (6,), lower),
    "softplus_lower_cholesky": Case(bijection(constraints.softplus_lower_cholesky), (6,), lower),
    "scaled_unit_lower_cholesky": Case(bijection(constraints.scaled_unit_lower_cholesky), (6,), lower),
    "corr_cholesky": Case(CorrCholeskyTransform, (3,), strictly_lower),
    "corr_matrix": Case(bijection(constraints.corr_matrix), (3,), strictly_lower),
    "positive_definite": Case(bijection(constraints.positive_definite), (6,), lower),
    "lower_cholesky_affine": Case(lambda: LowerCholeskyAffine(np.arange(3.0), TRIL), (3,)),
    "permute": Case(lambda: PermuteTransform(np.array([2, 0, 1])), (3,)),
    "reshape": Case(lambda: ReshapeTransform((2, 3), (6,)), (6,)),
    "fourier_series": Case(
        lambda: ComposeTransform([PackRealFastFourierCoefficientsTransform((5,)), RealFastFourierTransform((5,)).inv]), (5,)
    ),
    "fourier_series_of_even_length": Case(
        lambda: ComposeTransform([PackRealFastFourierCoefficientsTransform(), RealFastFourierTransform().inv]), (4,)
    ),
    "haar": Case(lambda: HaarTransform(dim=-2, flip=True), (5, 2)),
    "cosine": Case(lambda: DiscreteCosineTransform(smooth=0.7), (5,)),
    "recursive": Case(lambda: RecursiveLinearTransform(TRANSITION, np.array([1.0, -2.0])), (3, 2)),
    "complex": Case(lambda: ComposeTransform([ComplexTransform(), ComplexTransform().inv]), (2,)),
    "compose": Case(lambda: ComposeTransform([AffineTransform(1.0, 2.0), OrderedTransform(), AffineTransform(0.0, 3.0)]), (3,)),
    "independent": Case(lambda: IndependentTransform(StickBreakingTransform(), 1), (2, 2), but_last),
    "cat": Case(lambda: CatTransform([ExpTransform(), biject_to(constraints.unit_interval)], -1, [1, 2]), (3,)),
    "cat_of_vectors": Case(lambda: CatTransform([OrderedTransform(), StickBreakingTransform()], -1, [2, 2]), (4,), but_last),
}


pytestmark = pytest.mark.usefixtures("strict")


def points(case: Case, dtype: Any, scale: float, count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(-scale, scale, (count, *case.shape)).astype(dtype)


def total(t: Any, z: Any) -> Any:
    """The log-determinant of one element, summed over axes that the transform does not count as event."""
    y, intermediates = t.call_with_intermediates(z)
    return jnp.sum(t.log_abs_det_jacobian(z, y, intermediates))


@pytest.mark.parametrize("name", CASES)
def test_log_determinant_and_round_trip(name: str) -> None:
    case = CASES[name]
    with jax.enable_x64(True):
        t = case.make()

        @jax.jit
        def probe(z: Any) -> Any:
            def one(z: Any) -> Any:
                y = t(z)
                jac = jax.jacfwd(lambda z: case.free(t(z)).reshape(-1))(z).reshape(-1, max(z.size, 1))
                if name == "zero_sum_matrix":  # an isometry onto a subspace
                    det = 0.5 * jnp.linalg.slogdet(jac.T @ jac)[1]
                else:
                    det = jnp.linalg.slogdet(jac)[1]
                return y, t.inv(y), t.log_abs_det_jacobian(z, y), total(t, z), det, t.inv.log_abs_det_jacobian(y, z)

            return jax.vmap(one)(z)

        z = points(case, np.float64, 3.0)
        y, back, ld, ld_with, expected, inverse_ld = probe(z)
        batched_ld = t.log_abs_det_jacobian(z, t(z))
        np.testing.assert_allclose(back, z, atol=1e-10)
        np.testing.assert_allclose(np.asarray(ld).reshape(3, -1).sum(-1), expected, atol=1e-9)
        np.testing.assert_allclose(ld_with, expected, atol=1e-9)
        np.testing.assert_allclose(inverse_ld, -ld, atol=1e-9)
        np.testing.assert_allclose(batched_ld, ld, atol=1e-12)
        assert y.dtype == np.float64
        if not any(np.ndim(leaf) for leaf in jax.tree_util.tree_leaves(t)):
            single = jax.eval_shape(lambda z: (t(z), t.inv(t(z)), total(t, z)), jax.ShapeDtypeStruct(case.shape, np.float32))
            assert {leaf.dtype for leaf in single} == {np.dtype(np.float32)}
        assert t.forward_shape(z.shape) == y.shape and t.inverse_shape(y.shape) == z.shape
        assert np.asarray(t.codomain.check(np.asarray(y))).all()
        assert np.shape(ld)[1:] == z.shape[1 : z.ndim - t.domain.event_dim]
        inner = z.reshape(-1)
        if not case.shape:
            sign = np.sign(np.diff(np.asarray(t(np.sort(inner)))))
            assert (sign == t.sign).all()


@pytest.mark.parametrize("name", CASES)
def test_single_precision(name: str) -> None:
    """Accurate near zero, and finite with finite gradients at the edges."""
    case = CASES[name]
    t = case.make()

    @jax.jit
    def probe(z: Any) -> Any:
        def one(z: Any) -> Any:
            value, gradient = jax.value_and_grad(lambda z: total(t, z))(z)
            y = t(z)
            return y, t.inv(y), value, gradient

        return jax.vmap(one)(z)

    near = points(case, np.float32, 3.0)
    far = points(case, np.float32, case.edge)
    ends = np.stack([np.full(case.shape, s * case.edge, np.float32) for s in (-1, 0, 1)])
    y, back, ld, _ = probe(np.concatenate([near, far, ends]))
    _, _, value, gradient = probe(np.concatenate([near, far, ends]))
    assert y.dtype == np.float32 and ld.dtype == np.float32
    np.testing.assert_allclose(back[:3], near, atol=1e-4 if name != "l1_ball" else 1e-2)
    assert np.isfinite(value).all() and np.isfinite(gradient).all()
    with jax.enable_x64(True):
        exact = jax.jit(jax.vmap(lambda z: total(t, z)))(near.astype(np.float64))
    np.testing.assert_allclose(ld[:3], exact, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_structure(name: str) -> None:
    case = CASES[name]
    t = case.make()
    leaves, treedef = jax.tree_util.tree_flatten(t)
    assert t == case.make() and t.inv == case.make().inv and t.inv.inv is t and t != t.inv and hash(t) == hash(case.make())
    assert jax.tree_util.tree_unflatten(treedef, leaves) == t
    assert pickle.loads(pickle.dumps(t)) == t
    assert jax.tree_util.tree_map(lambda leaf: leaf, t.inv) == t.inv
    assert "object at" not in repr(t)
    hash(treedef)


@pytest.mark.parametrize("name", CASES)
def test_shapes_of_batches_and_one_inverse(name: str) -> None:
    """Shapes grow by batch axes; `inv` is one object, its own inverse's inverse; parameters are leaves that can be replaced."""
    case = CASES[name]
    t = case.make()
    assert t.inv is t.inv and t.inv.inv is t and t.inv.inv.inv is t.inv
    assert (t.inv.domain, t.inv.codomain) == (t.codomain, t.domain)
    image = t.forward_shape(case.shape)
    for batch in ((), (5,), (4, 1)):
        if case.shape or not batch:
            assert t.forward_shape((*batch, *case.shape)) == (*batch, *image)
            assert t.inverse_shape((*batch, *image)) == (*batch, *case.shape)
            assert t.inv.forward_shape((*batch, *image)) == (*batch, *case.shape)
    children, (names, _) = t.tree_flatten()
    again = type(t).tree_unflatten(t.tree_flatten()[1], children)
    assert again == t and len(children) == len(names)


def test_no_transform_is_left_out() -> None:
    used: set[type] = set()

    def visit(t: Any) -> None:
        used.add(type(t))
        for part in [*getattr(t, "parts", []), *getattr(t, "transforms", []), getattr(t, "base_transform", None)]:
            if part is not None:
                visit(part)
        if type(t).__name__ == "_InverseTransform":
            visit(t.inv)

    for case in CASES.values():
        visit(case.make())
    known = {v for v in vars(transforms).values() if isinstance(v, type) and issubclass(v, transforms.Transform)}
    own_tests = {AbsTransform, UnpackTransform, transforms.Transform, transforms.ParameterFreeTransform}
    assert known - used == own_tests


def test_transforms_pass_through_jit_and_vmap() -> None:
    scales = np.array([1.0, 2.0, 3.0], np.float32)
    t = ComposeTransform([AffineTransform(0.0, scales), ExpTransform()])
    spec = jax.tree_util.tree_map(lambda leaf: 0 if np.ndim(leaf) else None, t)
    out = jax.jit(jax.vmap(lambda t, x: t(x), in_axes=(spec, None)))(t, np.float32(1.0))
    np.testing.assert_allclose(out, np.exp(scales), rtol=1e-6)
    assert AffineTransform(0.0, 1.0) != AffineTransform(0.0, 2.0)
    assert AffineTransform(0.0, 1.0) != AffineTransform(0.0, 1.0, domain=constraints.positive)

    @jax.jit
    def compare(x: Any) -> Any:
        t = AffineTransform(x, 1.0)
        assert t == t and t != AffineTransform(x + 1.0, 1.0)
        return t.eq(AffineTransform(x, 1.0)) & ~t.eq(AffineTransform(x + 1.0, 1.0))

    assert compare(1.0)


@pytest.mark.parametrize(
    ("transform", "codomain"),
    [
        (ExpTransform(constraints.ordered_vector), constraints.positive_ordered_vector),
        (ExpTransform(constraints.real_vector), constraints.independent(constraints.positive, 1)),
        (ExpTransform(constraints.interval(0.0, 0.0)), constraints.interval(1.0, 1.0)),
        (ExpTransform(constraints.less_than(0.0)), constraints.interval(0.0, 1.0)),
        (AffineTransform(1.0, 2.0, constraints.unit_interval), constraints.interval(1.0, 3.0)),
        (AffineTransform(1.0, -2.0, constraints.unit_interval), constraints.interval(-1.0, 1.0)),
        (AffineTransform(1.0, 2.0, constraints.positive), constraints.greater_than(1.0)),
        (AffineTransform(1.0, -2.0, constraints.positive), constraints.less_than(1.0)),
        (AffineTransform(1.0, -2.0, constraints.less_than(3.0)), constraints.greater_than(-5.0)),
        (AffineTransform(1.0, 2.0, constraints.real_vector), constraints.real_vector),
        (
            AffineTransform(1.0, 2.0, constraints.independent(constraints.positive, 1)),
            constraints.independent(constraints.greater_than(1.0), 1),
        ),
        (ComposeTransform([]), constraints.real),
        (ComposeTransform([LowerCholeskyTransform(), CholeskyTransform().inv]), constraints.positive_definite),
        (CorrMatrixCholeskyTransform(), constraints.corr_cholesky),
    ],
)
def test_codomain_follows_domain(transform: Any, codomain: Any) -> None:
    assert transform.codomain == codomain


@pytest.mark.parametrize(
    "domain", [constraints.positive, constraints.less_than(2.0), constraints.interval(-1.0, 3.0), constraints.unit_interval]
)
def test_the_image_under_a_scale_of_unknown_sign(domain: Any) -> None:
    """Traced, and of both signs; as under each sign by itself."""
    x, y = np.array([-0.5, 0.0, 0.3, 4.0], np.float32), np.linspace(-9.1, 9.1, 20, dtype=np.float32)
    scales = np.array([2.0, -2.0], np.float32)

    def run(scale: Any) -> Any:
        codomain = AffineTransform(1.0, scale, domain).codomain
        t = biject_to(codomain)
        z = t(x)
        return codomain(y), codomain.feasible_like(x), z, t.inv(z), t.log_abs_det_jacobian(x, z)

    for scale in scales:
        known = AffineTransform(1.0, scale, domain).codomain
        inside, feasible, z, back, log_det = jax.jit(run)(scale)
        np.testing.assert_array_equal(inside, known(y))
        assert np.all(known(np.asarray(feasible))) and np.all(known(np.asarray(z)))
        np.testing.assert_allclose(back, x, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(log_det, biject_to(known).log_abs_det_jacobian(x, z), rtol=1e-5)
    both = AffineTransform(1.0, scales, domain).codomain
    each = [AffineTransform(1.0, scale, domain).codomain(y) for scale in scales]
    np.testing.assert_array_equal(both(y[:, None]), np.stack(each, -1))


def test_compose_counts_event_dimensions() -> None:
    t = ComposeTransform([ExpTransform(), StickBreakingTransform(), AffineTransform(0.0, 2.0)])
    assert (t.domain.event_dim, t.codomain.event_dim) == (1, 1)
    t = ComposeTransform([CorrCholeskyTransform(), ReshapeTransform((9,), (3, 3)), AffineTransform(0.0, np.ones(9))])
    assert (t.domain.event_dim, t.codomain.event_dim) == (1, 1)
    assert ComposeTransform([SigmoidTransform(), AffineTransform(0.0, -1.0)]).sign == -1


def test_unpack() -> None:
    t = UnpackTransform(
        lambda x: {"a": x[0], "b": x[1:]}, lambda tree: jnp.concatenate([jnp.reshape(tree["a"], (-1,)), tree["b"].reshape(-1)])
    )
    x = np.arange(4, dtype=np.float32)
    np.testing.assert_array_equal(t.inv(t(x)), x)
    batch = t(np.stack([x, x]))
    assert batch["a"].shape == (2,) and batch["b"].shape == (2, 3)
    assert t.log_abs_det_jacobian(np.stack([x, x]), batch).shape == (2,)
    with pytest.warns(UserWarning, match="UnpackTransform.inv"):
        t.inv(batch)
    with pytest.raises(NotImplementedError, match="pack_fn"):
        UnpackTransform(lambda x: x).inv(x)
    assert t == UnpackTransform(t.unpack_fn, t.pack_fn)


def test_abs_is_no_bijection() -> None:
    with pytest.warns(UserWarning, match="not a bijection"):
        assert AbsTransform().inv(2.0) == 2.0
    with pytest.raises(NotImplementedError, match="sign"):
        _ = AbsTransform().sign


def test_stick_breaking_starts_in_the_middle_and_sums_to_one() -> None:
    t = StickBreakingTransform()
    np.testing.assert_allclose(t(np.zeros(4, np.float32)), np.full(5, 0.2), rtol=1e-6)
    assert t(np.zeros(0, np.float32)).tolist() == [1.0]
    long = t(np.random.default_rng(0).normal(size=99).astype(np.float32))
    assert long.shape == (100,) and abs(float(long.sum()) - 1) < 1e-5
    np.testing.assert_allclose(t.inv(long), t.inv(t(t.inv(long))), atol=1e-3)


def test_large_triangles_agree_with_numpy() -> None:
    n = 9
    x = np.random.default_rng(0).normal(size=n * (n + 1) // 2).astype(np.float32)
    y = np.asarray(LowerCholeskyTransform()(x))
    expected = np.zeros((n, n), np.float32)
    expected[np.tril_indices(n, -1)] = x[: n * (n - 1) // 2]
    expected[np.arange(n), np.arange(n)] = np.exp(x[-n:])
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    gradient = jax.grad(lambda x: jnp.sum(CorrCholeskyTransform()(x) * y))(x[: n * (n - 1) // 2])
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: CorrCholeskyTransform()(np.zeros(4, np.float32)), ValueError, "length 4"),
        (lambda: LowerCholeskyTransform().forward_shape((4,)), ValueError, "length 4"),
        (lambda: LowerCholeskyTransform().inv.forward_shape((2, 3)), ValueError, "square"),
        (lambda: LowerCholeskyAffine(0.0, np.ones(3)), ValueError, "scale_tril"),
        (lambda: LowerCholeskyAffine(0.0, np.ones((2, 3))), ValueError, "scale_tril"),
        (lambda: ReshapeTransform((2,), (3,)), ValueError, "are not compatible"),
        (lambda: ReshapeTransform((3,), (3, 1))(np.ones((2, 3))), TypeError, "cannot reshape array"),
        (lambda: CatTransform([]), ValueError, "tseq cannot be empty"),
        (lambda: CatTransform([ExpTransform()], dim=0.5), TypeError, "dim must be an integer"),
        (lambda: CatTransform([ExpTransform()], lengths=[-1]), ValueError, "nonnegative integers"),
        (lambda: CatTransform([ExpTransform()] * 2, lengths=[1, 2])(np.ones(4)), ValueError, "must equal the sum of lengths 3"),
        (lambda: ComposeTransform([1]), TypeError, "must be a Transform"),
        (lambda: IndependentTransform(ExpTransform(), -1), ValueError, "reinterpreted_batch_ndims"),
        (lambda: ZeroSumTransform(-1), ValueError, "transform_ndims"),
        (lambda: ExpTransform(constraints.simplex).codomain, NotImplementedError, "image of Simplex"),
        (lambda: biject_to(constraints.boolean), NotImplementedError, "Boolean"),
        (lambda: biject_to(constraints.sphere), NotImplementedError, "Sphere"),
        (lambda: biject_to.register(3, ExpTransform), TypeError, "Constraint"),
        (lambda: StickBreakingTransform().forward_shape(()), ValueError, "vectors"),
        (lambda: ComplexTransform()(np.ones((4, 3), np.float32)), ValueError, r"ComplexTransform .* size 2, .* \(4, 3\)"),
        (lambda: ComplexTransform().forward_shape(()), ValueError, r"ComplexTransform .* shape \(\)"),
        (lambda: RecursiveLinearTransform(np.ones(2)), ValueError, r"transition_matrix must be a square .* shape \(2,\)"),
        (lambda: RecursiveLinearTransform(TRANSITION, np.ones(3)), ValueError, r"initial_value must be vectors \(..., 2\)"),
        (lambda: RecursiveLinearTransform(TRANSITION, 1.0), ValueError, r"initial_value .* but got shape \(\)"),
        (lambda: RecursiveLinearTransform(TRANSITION)(np.ones(2)), ValueError, r"series of vectors, .* \(..., T, 2\), .* \(2,\)"),
        (lambda: RecursiveLinearTransform(TRANSITION).inv(np.ones((4, 3))), ValueError, r"RecursiveLinear.* shape \(4, 3\)"),
    ],
)
def test_errors_name_the_argument(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_complex_numbers_are_pairs() -> None:
    t = biject_to(constraints.complex)
    assert t == ComplexTransform() and t.codomain is constraints.complex
    x = np.array([[1.0, -2.0], [0.5, 3.0], [0.0, 1.0]], np.float32)
    y = t(x)
    assert y.dtype == np.complex64 and t.forward_shape(x.shape) == y.shape and t.inverse_shape(y.shape) == x.shape
    np.testing.assert_array_equal(y, [1 - 2j, 0.5 + 3j, 1j])
    np.testing.assert_array_equal(t.inv(y), x)
    np.testing.assert_array_equal(t.inv(np.float32(2.0)), [2.0, 0.0])
    np.testing.assert_array_equal(jax.vmap(t)(x), y)
    log_det = t.log_abs_det_jacobian(x, y)
    assert log_det.shape == (3,) and log_det.dtype == np.float32 and not log_det.any()
    assert biject_to(constraints.independent(constraints.complex, 1)).domain.event_dim == 2
    np.testing.assert_array_equal(t.inv(constraints.complex.feasible_like(np.asarray(y))), np.zeros((3, 2)))


def test_recursion_broadcasts_its_batches() -> None:
    rng = np.random.default_rng(0)
    matrix, start, eps = 0.5 * rng.normal(size=(3, 1, 2, 2)), rng.normal(size=(4, 2)), rng.normal(size=(5, 1, 1, 6, 2))
    expected, state = [], np.broadcast_to(start, (5, 3, 4, 2))
    for k in range(6):
        state = np.einsum("...ij,...j->...i", matrix, state) + eps[..., k, :]
        expected.append(state)
    with jax.enable_x64(True):
        t = RecursiveLinearTransform(matrix, start)
        x = jax.jit(lambda eps: t(eps))(eps)
        np.testing.assert_allclose(x, np.stack(expected, -2), atol=1e-12)
        np.testing.assert_allclose(t.inv(x), np.broadcast_to(eps, x.shape), atol=1e-12)
        assert t.forward_shape(eps.shape) == t.inverse_shape(x.shape) == x.shape
        assert t.log_abs_det_jacobian(eps, x).shape == (5, 3, 4)
        from_zero = RecursiveLinearTransform(matrix)
        np.testing.assert_allclose(from_zero(eps), RecursiveLinearTransform(matrix, np.zeros(1))(eps), atol=1e-12)
        mapped = jax.vmap(lambda t, eps: t(eps), in_axes=(0, None))(from_zero, eps[0])
        np.testing.assert_allclose(mapped, from_zero(eps[0])[:, None], atol=1e-12)
    assert from_zero == RecursiveLinearTransform(matrix) != t
    assert t(eps.astype(np.float32)).dtype == np.float32


def test_registry_takes_classes_instances_and_subclasses() -> None:
    class Even(type(constraints.positive)): ...  # type: ignore[misc]

    registry = ConstraintRegistry()
    registry.register(constraints.positive, lambda c: ExpTransform())

    @registry.register(constraints.interval)
    def _(c: Any) -> Any:
        return SigmoidTransform()

    assert registry(constraints.positive) == ExpTransform() and registry(Even()) == ExpTransform()
    assert registry(constraints.interval(0.0, 1.0)) == SigmoidTransform()
    assert transforms.biject_to is biject_to


def test_bounds_that_are_arrays_or_traced() -> None:
    low = np.array([0.0, 1.0], np.float32)
    t = biject_to(constraints.interval(low, 4.0))
    np.testing.assert_allclose(t(np.zeros((3, 2), np.float32)), np.broadcast_to((low + 4) / 2, (3, 2)))

    @jax.jit
    def through(low: Any, z: Any) -> Any:
        t = biject_to(constraints.interval(low, 4.0))
        return t(z), t.log_abs_det_jacobian(z, t(z))

    y, ld = through(low, np.zeros((3, 2), np.float32))
    np.testing.assert_allclose(ld, np.broadcast_to(np.log(4 - low) + np.log(0.25), (3, 2)), atol=1e-6)


def dirichlet_log_density(x: Any) -> Any:
    return jnp.log(x) @ jnp.array([1.0, 2.0, 3.0]) + np.log(math.factorial(8) / (1 * 2 * 6))


def wishart_log_density(s: Any) -> Any:
    scale = np.array([[1.0, 0.3], [0.3, 0.5]])
    log_norm = 5 * np.log(2) + 2.5 * np.log(np.linalg.det(scale)) + 0.5 * np.log(np.pi) + math.lgamma(2.5) + math.lgamma(2.0)
    det = s[0, 0] * s[1, 1] - s[0, 1] ** 2
    return jnp.log(det) - 0.5 * jnp.sum(np.linalg.inv(scale) * s) - log_norm


def normal_log_density(x: Any) -> Any:
    return -0.5 * jnp.sum(x * x) - 0.5 * x.size * np.log(2 * np.pi)


class Law(NamedTuple):
    """A density on a constraint, and what it integrates to: moments to exact values; the first one is the total mass, if known."""

    constraint: Any
    log_density: Callable[[Any], Any]
    moments: Callable[[Any], tuple[Any, ...]]
    exact: tuple[float, ...]
    axes: tuple[tuple[float, float, int], ...]
    normalized: bool = True
    tolerance: float = 1e-5


LAWS = {
    "beta": Law(
        constraints.unit_interval,
        lambda x: jnp.log(12 * x) + 2 * jnp.log1p(-x),
        lambda x: (x, (x - 0.4) ** 2),
        (0.4, 0.04),
        ((-40, 40, 2001),),
    ),
    "half_normal": Law(
        constraints.positive,
        lambda x: normal_log_density(x) + np.log(2),
        lambda x: (x, (x - np.sqrt(2 / np.pi)) ** 2),
        (np.sqrt(2 / np.pi), 1 - 2 / np.pi),
        ((-40, 4, 2001),),
    ),
    "dirichlet": Law(
        constraints.simplex,
        dirichlet_log_density,
        lambda x: (x[0], x[1], (x[2] - 4 / 9) ** 2),
        (2 / 9, 3 / 9, 4 * 5 / (81 * 10)),
        ((-15, 15, 121), (-15, 15, 121)),
    ),
    "ordered": Law(
        constraints.ordered_vector,
        lambda x: normal_log_density(x) + np.log(6),
        lambda x: (x[0], x[1], x[2]),
        (-0.846284375, 0.0, 0.846284375),
        ((-7, 7, 41), (-18, 3, 71), (-18, 3, 71)),
    ),
    "l1_ball": Law(
        constraints.l1_ball,
        lambda x: -np.log(2.0),
        lambda x: (x[0], x[0] ** 2, x[1] ** 2),
        (0.0, 1 / 6, 1 / 6),
        ((-10, 10, 801), (-10, 10, 101)),
        tolerance=1e-3,
    ),
    "correlation": Law(
        constraints.corr_matrix,
        lambda r: jnp.log(jnp.maximum(1 + 2 * r[0, 1] * r[0, 2] * r[1, 2] - r[0, 1] ** 2 - r[0, 2] ** 2 - r[1, 2] ** 2, 1e-300)),
        lambda r: (r[0, 1] ** 2, r[0, 2] ** 2, r[1, 2] ** 2, r[1, 2]),
        (1 / 6, 1 / 6, 1 / 6, 0.0),
        ((-7, 7, 51),) * 3,
        False,
    ),
    "wishart": Law(
        constraints.positive_definite,
        wishart_log_density,
        lambda s: (s[0, 0], s[0, 1], s[1, 1]),
        (5.0, 1.5, 2.5),
        ((-8, 8, 51), (-8, 2.5, 51), (-8, 2.5, 51)),
    ),
}


@pytest.mark.parametrize("name", LAWS)
def test_densities_keep_their_moments_through_the_bijection(name: str) -> None:
    """`E f(x) = integral of f(T(z)) exp(log p(T(z)) + log|det T'(z)|) dz`, by the trapezoidal rule."""
    law = LAWS[name]
    with jax.enable_x64(True):
        t = biject_to(law.constraint)
        grids = [np.linspace(low, high, n) for low, high, n in law.axes]
        z = np.stack([g.reshape(-1) for g in np.meshgrid(*grids, indexing="ij")], -1)
        cell = np.prod([g[1] - g[0] for g in grids])

        @jax.jit
        def integrals(z: Any) -> Any:
            def one(z: Any) -> Any:
                z = z[0] if law.constraint.event_dim == 0 else z
                x, intermediates = t.call_with_intermediates(z)
                weight = jnp.exp(law.log_density(x) + t.log_abs_det_jacobian(z, x, intermediates))
                return weight * jnp.stack([jnp.ones_like(weight), *law.moments(x)])

            return jnp.sum(jax.vmap(one)(z), 0) * cell

        mass, *moments = np.asarray(integrals(z))
    if law.normalized:
        assert abs(mass - 1) < law.tolerance
    np.testing.assert_allclose(np.asarray(moments) / mass, law.exact, atol=law.tolerance)
