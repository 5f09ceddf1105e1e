"""Nearest neighbours: exact, the cell itself first, equal distances not in file order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.spatial.distance import cdist
from umap.umap_ import fuzzy_simplicial_set

from bench.metrics.graph import umap_graph
from bench.metrics.neighbors import exact_neighbors


@settings(deadline=None, max_examples=30)
@given(st.integers(6, 40), st.integers(1, 5), st.floats(-1e3, 1e3), st.integers(0, 2**32 - 1))
def test_neighbours_are_those_of_all_pairs(n: int, k: int, offset: float, seed: int) -> None:
    x = (np.random.default_rng(seed).normal(size=(n, 3)) + offset).astype(np.float32)
    found = exact_neighbors(x, k)
    exact = np.sort(cdist(x, x), axis=1)[:, :k]
    np.testing.assert_allclose(found.distances, exact, atol=1e-4)
    assert (found.indices[:, 0] == np.arange(n)).all()


def test_a_cell_is_its_own_first_neighbour_also_among_duplicates() -> None:
    found = exact_neighbors(np.zeros((200, 4), dtype=np.float32), 15)
    assert (found.indices[:, 0] == np.arange(200)).all()
    assert all(len(set(row)) == 15 for row in found.indices)


def test_equal_distances_are_not_taken_in_file_order() -> None:
    found = exact_neighbors(np.zeros((1000, 2), dtype=np.float32), 90)
    assert found.indices[:, 1:].mean() > 300


def test_the_graph_works_above_8192_cells() -> None:
    """Where scanpy's default search fails with pynndescent 0.7 and scipy 1.17."""
    x = np.random.default_rng(0).normal(size=(8300, 5)).astype(np.float32)
    graph = umap_graph(exact_neighbors(x, 15))
    assert graph.shape == (8300, 8300)
    assert abs(graph - graph.T).max() == 0
    assert 0 < graph.data.min() <= graph.data.max() <= 1


def test_the_graph_is_that_of_umap() -> None:
    rng = np.random.default_rng(0)
    clouds = [rng.normal(size=(300, 10)), np.repeat(rng.normal(size=(30, 10)), 10, axis=0), np.zeros((100, 10))]
    for x in clouds:
        found = exact_neighbors(x.astype(np.float32), 15)
        theirs, *_ = fuzzy_simplicial_set(
            sparse.coo_matrix((len(x), 1)), 15, None, None, knn_indices=found.indices, knn_dists=found.distances
        )
        assert abs(umap_graph(found) - theirs).max() < 1e-5
