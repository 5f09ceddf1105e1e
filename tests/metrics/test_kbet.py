"""kBET where many eigenvalues are the same, so that the sparse solver gives up: small labels of cells all alike."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from bench.metrics import kbet


def alike(n: int = 40, hubs: int = 36) -> sparse.csr_matrix:
    """A graph of cells that are all neighbours of each other, but for a few."""
    graph = np.zeros((n, n), dtype=np.float32)
    graph[:hubs], graph[:, :hubs] = 1, 1
    np.fill_diagonal(graph, 0)
    return sparse.csr_matrix(graph)


def test_a_diffusion_map_that_the_sparse_solver_gives_up_is_made_all_the_same() -> None:
    graph = alike()
    found = kbet._diffusion_map(graph, 9)
    assert found.shape == (40, 9)
    assert np.isfinite(found).all()
    assert np.array_equal(found, kbet._diffusion_map(graph, 9))


def test_batches_that_take_turns_in_such_a_label_are_mixed() -> None:
    rates = kbet.kbet_by_label(alike(), np.array(["a", "b"] * 20), np.full(40, "T"))
    assert rates["T"] > 0.9
