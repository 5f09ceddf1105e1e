"""kBET inside each label: do the batches of a cell's neighbours look like the batches of its label?

Definition of scib-metrics 0.5.10 `kbet_per_label` (after Büttner et al. 2019, doi:10.1038/s41592-018-0254-1,
and Luecken et al. 2022). Computed here because that library compiles a kernel for every label and starts
its eigensolver at random: with exact neighbours, a fixed start and float64 the value is reproducible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.neighbors import exact_neighbors

if TYPE_CHECKING:
    from scipy import sparse

ALPHA = 0.05
"""Significance level of the chi-square test."""
COMPONENTS = 100
"""Diffusion components."""
USABLE = 0.75
"""Share of a label's cells that must lie in connected components large enough to test."""


def kbet_by_label(graph: sparse.csr_matrix, batches: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Share of cells of each label that pass the test, in [0, 1]; 1 = batches mix perfectly.

    Parameters
    ----------
    graph
        (n, n) connectivities of the 50 nearest neighbours, see `umap_graph`.
    batches, labels
        (n,) each.

    Returns
    -------
    Label -> acceptance rate. Labels with fewer than 10 cells or a single batch are left out; 0 where too
    few cells are connected.
    """
    rates: dict[str, float] = {}
    components = COMPONENTS
    for name in np.unique(labels):
        members = np.flatnonzero(labels == name)
        batch = batches[members]
        if len(members) < 10 or len(np.unique(batch)) == 1:
            continue
        k = _neighborhood_size(batch)
        inside = graph[members][:, members]
        kept = _connected(inside, 3 * k)
        if len(kept) < USABLE * len(members):
            rates[str(name)] = 0.0
            continue
        # as in the library, a small label lowers the number for the labels that follow it in the alphabet
        components = min(components, len(kept) - 1)
        rates[str(name)] = _acceptance(_diffusion_map(inside[kept][:, kept], components), batch[kept], k)
    return rates


def _neighborhood_size(batch: np.ndarray) -> int:
    mean = np.unique(batch, return_counts=True)[1].mean()
    return int(np.clip(np.floor(mean / 4), 10, 70))


def _connected(graph: sparse.csr_matrix, smallest: int) -> np.ndarray:
    """Cells of a connected graph, else those of components with at least `smallest` cells."""
    from scipy.sparse.csgraph import connected_components

    count, component = connected_components(graph, connection="strong")
    if count == 1:
        return np.arange(len(component))
    return np.flatnonzero(np.bincount(component)[component] >= smallest)


def _diffusion_map(graph: sparse.csr_matrix, components: int) -> np.ndarray:
    """Diffusion coordinates (n, components) of a graph (Coifman et al. 2005; Haghverdi et al. 2016)."""
    from scipy import sparse

    degree = np.asarray(graph.sum(axis=0), dtype=np.float64).ravel()
    kernel = sparse.diags(1 / degree) @ graph @ sparse.diags(1 / degree)
    scale = sparse.diags(1 / np.sqrt(np.asarray(kernel.sum(axis=0)).ravel()))
    values, vectors = _leading((scale @ kernel @ scale).tocsr(), components)
    # the leading eigenvalue is 1, and computed in float64 it rounds to exactly that in float32. The library
    # computes in float32: where its eigenvalue misses 1 by a rounding, that component outweighs all others
    values = values.astype(np.float32) + np.float32(1e-8)
    with np.errstate(divide="ignore"):
        weights = np.where(values == 1, 1, values / (1 - values))
    return vectors.astype(np.float32) * weights


def _leading(matrix: sparse.csr_matrix, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of largest magnitude and their vectors (n, count).

    The solver gives up where many eigenvalues are the same, as of a small label whose cells are all neighbours; then
    all are computed.
    """
    from scipy.sparse.linalg import ArpackError, eigsh
    from threadpoolctl import threadpool_limits

    start = np.random.default_rng(0).normal(size=matrix.shape[0])
    with threadpool_limits(1):  # the solver's vectors are short: threads would only wait for each other
        try:
            return eigsh(matrix, k=count, which="LM", v0=start)
        except ArpackError:
            values, vectors = np.linalg.eigh(matrix.toarray())
    largest = np.argsort(-np.abs(values), kind="stable")[:count]
    return values[largest], vectors[:, largest]


def _acceptance(x: np.ndarray, batch: np.ndarray, k: int) -> float:
    from scipy.stats import chi2

    found = exact_neighbors(x, min(k + 1, len(x))).indices
    _, code, size = np.unique(batch, return_inverse=True, return_counts=True)
    expected = size / size.sum() * found.shape[1]
    observed = np.stack([(code[found] == one).sum(axis=1) for one in range(len(size))], axis=1)
    statistic = ((observed - expected) ** 2 / expected).sum(axis=1)
    return float((chi2.sf(statistic, len(size) - 1) >= ALPHA).mean())
