"""The weighted neighbour graph of UMAP, on which clusterings and kBET work.

The definition of umap-learn (`smooth_knn_dist`, `compute_membership_strengths`, fuzzy union; McInnes et al. 2018,
doi:10.48550/arXiv.1802.03426), which scanpy and scib-metrics use. Computed here in whole arrays, as that library
compiles for several seconds in every new process; `tests/metrics` holds the weights equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.neighbors import Neighbors

if TYPE_CHECKING:
    from scipy import sparse

STEPS, TOLERANCE = 64, 1e-5
"""Of the bisection."""
SMALLEST = 1e-3
"""Smallest bandwidth, as a share of the mean distance."""


def umap_graph(neighbors: Neighbors) -> sparse.csr_matrix:
    """Weighted, symmetric graph of a neighbour list.

    Returns
    -------
    float32 (n, n): the fuzzy union a + b - ab of the weights that two cells give each other. A cell gives its
    nearest other cell 1 and the others exp(-(d - d_nearest) / bandwidth).
    """
    from scipy import sparse

    distances, indices = neighbors.distances, neighbors.indices
    n, k = indices.shape
    nearest = _nearest(distances)
    gap = np.maximum(distances - nearest[:, None], 0)
    weights = np.exp(-gap / _bandwidths(distances, gap, nearest)[:, None]).astype(np.float32)
    weights[:, 0] = 0  # a cell is not its own neighbour
    given = sparse.csr_matrix((weights.ravel(), indices.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    given.eliminate_zeros()
    received = given.T.tocsr()
    graph = sparse.csr_matrix(given + received - given.multiply(received))
    graph.eliminate_zeros()
    return graph


def _nearest(distances: np.ndarray) -> np.ndarray:
    """Distance (n,) to the nearest cell that does not coincide; 0 where all do."""
    nearest = np.where(distances > 0, distances, np.inf).min(axis=1)
    return np.where(np.isfinite(nearest), nearest, 0).astype(np.float32)


def _bandwidths(distances: np.ndarray, gap: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Bandwidths (n,) with which the weights of each cell's neighbours sum to log2(k)."""
    target = np.log2(distances.shape[1])
    others = gap[:, 1:].astype(np.float64)
    low, high, middle = np.zeros(len(gap)), np.full(len(gap), np.inf), np.ones(len(gap))
    searching = np.arange(len(gap))
    for _ in range(STEPS):
        total = np.exp(-others[searching] / middle[searching, None]).sum(axis=1)
        unsettled = np.abs(total - target) >= TOLERANCE
        searching, total = searching[unsettled], total[unsettled]
        if not len(searching):
            break
        wide, narrow = searching[total > target], searching[total <= target]
        high[wide], low[narrow] = middle[wide], middle[narrow]
        bounded = np.isfinite(high[searching])
        doubled, halved = searching[~bounded], searching[bounded]
        middle[doubled] *= 2
        middle[halved] = (low[halved] + high[halved]) / 2
    # where every neighbour coincides with the cell, its own mean says nothing of the scale
    scale = np.where(nearest > 0, distances.mean(axis=1), distances.mean())
    floor = SMALLEST * scale
    return np.maximum(np.maximum(middle, floor), np.finfo(np.float32).tiny).astype(np.float32)
