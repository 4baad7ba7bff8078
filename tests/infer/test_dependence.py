"""Which axes of an input stay apart: what is known of single operations, and soundness on random programs by perturbation."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ppl._typing import Array
from ppl.infer.target import dependence
from ppl.infer.target.dependence import dependences, identity_of

Program = Callable[[Array], Array]
MATRIX = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
LOWER = np.tril(MATRIX) + 4 * np.eye(4, dtype=np.float32)


def kept(fn: Program, shape: tuple[int, ...]) -> dict[int, int] | None:
    """The axes of the input that stay apart in the output, and where they lie."""
    closed = jax.make_jaxpr(fn)(jnp.zeros(shape, jnp.float32))
    (found,) = dependences(closed, [identity_of(shape)])
    return None if found is None else dict(found)


@jax.custom_jvp
def smooth(x: Array) -> Array:
    return jnp.log1p(jnp.exp(x))


smooth.defjvp(lambda primals, tangents: (smooth(*primals), tangents[0]))


def with_scan(x: Array) -> Array:
    return lax.scan(lambda total, row: (total + row, total * row), x[0] * 0.0, x)[1]


def by_scan_over_constants(x: Array) -> Array:
    return lax.scan(lambda total, factor: (jnp.sin(total) * factor, None), x, jnp.arange(1.0, 4.0))[0]


def with_while(x: Array) -> Array:
    return lax.while_loop(lambda loop: loop[0] < 3, lambda loop: (loop[0] + 1, jnp.sin(loop[1])), (0, x))[1]


def until_large(x: Array) -> Array:
    return lax.while_loop(lambda y: jnp.sum(y) < 30.0, lambda y: y + 1.0 + y**2, x)


def by_cond(x: Array) -> Array:
    return lax.cond(jnp.float32(1.0) > 0.5, jnp.sin, lambda y: y * 2.0, x)


def by_cond_on_it(x: Array) -> Array:
    return lax.cond(x[0, 0] > 0.0, jnp.sin, lambda y: y * 2.0, x)


CASES: dict[str, tuple[Program, tuple[int, ...], dict[int, int] | None]] = {
    "constant": (lambda x: jnp.ones(3), (4,), None),
    "elementwise": (lambda x: jnp.exp(x) * 2.0 + jnp.where(x > 0, x, 0.0), (4, 3), {0: 0, 1: 1}),
    "with constants of its shape": (lambda x: x * MATRIX[0], (4,), {0: 0}),
    "gather from constants": (lambda x: jnp.asarray(MATRIX)[x.astype(int), 1], (4,), {0: 0}),
    "rows from constants": (lambda x: jnp.asarray(MATRIX)[x.astype(int)], (5,), {0: 0}),
    "gather of it": (lambda x: x[jnp.array([2, 0, 1])], (3, 4), {1: 1}),
    "take along an axis": (lambda x: jnp.take_along_axis(x, jnp.array([[1], [0], [3]]), 1), (3, 4), {0: 0}),
    "roll": (lambda x: jnp.roll(x, 1, 0), (4, 3), {1: 1}),
    "reversal": (lambda x: x[:, ::-1], (4, 3), {0: 0}),
    "sum": (lambda x: jnp.sum(x, 0), (4, 3), {1: 0}),
    "maximum": (lambda x: jnp.max(x, 1), (4, 3), {0: 0}),
    "centring": (lambda x: x - jnp.mean(x, 1, keepdims=True), (4, 3), {0: 0}),
    "softmax": (lambda x: jax.nn.softmax(x, 0), (4, 3), {1: 1}),
    "matmul from the left": (lambda x: MATRIX @ x, (4, 3), {1: 1}),
    "matmul from the right": (lambda x: x @ MATRIX, (3, 4), {0: 0}),
    "batched matmul": (lambda x: jnp.einsum("bij,bj->bi", jnp.ones((5, 4, 3)), x), (5, 3), {0: 0}),
    "outer product": (lambda x: x[:, None] * x[None, :], (4,), {}),
    "sort": (lambda x: jnp.sort(x, 1), (4, 3), {0: 0}),
    "cumulative sum": (lambda x: jnp.cumsum(x, 0), (4, 3), {1: 1}),
    "scan over it": (with_scan, (4, 3), {1: 1}),
    "scan over constants": (by_scan_over_constants, (4, 3), {0: 0, 1: 1}),
    "while": (with_while, (4, 3), {0: 0, 1: 1}),
    "while until": (until_large, (4, 3), {}),
    "cond": (by_cond, (4, 3), {0: 0, 1: 1}),
    "cond on it": (by_cond_on_it, (4, 3), {}),
    "transposition": (lambda x: jnp.transpose(x, (2, 0, 1)), (4, 3, 2), {0: 1, 1: 2, 2: 0}),
    "reshape that merges": (lambda x: x.reshape(4, 6), (4, 3, 2), {0: 0}),
    "reshape that splits": (lambda x: x.reshape(2, 2, 3), (4, 3), {1: 2}),
    "broadcast": (lambda x: jnp.broadcast_to(x[:, None], (4, 3)), (4,), {0: 0}),
    "broadcast of one": (lambda x: jnp.broadcast_to(x, (5, 3)), (1, 3), {1: 1}),
    "triangular solve of rows": (
        lambda x: lax.linalg.triangular_solve(jnp.broadcast_to(LOWER, (3, 4, 4)), x[..., None], left_side=True, lower=True)[..., 0],
        (3, 4),
        {0: 0},
    ),
    "triangular solve of columns": (
        lambda x: lax.linalg.triangular_solve(jnp.asarray(LOWER), x, left_side=True, lower=True),
        (4, 3),
        {1: 1},
    ),
    "cholesky": (lambda x: jnp.linalg.cholesky(jnp.eye(2) * (1.0 + x[:, None, None] ** 2)), (3,), {0: 0}),
    "custom derivative": (smooth, (4, 3), {0: 0, 1: 1}),
    "slice": (lambda x: x[1:], (4, 3), {1: 1}),
    "pad": (lambda x: jnp.pad(x, ((0, 0), (1, 1))), (4, 3), {0: 0}),
    "concatenation": (lambda x: jnp.concatenate([x, 2.0 * x], 1), (4, 3), {0: 0}),
    "update of a slice": (lambda x: x.at[0].set(1.0), (4, 3), {}),
    "jit": (jax.jit(jnp.sin), (4, 3), {0: 0, 1: 1}),
    "checkpoint": (jax.checkpoint(lambda x: jnp.sin(jnp.cos(x))), (4, 3), {0: 0, 1: 1}),
    "solve": (lambda x: jnp.linalg.solve(jnp.asarray(LOWER), x), (4,), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_operations(name: str) -> None:
    """What is known; to find less would cost time, to find more would be wrong."""
    fn, shape, expected = CASES[name]
    assert kept(fn, shape) == expected
    assert leaks(fn, shape) == []


# Soundness


def leaks(fn: Program, shape: tuple[int, ...], seed: int = 0) -> list[str]:
    """Entries that change though they belong to other elements than the one that is perturbed, along axes said to be apart."""
    found = kept(fn, shape)
    rng = np.random.default_rng(seed)
    x = jnp.asarray(rng.uniform(0.1, 2.9, shape), jnp.float32)
    run = jax.jit(fn)
    before, wrong = np.asarray(run(x)), []
    for index in np.ndindex(*shape):
        after = np.asarray(run(x.at[index].add(float(rng.choice([-1.0, 1.0])) * 1.7)))
        changed = ~((before == after) | (np.isnan(before) & np.isnan(after)))
        if found is None:
            wrong += [f"{index}: depends"] if changed.any() else []
            continue
        for axis, place in found.items():
            entries = set(np.nonzero(changed)[place].tolist())
            if before.shape[place] != shape[axis] or not entries <= {index[axis]}:
                wrong.append(f"{index} along {axis}: {sorted(entries)}")
    return wrong


def _pick(rng: np.random.Generator, options: list[Any]) -> Any:
    return options[rng.integers(len(options))]


def _axis(rng: np.random.Generator, x: Array) -> int:
    return int(rng.integers(x.ndim))


def _elementwise(rng: np.random.Generator, x: Array) -> Array:
    return _pick(rng, [jnp.sin, jnp.tanh, smooth, jnp.abs, lambda y: y * y, lambda y: jnp.where(y > 0.3, y, -1.0)])(x)


def _roll(rng: np.random.Generator, x: Array) -> Array:
    return jnp.roll(x, 1, _axis(rng, x))


def _flip(rng: np.random.Generator, x: Array) -> Array:
    return jnp.flip(x, _axis(rng, x))


def _reduce(rng: np.random.Generator, x: Array) -> Array:
    axis, keepdims = _axis(rng, x), bool(rng.integers(2)) or x.ndim == 1
    return _pick(rng, [jnp.sum, jnp.max, jnp.prod])(x, axis, keepdims=keepdims)


def _along(rng: np.random.Generator, x: Array) -> Array:
    return _pick(rng, [jnp.cumsum, jnp.sort, lax.cummax])(x, _axis(rng, x))


def _gather(rng: np.random.Generator, x: Array) -> Array:
    axis = _axis(rng, x)
    return jnp.take(x, jnp.asarray(rng.permutation(x.shape[axis])), axis)


def _table(rng: np.random.Generator, x: Array) -> Array:
    return jnp.asarray(MATRIX)[jnp.clip(jnp.abs(x), 0, 3).astype(int), int(rng.integers(4))]


def _indexed_by_itself(rng: np.random.Generator, x: Array) -> Array:
    axis = _axis(rng, x)
    return jnp.take_along_axis(x, jnp.clip(jnp.abs(x), 0, x.shape[axis] - 1).astype(int), axis)


def _matmul(rng: np.random.Generator, x: Array) -> Array:
    matrix = jnp.asarray(rng.normal(size=(x.shape[-1], x.shape[-1])), jnp.float32)
    return x @ matrix


def _transpose(rng: np.random.Generator, x: Array) -> Array:
    return jnp.transpose(x, rng.permutation(x.ndim).tolist())


def _reshape(rng: np.random.Generator, x: Array) -> Array:
    size = x.size
    shapes = [(a, size // a) for a in range(1, size + 1) if size % a == 0] + [(size,)]
    return x.reshape(_pick(rng, shapes))


def _cut_and_pad(rng: np.random.Generator, x: Array) -> Array:
    axis = _axis(rng, x)
    cut = lax.slice_in_dim(x, 1, x.shape[axis], axis=axis)
    widths = [(0, 0)] * x.ndim
    widths[axis] = _pick(rng, [(1, 0), (0, 1)])
    return jnp.pad(cut, widths)


def _with_itself(rng: np.random.Generator, x: Array) -> Array:
    other = _pick(rng, [_roll, _elementwise, _along, _flip])(rng, x)
    return _pick(rng, [jnp.add, jnp.multiply, jnp.maximum])(x, other)


def _with_its_mean(rng: np.random.Generator, x: Array) -> Array:
    return x - jnp.mean(x, _axis(rng, x), keepdims=True)


def _scan(rng: np.random.Generator, x: Array) -> Array:
    def body(total: Array, row: Array) -> tuple[Array, Array]:
        return total * 0.5 + row, jnp.tanh(total + row)

    total, rows = lax.scan(body, jnp.zeros(x.shape[1:], x.dtype), x)
    return _pick(rng, [rows, rows + total])


def _loop(rng: np.random.Generator, x: Array) -> Array:
    inner = partial(_pick(rng, [_elementwise, _roll, _with_its_mean, _along]), np.random.default_rng(rng.integers(1000)))
    return lax.fori_loop(0, 2, lambda _, y: inner(y), x)


def _until(rng: np.random.Generator, x: Array) -> Array:
    return lax.while_loop(lambda y: jnp.max(y) < 4.0, lambda y: y + 1.0 + jnp.abs(y), x)


def _cond(rng: np.random.Generator, x: Array) -> Array:
    first, second = (
        partial(_pick(rng, [_elementwise, _roll, _flip]), np.random.default_rng(s)) for s in rng.integers(1000, size=2)
    )
    decides = _pick(rng, [jnp.float32(1.0), jnp.sum(x)])
    return lax.cond(decides > 0.5, first, second, x)


def _solve(rng: np.random.Generator, x: Array) -> Array:
    matrix = jnp.tril(jnp.asarray(rng.normal(size=(x.shape[-1],) * 2), jnp.float32)) + 4.0 * jnp.eye(x.shape[-1])
    batch = jnp.broadcast_to(matrix, (*x.shape[:-1], *matrix.shape))
    return lax.linalg.triangular_solve(batch, x[..., None], left_side=True, lower=True)[..., 0]


STEPS = [
    _elementwise,
    _roll,
    _flip,
    _reduce,
    _along,
    _gather,
    _table,
    _indexed_by_itself,
    _matmul,
    _transpose,
    _reshape,
    _cut_and_pad,
    _with_itself,
    _with_its_mean,
    _scan,
    _loop,
    _until,
    _cond,
    _solve,
]


def program(seed: int) -> tuple[Program, tuple[int, ...]]:
    """A random composition of three operations, and the shape of its input."""
    shape = tuple(int(n) for n in np.random.default_rng(seed).integers(2, 4, size=2))

    def run(x: Array) -> Array:
        rng = np.random.default_rng(seed + 1)
        for _ in range(3):
            x = _pick(rng, STEPS)(rng, x)
        return x

    return run, shape


NUM_PROGRAMS = 60


def test_random_programs() -> None:
    """No element said to be apart is seen elsewhere; and something is found to be apart in many of them."""
    some = 0
    for seed in range(0, 2 * NUM_PROGRAMS, 2):
        fn, shape = program(seed)
        assert leaks(fn, shape, seed) == [], seed
        some += bool(kept(fn, shape))
    assert some > NUM_PROGRAMS // 6


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("sort", "sort"),
        ("cumsum", "cumulative sum"),
        ("rev", "reversal"),
        ("gather", "gather of it"),
        ("concatenate", "concatenation"),
        ("dot_general", "matmul from the right"),
    ],
)
def test_perturbation_sees_a_wrong_rule(rule: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operation that is taken to leave every axis where it is."""
    monkeypatch.setitem(dependence.RULES, rule, lambda equation, inputs: dependence._common(inputs))
    monkeypatch.setattr(dependence, "_within", lambda kept, *_: dict(kept))
    fn, shape, _ = CASES[name]
    try:
        assert leaks(fn, shape) != []
    except IndexError:  # an axis that the result does not have
        pass
