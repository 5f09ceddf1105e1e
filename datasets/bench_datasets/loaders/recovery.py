"""Integer counts behind log1p of counts per 10,000, where they can be had exactly.

A cell with counts c_g and total T was stored as x_g = ln(1 + 10,000 c_g / T). Hence expm1(x_g) is proportional
to c_g, and the smallest of a cell's non-zero values stands for its smallest count, nearly always 1. Dividing by
it and multiplying by that count gives all counts. A cell passes only if every one comes out integer within what
float32 allows, and if its values add up to 10,000: else values are missing, or were never counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET_SUM = 1e4
SMALLEST = range(1, 6)
"""What the smallest count of a cell may be; tried in this order."""
_ABSOLUTE, _RELATIVE, _LARGEST = 1e-3, 3e-6, 0.1
"""Allowed distance of a count c from an integer: 1e-3 + 3e-6 c, at most 0.1. float32 rounds each of scaling,
logarithm and storage by up to 6e-8 of x <= 9.2, which expm1 turns into up to 2e-6 of c."""
_SUM = 1e-4
"""Allowed relative distance of a cell's sum from 10,000."""


def recovered(normalised: sparse.csr_matrix, target_sum: float = TARGET_SUM) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Counts of every cell, and which of them are exact.

    Parameters
    ----------
    normalised
        (n_cells, n_genes) float32, log1p of counts per `target_sum`, all genes the sum was taken over.
    target_sum
        What the values of a cell add up to before the logarithm.

    Returns
    -------
    CSR float32 (n_cells, n_genes), and bool (n_cells,): False where no integers were found; such rows mean nothing.
    An empty cell is exact.
    """
    matrix = sparse.csr_matrix(normalised, dtype=np.float64, copy=True)
    matrix.eliminate_zeros()
    values = np.expm1(matrix.data)
    sizes = np.diff(matrix.indptr)
    filled = sizes > 0
    starts = matrix.indptr[:-1][filled]
    per_value = np.repeat(np.arange(int(filled.sum())), sizes[filled])
    exact = np.zeros(int(filled.sum()), dtype=bool)
    counts = np.zeros(len(values))
    if len(values):
        smallest = np.minimum.reduceat(values, starts)
        whole_cell = np.abs(np.add.reduceat(values, starts) / target_sum - 1) < _SUM
        candidates = whole_cell & (smallest > 0)
        ratios = values / np.where(smallest > 0, smallest, 1)[per_value]
        exact = _settle(ratios, per_value, starts, candidates, SMALLEST, counts)
    passed = np.ones(matrix.shape[0], dtype=bool)
    passed[filled] = exact
    found = sparse.csr_matrix((counts.astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)
    return found, passed


def _settle(
    ratios: np.ndarray, cell: np.ndarray, starts: np.ndarray, candidates: np.ndarray, smallest: Sequence[int],
    counts: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Fill in the counts of the cells for which some smallest count makes all of them integers."""
    exact = np.zeros(len(starts), dtype=bool)
    for factor in smallest:
        scaled = ratios * factor
        whole = np.rint(scaled)
        fits = np.abs(scaled - whole) <= np.minimum(_ABSOLUTE + _RELATIVE * whole, _LARGEST)
        new = np.logical_and.reduceat(fits, starts) & candidates & ~exact
        counts[new[cell]] = whole[new[cell]]
        exact |= new
    return exact
