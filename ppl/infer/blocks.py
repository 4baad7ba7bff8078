"""The blocks of a mass matrix: which sites are dense together, which are diagonal, and what the user gives for them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

__all__ = ["Blocks", "check_mass", "flat_blocks", "site_blocks"]


class Blocks(NamedTuple):
    """The blocks of a metric, in the order of the flat position.

    Attributes:
        names: the sites of each block; None where there are no sites.
        shapes: `(k,)` for a diagonal block, `(k, k)` for a dense one.
        inverse: the inverse mass matrix that the user gave, block by block, or None.
    """

    names: tuple[tuple[str, ...], ...] | None
    shapes: tuple[tuple[int, ...], ...]
    inverse: tuple[Any, ...] | None

    @property
    def order(self) -> tuple[str, ...] | None:
        """The sites in the order of the blocks."""
        return None if self.names is None else tuple(name for names in self.names for name in names)


def check_mass(dense_mass: Any, inverse_mass_matrix: Any) -> None:
    """Check what can be seen of both before the sites are known.

    Raises:
        ValueError: if `dense_mass` is neither a bool nor a list of tuples of names; if a concrete matrix is not positive definite.
    """
    if not isinstance(dense_mass, bool | np.bool_):
        _check_form(dense_mass, "dense_mass")
    is_dict = isinstance(inverse_mass_matrix, Mapping)
    if is_dict:
        _check_form(list(inverse_mass_matrix), "inverse_mass_matrix")
    for matrix in inverse_mass_matrix.values() if is_dict else (inverse_mass_matrix,):
        if matrix is not None and not isinstance(matrix, jax.core.Tracer):
            _check_positive(np.asarray(matrix))


def _check_positive(matrix: np.ndarray) -> None:
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"inverse_mass_matrix: expected numbers, found {matrix.tolist()!r}")
    if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] and np.isfinite(matrix).all():
        if not np.allclose(matrix, matrix.T, rtol=1e-4) or np.linalg.eigvalsh(matrix)[:1].min(initial=1.0) <= 0:
            raise ValueError(f"inverse_mass_matrix: expected a symmetric, positive definite matrix, found {_short(matrix)}")
    elif not (np.isfinite(matrix) & ((matrix > 0) | (matrix.ndim != 1))).all():
        raise ValueError(f"inverse_mass_matrix: expected finite, positive numbers, found {_short(matrix)}")


def _short(matrix: np.ndarray) -> str:
    return np.array2string(matrix, threshold=16, edgeitems=2, separator=", ").replace("\n", "")


def _check_form(groups: Any, argument: str) -> None:
    """Check that `groups` is a list of tuples of strings."""
    if isinstance(groups, str) or not isinstance(groups, Sequence):
        raise ValueError(f"{argument}: expected True, False or a list of tuples of site names, found {groups!r}")
    for names in groups:
        if isinstance(names, str) or not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{argument}: each block is a tuple of site names, found {names!r}; write ({names!r},)")


def flat_blocks(dimension: int, dense_mass: Any, inverse_mass_matrix: Any) -> Blocks:
    """One block, of a position without sites.

    Raises:
        ValueError: if `dense_mass` names sites, or the inverse mass matrix has the wrong shape.
    """
    if not isinstance(dense_mass, bool):
        raise ValueError(f"dense_mass: with a potential_fn there are no sites to name, found {dense_mass!r}; pass True or False")
    if inverse_mass_matrix is None:
        return Blocks(None, ((dimension, dimension) if dense_mass else (dimension,),), None)
    matrix, is_dense = _checked(inverse_mass_matrix, dimension, dense_mass, "")
    return Blocks(None, ((dimension, dimension) if is_dense else (dimension,),), (matrix,))


def _checked(matrix: Any, size: int, dense: bool, where: str) -> tuple[Any, bool]:
    """A block of the inverse mass matrix, as a matrix where the block is dense, and whether it is."""
    shape = np.shape(matrix)
    if shape not in ((size,), (size, size)):
        raise ValueError(f"inverse_mass_matrix{where}: expected shape {(size,)} (diagonal) or {(size, size)}, found {shape}")
    if len(shape) == 1 and dense:
        return np.diag(np.asarray(matrix)), True
    return matrix, len(shape) == 2


def site_blocks(sizes: Mapping[str, int], dense_mass: Any, inverse_mass_matrix: Any) -> Blocks:
    """The blocks of a model's sites.

    Args:
        sizes: number of unconstrained coordinates of each site.
        dense_mass: True, False, or a list of tuples of sites that are dense together; the others are diagonal.
        inverse_mass_matrix: None, an array in the order of the sorted sites, or a dict from tuples of sites to arrays.

    Raises:
        ValueError: if sites are unknown or named twice, or shapes do not fit.
    """
    if isinstance(inverse_mass_matrix, Mapping):
        return _given_blocks(sizes, dense_mass, inverse_mass_matrix)
    every = tuple(sorted(sizes))
    total = sum(sizes.values())
    if isinstance(dense_mass, bool):
        is_dense, inverse = dense_mass, None
        if inverse_mass_matrix is not None:
            matrix, is_dense = _checked(inverse_mass_matrix, total, dense_mass, "")
            inverse = (matrix,)
        return Blocks((every,), ((total, total) if is_dense else (total,),), inverse)
    if inverse_mass_matrix is not None:
        raise ValueError(
            "inverse_mass_matrix: with dense_mass as a list of blocks, pass a dict from the tuples of names to their matrices, "
            f"found an array of shape {np.shape(inverse_mass_matrix)}"
        )
    groups = _check_groups(sizes, dense_mass, "dense_mass")
    shapes = [(n, n) for n in (sum(sizes[name] for name in names) for names in groups)]
    return _with_rest(sizes, groups, shapes, None)


def _given_blocks(sizes: Mapping[str, int], dense_mass: Any, given: Mapping[Any, Any]) -> Blocks:
    groups = _check_groups(sizes, list(given), "inverse_mass_matrix")
    if not isinstance(dense_mass, bool):
        missing = sorted(set(map(tuple, dense_mass)) - set(groups))
        if missing:
            raise ValueError(f"dense_mass: blocks {missing} are not among those of inverse_mass_matrix, {sorted(groups)}")
    matrices, shapes = [], []
    for names in groups:
        size = sum(sizes[name] for name in names)
        dense = names in map(tuple, dense_mass) if not isinstance(dense_mass, bool) else dense_mass
        matrix, is_dense = _checked(given[names], size, dense, f" of block {names}")
        matrices.append(matrix)
        shapes.append((size, size) if is_dense else (size,))
    return _with_rest(sizes, groups, shapes, matrices)


def _with_rest(sizes: Mapping[str, int], groups: list[tuple[str, ...]], shapes: list[Any], matrices: list[Any] | None) -> Blocks:
    """Add a diagonal block of the sites that no group names."""
    rest = tuple(sorted(set(sizes) - {name for names in groups for name in names}))
    if rest:
        size = sum(sizes[name] for name in rest)
        groups, shapes = [*groups, rest], [*shapes, (size,)]
        matrices = None if matrices is None else [*matrices, np.ones(size)]
    return Blocks(tuple(groups), tuple(shapes), None if matrices is None else tuple(matrices))


def _check_groups(sizes: Mapping[str, int], groups: Any, argument: str) -> list[tuple[str, ...]]:
    _check_form(groups, argument)
    seen: set[str] = set()
    for names in groups:
        for name in names:
            if name not in sizes:
                raise ValueError(f"{argument}: no latent site of the kernel is called {name!r}; they are {sorted(sizes)}")
            if name in seen:
                raise ValueError(f"{argument}: site {name!r} is named in more than one place; each site belongs to one block")
            seen.add(name)
    return [tuple(names) for names in groups]
