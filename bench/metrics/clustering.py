"""Clusterings of an embedding and their agreement with labels."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

RESOLUTIONS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
"""The grid of scIB (Luecken et al. 2022): a score at the best resolution depends on it, so it is fixed."""


def leiden(graph: sparse.csr_matrix, resolutions: Sequence[float], seed: int) -> list[np.ndarray]:
    """Leiden communities (igraph, modularity) at each resolution.

    Parameters
    ----------
    graph
        (n, n) symmetric weights, see `umap_graph`.
    resolutions
        Larger values give more clusters.
    seed
        The same for every resolution.

    Returns
    -------
    One int array (n,) per resolution.
    """
    import igraph

    # both directions of an edge become two parallel edges, as in scanpy and scib-metrics
    edges = igraph.Graph.Weighted_Adjacency(graph, mode="directed")
    edges.to_undirected(mode="each")
    found = []
    try:
        for resolution in resolutions:
            igraph.set_random_number_generator(random.Random(seed))  # noqa: S311 - not cryptography
            communities = edges.community_leiden("modularity", weights="weight", resolution=resolution)
            found.append(np.asarray(communities.membership))
    finally:
        igraph.set_random_number_generator(random)
    return found


def kmeans(x: np.ndarray, k: int, seed: int, n_init: int = 10) -> np.ndarray:
    """Clusters (n,) of the best of `n_init` k-means runs (scikit-learn, k-means++)."""
    from sklearn.cluster import KMeans

    # scikit-learn's inferred types know only the string a parameter defaults to
    return KMeans(k, n_init=n_init, random_state=seed).fit_predict(x)  # pyright: ignore[reportArgumentType]


def agreement(labels: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """Normalised mutual information (arithmetic mean of entropies) and adjusted Rand index."""
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    return float(normalized_mutual_info_score(labels, clusters)), float(adjusted_rand_score(labels, clusters))


def best_by_nmi(labels: np.ndarray, clusterings: Sequence[np.ndarray]) -> int:
    """Position of the clustering, each (n,), that shares most information with the labels (n,)."""
    return int(np.argmax([agreement(labels, clusters)[0] for clusters in clusterings]))
