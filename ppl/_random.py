"""Random numbers of samplers: Threefry-2x32, the generator that JAX uses by default, with few and cheap calls.

Each call of the generator costs a tenth of a second of compilation, so one call gives all that a step needs: keys, uniform and
normal numbers. A key is two words, `uint32[2]`, which is also a legacy JAX key.

Source: Salmon, Moraes, Dror, Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3", SC11.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.random import threefry_2x32

from ppl._typing import Array, Key

__all__ = ["Draws", "draw", "fold_in", "fold_in_host", "generate", "is_typed", "to_normal", "to_uniform", "typed", "words"]

FOLD, DRAW = 0x666F6C, 0x647277  # keep apart what is derived from a key in different ways


def is_typed(x: Any) -> bool:
    """Whether an array, or a leaf of any kind, is a typed JAX key, or holds some."""
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def words(key: Key) -> Array:
    """The two words of a JAX key, typed or legacy, of any kind; longer keys are folded."""
    data = jax.random.key_data(key) if is_typed(key) else key
    if data.shape[-1] == 2:
        return data
    return lax.reduce(data.reshape((*data.shape[:-1], -1, 2)), np.uint32(0), lax.bitwise_xor, (data.ndim - 1,))


def typed(key: Array) -> Key:
    """A JAX key of two words."""
    return jax.random.wrap_key_data(key, impl="threefry2x32")


def generate(key: Array, tag: int, first: Array | int, blocks: int) -> Array:
    """Two words for each of the counters `first`, `first + 1`, ...: `(2 blocks,)`."""
    counters = lax.iota(jnp.uint32, blocks) + jnp.asarray(first).astype(jnp.uint32)
    return threefry_2x32((key[0], key[1]), lax.concatenate([jnp.full(blocks, tag, jnp.uint32), counters], 0))


def fold_in(key: Array, number: Array | int) -> Array:
    """A key for each number."""
    return generate(key, FOLD, number, 1)


def fold_in_host(key: np.ndarray, number: int) -> np.ndarray:
    """`fold_in` in NumPy, for which nothing is compiled."""
    rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
    k0, k1 = np.uint32(key[0]), np.uint32(key[1])
    schedule = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    x, y = np.array([FOLD], np.uint32) + k0, np.array([number], np.uint32) + k1
    for i in range(5):
        for distance in rotations[i % 2]:
            x = x + y
            y = x ^ ((y << np.uint32(distance)) | (y >> np.uint32(32 - distance)))
        x = x + schedule[(i + 1) % 3]
        y = y + schedule[(i + 2) % 3] + np.array([i + 1], np.uint32)
    return np.concatenate([x, y])


class Draws(NamedTuple):
    """Independent keys, numbers uniform on [0, 1) `(m,)`, and standard normal numbers `(n,)`."""

    keys: tuple[Array, ...]
    uniforms: Array
    normals: Array


def draw(key: Array, dtype: Any, *, keys: int = 0, uniforms: int = 0, normals: int = 0, stage: Array | int = 0) -> Draws:
    """All that a step needs, from one call of the generator.

    Args:
        key: a key, to be used for nothing else; or for other stages.
        dtype: of the numbers, float32 or float64.
        keys: how many keys.
        uniforms: how many uniform numbers.
        normals: how many normal numbers.
        stage: a number; of one key and the same counts, different stages give independent draws.
    """
    width = np.dtype(dtype).itemsize // 4
    count = 2 * keys + width * (uniforms + normals)
    blocks = (count + 1) // 2
    bits = generate(key, DRAW, jnp.asarray(stage) * blocks, blocks)
    new_keys = tuple(bits[2 * i : 2 * i + 2] for i in range(keys))
    numbers = to_uniform(bits[2 * keys : count], dtype)
    return Draws(keys=new_keys, uniforms=numbers[:uniforms], normals=to_normal(numbers[uniforms:], dtype))


def to_uniform(bits: Array, dtype: Any) -> Array:
    """Numbers on [0, 1) with as many random bits as the mantissa has, of one word each, or of two for float64."""
    if np.dtype(dtype).itemsize == 8:
        high, low = (part.astype(jnp.uint64) for part in lax.split(bits, [bits.size // 2] * 2))
        whole = lax.shift_left(high, lax.full_like(high, 32)) | low
        mantissa = lax.shift_right_logical(whole, lax.full_like(whole, 12)) | np.uint64(0x3FF0000000000000)
    else:
        mantissa = lax.shift_right_logical(bits, lax.full_like(bits, 9)) | np.uint32(0x3F800000)
    return lax.bitcast_convert_type(mantissa, dtype) - 1


def to_normal(uniforms: Array, dtype: Any) -> Array:
    """Standard normal numbers, by the inverse of the distribution function."""
    tiny = float(np.nextafter(np.array(-1, dtype), np.array(0, dtype)))
    return np.sqrt(2.0, dtype=dtype) * lax.erf_inv(jnp.maximum(2 * uniforms - 1, tiny))
