"""The parts of energy conserving subsampling under the names of NumPyro's `contrib.ecs_proxies`."""

from collections.abc import Mapping
from typing import TypeVar

import jax.numpy as jnp

from ppl import _random as random
from ppl._typing import Array, Key
from ppl.infer.hmcecs import HMCECS, with_fresh_block

__all__ = ["block_update", "taylor_proxy"]

taylor_proxy = HMCECS.taylor_proxy

S = TypeVar("S")


def block_update(
    plate_sizes: Mapping[str, tuple[int, int]], num_blocks: int, rng_key: Key, gibbs_sites: Mapping[str, Array], gibbs_state: S
) -> tuple[dict[str, Array], S]:
    """A proposal of `HMCECS`: in each plate one block of the indices, chosen at random, is drawn afresh, with replacement.

    Args:
        plate_sizes: for each subsampled plate its size n and the number of indices m.
        num_blocks: into how many blocks the indices are divided, at most m.
        rng_key: a random key.
        gibbs_sites: the indices `(m,)` of each plate, by its name.
        gibbs_state: returned as it is.

    Returns:
        The proposed indices, and the state.

    Raises:
        ValueError: if there are more blocks than indices.

    Source: Tran, Kohn, Quiroz, Villani (2017), "The block pseudo-marginal sampler", arXiv:1603.02485, section 2.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax import random
        >>> from ppl.contrib.ecs_proxies import block_update
        >>> indices = {"data": jnp.zeros(6, dtype=int)}
        >>> new, _ = block_update({"data": (1000, 6)}, 3, random.key(0), indices, None)
        >>> int((new["data"] != indices["data"]).sum())
        2
    """
    proposed = {}
    draws = random.draw(random.words(rng_key), jnp.result_type(float), keys=len(plate_sizes), uniforms=len(plate_sizes))
    for number, (name, (size, num_indices)) in enumerate(plate_sizes.items()):
        if not 1 <= num_blocks <= num_indices:
            raise ValueError(
                f"block_update: num_blocks must be from 1 to the {num_indices} indices of plate {name!r}, found {num_blocks}"
            )
        indices = jnp.asarray(gibbs_sites[name])
        proposed[name] = with_fresh_block(draws.keys[number], draws.uniforms[number], num_blocks, size, indices)
    return proposed, gibbs_state
