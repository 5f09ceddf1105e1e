"""The integration metrics of scIB (Luecken et al. 2022, doi:10.1038/s41592-021-01336-8).

One call measures everything; whoever replaces the engine replaces this module. The definitions are those of
scib-metrics 0.5.10. That library computes LISI and starts k-means; what it would compile anew for every
dataset, or search approximately, is computed here by equal formulas (`tests/metrics/test_scib.py` holds
them equal). A metric that is not defined is None, where the library returns NaN or a plausible number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.clustering import RESOLUTIONS, agreement, best_by_nmi, leiden
from bench.metrics.graph import umap_graph
from bench.metrics.kbet import kbet_by_label
from bench.metrics.measure import Measured, measured
from bench.metrics.neighbors import Neighbors, exact_neighbors
from bench.metrics.silhouette import batch_silhouette, bras, rescaled_by_label, silhouettes

if TYPE_CHECKING:
    from scipy import sparse

NEIGHBORS, KBET_NEIGHBORS, GRAPH_NEIGHBORS = 90, 50, 15
"""Neighbourhoods of LISI, of kBET, and of the cluster graph, the cell itself included."""
LEIDEN_SEED = 42
METRICS = (
    *("isolated_labels", "nmi_leiden", "ari_leiden", "nmi_kmeans", "ari_kmeans", "silhouette_label", "clisi"),
    *("bras", "ilisi", "kbet", "graph_connectivity", "pcr_comparison", "silhouette_batch"),
)


def integration_metrics(
    embedding: np.ndarray,
    labels: np.ndarray,
    batches: np.ndarray,
    unintegrated: np.ndarray,
    scored: np.ndarray | None = None,
) -> list[Measured]:
    """Measure how well batches are mixed and biology is kept.

    Parameters
    ----------
    embedding
        (n, d) vectors of all cells.
    labels
        (n,) cell types; read only where `scored`.
    batches
        (n,) batches.
    unintegrated
        (n, d') the same cells before integration, for the principal component regression.
    scored
        bool (n,), the cells whose labels count (those a model has not seen); None means all. Everything
        that reads a label is measured on them; `ilisi` and `pcr_comparison` on all cells. Clusterings are
        made of all cells and compared on these.

    Returns
    -------
    One value for each of `METRICS`, in that order. All are None for an embedding that is constant or holds
    a value that is not finite.
    """
    scored = np.ones(len(embedding), dtype=bool) if scored is None else scored
    known = _Cells(embedding[scored], labels[scored].astype(str), batches[scored].astype(str))
    if not (_usable(embedding) and _usable(known.x)):
        return [measured(name, None, len(known.x)) for name in METRICS]
    everyone = known if scored.all() else _Cells(embedding, labels, batches.astype(str))
    found = [
        *_label_silhouettes(known),
        *_leiden_agreement(everyone, labels, scored),
        *_kmeans_agreement(everyone, labels, scored),
        _clisi(known),
        *_batch_silhouettes(known),
        _ilisi(everyone),
        _kbet(known),
        _connectivity(known),
        measured("pcr_comparison", pcr_comparison(unintegrated, embedding, everyone.batches), len(embedding)),
    ]
    return sorted(found, key=lambda one: METRICS.index(one.metric))


@dataclass(frozen=True)
class _Cells:
    """Cells with what several metrics need of them, computed once."""

    x: np.ndarray
    labels: np.ndarray
    batches: np.ndarray

    @property
    def n(self) -> int:
        return len(self.x)

    @property
    def n_labels(self) -> int:
        return len(np.unique(self.labels))

    @cached_property
    def neighbors(self) -> Neighbors | None:
        """None where there are too few cells for the neighbourhoods to be local."""
        return exact_neighbors(self.x, NEIGHBORS) if self.n > NEIGHBORS else None

    def graph(self, k: int) -> sparse.csr_matrix | None:
        return umap_graph(self.neighbors.first(k)) if self.neighbors is not None else None


def lisi(neighbors: Neighbors, groups: np.ndarray) -> np.ndarray:
    """Local inverse Simpson index (n,): how many groups a neighbourhood effectively holds (Korsunsky et al. 2019).

    NaN where a cell is so far from its neighbours that their weights vanish.
    """
    from scib_metrics import lisi_knn
    from scib_metrics.nearest_neighbors import NeighborsResults

    values = np.asarray(lisi_knn(NeighborsResults(indices=neighbors.indices, distances=neighbors.distances), groups))
    return np.where(values > 0, values, np.nan)  # the library marks vanishing weights by -1


def pcr(x: np.ndarray, batches: np.ndarray) -> float | None:
    """Share of variance that the batch explains (Büttner et al. 2019), None where there is no variance.

    The R2 of the batch on each principal component, weighted by the component's variance, is the sum of
    squares between batches over the total when all components are kept: no decomposition is needed.
    """
    centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    total = float((centred**2).sum())
    if not total:
        return None
    _, code, size = np.unique(batches, return_inverse=True, return_counts=True)
    sums = np.zeros((len(size), x.shape[1]))
    np.add.at(sums, code, centred)
    return float(((sums**2).sum(axis=1) / size).sum() / total)


def pcr_comparison(before: np.ndarray, after: np.ndarray, batches: np.ndarray) -> float | None:
    """Share of the batch's variance that integration removed: max(0, (before - after) / before)."""
    first, second = pcr(before, batches), pcr(after, batches)
    if first is None or second is None or first < 1e-9 or len(np.unique(batches)) < 2:
        return None
    return max(0.0, (first - second) / first)


def isolated(labels: np.ndarray, batches: np.ndarray) -> list[str]:
    """Labels that occur in the fewest batches; all of them where every label is in every batch."""
    counts = {str(name): len(np.unique(batches[labels == name])) for name in np.unique(labels)}
    return [name for name, count in counts.items() if count == min(counts.values())]


def _label_silhouettes(cells: _Cells) -> list[Measured]:
    if not 2 <= cells.n_labels < cells.n:
        return [measured(name, None, cells.n) for name in ("silhouette_label", "isolated_labels")]
    widths = silhouettes(cells.x, cells.labels)
    by_label = rescaled_by_label(widths, cells.labels)
    # a label with a single cell has no silhouette; the library would call its 0.5 the score
    paired = np.isin(cells.labels, [name for name in by_label if (cells.labels == name).sum() > 1])
    few = {name: by_label[name] for name in isolated(cells.labels[paired], cells.batches[paired])}
    return [
        measured("silhouette_label", (widths.mean() + 1) / 2, cells.n, by_label, "class"),
        measured("isolated_labels", np.mean(list(few.values())) if few else None, cells.n, few, "class"),
    ]


def _leiden_agreement(cells: _Cells, labels: np.ndarray, scored: np.ndarray) -> list[Measured]:
    graph = cells.graph(GRAPH_NEIGHBORS)
    known = labels[scored].astype(str)
    if graph is None or len(np.unique(known)) < 2:
        return _agreement("leiden", None, known)
    clusterings = [clusters[scored] for clusters in leiden(graph, RESOLUTIONS, LEIDEN_SEED)]
    return _agreement("leiden", clusterings[best_by_nmi(known, clusterings)], known)


def _kmeans_agreement(cells: _Cells, labels: np.ndarray, scored: np.ndarray) -> list[Measured]:
    known = labels[scored].astype(str)
    k = len(np.unique(known))
    clusters = _library_kmeans(cells.x, k)[scored] if 2 <= k < cells.n else None
    return _agreement("kmeans", clusters, known)


def _library_kmeans(x: np.ndarray, k: int) -> np.ndarray:
    """k-means from the library's starting centroids, run to convergence.

    The library makes at least 300 steps and compiles them for every call; started from the same centroids,
    scikit-learn arrives at the same clusters.
    """
    import jax
    from scib_metrics.utils import KMeans
    from sklearn.cluster import KMeans as Lloyd

    start = KMeans(k)
    centred = np.ascontiguousarray(x, dtype=np.float32)
    centred = centred - centred.mean(axis=0)
    centroids = start._initialize(centred, k, jax.random.split(start.seed, 1)[0])
    lloyd = Lloyd(k, init=np.array(centroids), n_init=1, tol=0, max_iter=1000)  # pyright: ignore[reportArgumentType]
    return lloyd.fit_predict(centred)


def _agreement(kind: str, clusters: np.ndarray | None, labels: np.ndarray) -> list[Measured]:
    nmi, ari = (None, None) if clusters is None else agreement(labels, clusters)
    return [measured(f"nmi_{kind}", nmi, len(labels)), measured(f"ari_{kind}", ari, len(labels))]


def _clisi(cells: _Cells) -> Measured:
    k = cells.n_labels
    if cells.neighbors is None or k < 2:
        return measured("clisi", None, cells.n)
    values = lisi(cells.neighbors, cells.labels)
    units = {name: (k - v) / (k - 1) for name, v in _medians(values, cells.labels).items()}
    return measured("clisi", (k - _median(values)) / (k - 1), cells.n, units, "class")


def _ilisi(cells: _Cells) -> Measured:
    k = len(np.unique(cells.batches))
    if cells.neighbors is None or k < 2:
        return measured("ilisi", None, cells.n)
    values = lisi(cells.neighbors, cells.batches)
    units = {name: (v - 1) / (k - 1) for name, v in _medians(values, cells.batches).items()}
    return measured("ilisi", (_median(values) - 1) / (k - 1), cells.n, units, "batch")


def _batch_silhouettes(cells: _Cells) -> list[Measured]:
    pairs = (("bras", bras), ("silhouette_batch", batch_silhouette))
    return [measured(name, *_with_n(fn(cells.x, cells.labels, cells.batches), cells.n), "batch") for name, fn in pairs]


def _with_n(result: tuple[float | None, dict[str, float]], n: int) -> tuple[float | None, int, dict[str, float]]:
    return result[0], n, result[1]


def _kbet(cells: _Cells) -> Measured:
    graph = cells.graph(KBET_NEIGHBORS)
    rates = {} if graph is None else kbet_by_label(graph, cells.batches, cells.labels)
    return measured("kbet", np.mean(list(rates.values())) if rates else None, cells.n, rates, "class")


def _connectivity(cells: _Cells) -> Measured:
    """Share of each label's cells in its largest strongly connected component of the 15-neighbour graph."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    if cells.neighbors is None:
        return measured("graph_connectivity", None, cells.n)
    near = cells.neighbors.first(GRAPH_NEIGHBORS)
    rows = np.repeat(np.arange(cells.n), GRAPH_NEIGHBORS)
    columns = near.indices.ravel()
    # edges of length 0 are no edges to the library's graph routine
    kept = (cells.labels[rows] == cells.labels[columns]) & (near.distances.ravel() > 0)
    graph = sparse.csr_matrix((np.ones(kept.sum()), (rows[kept], columns[kept])), shape=(cells.n, cells.n))
    component = connected_components(graph, connection="strong")[1]
    units = {}
    for name in np.unique(cells.labels):
        inside = component[cells.labels == name]
        units[str(name)] = np.unique(inside, return_counts=True)[1].max() / len(inside)
    return measured("graph_connectivity", np.mean(list(units.values())), cells.n, units, "class")


def _median(values: np.ndarray) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else np.nan


def _medians(values: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    return {str(name): _median(values[groups == name]) for name in np.unique(groups)}


def _usable(x: np.ndarray) -> bool:
    return len(x) > 1 and bool(np.isfinite(x).all()) and bool((x != x[0]).any())
