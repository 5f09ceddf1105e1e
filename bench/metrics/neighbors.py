"""Exact nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Neighbors:
    """The nearest cells of each cell, itself first."""

    indices: np.ndarray
    """(n, k) int32, ascending in distance."""
    distances: np.ndarray
    """(n, k) float32, euclidean; the first column is 0."""

    def first(self, k: int) -> Neighbors:
        """The k nearest of these (the cell itself counts)."""
        return Neighbors(np.ascontiguousarray(self.indices[:, :k]), np.ascontiguousarray(self.distances[:, :k]))


def exact_neighbors(x: np.ndarray, k: int, seed: int = 0) -> Neighbors:
    """Find the k nearest neighbours of every cell by comparing all pairs (scikit-learn).

    Exact at every size: approximate search is neither reproducible between machines nor needed below some
    hundred thousand cells. Cells at equal distance are taken in a seeded random order, because the order of
    a file often follows batches or types.

    Parameters
    ----------
    x
        (n, d) vectors.
    k
        Neighbours per cell, itself included; at most n.
    seed
        Of the order among equal distances.
    """
    from sklearn.neighbors import NearestNeighbors

    order = np.random.default_rng(seed).permutation(len(x))
    centred = (x - x.mean(axis=0, dtype=np.float64)).astype(np.float32)  # keeps x.y - x.x/2 from cancelling
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(centred[order])
    distances, found = search.kneighbors(centred)
    return _self_first(order[found].astype(np.int32), distances.astype(np.float32))


def _self_first(indices: np.ndarray, distances: np.ndarray) -> Neighbors:
    """Put each cell before its neighbours: where many are equal, the search may have left it out."""
    own = np.arange(len(indices), dtype=indices.dtype)
    is_self = indices == own[:, None]
    absent = ~is_self.any(axis=1)
    indices[absent, -1] = own[absent]
    is_self[absent, -1] = True
    order = np.argsort(~is_self, axis=1, kind="stable")
    distances = np.take_along_axis(distances, order, axis=1)
    distances[:, 0] = 0
    return Neighbors(np.take_along_axis(indices, order, axis=1), distances)
