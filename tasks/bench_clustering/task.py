"""The clustering task: an embedding of all cells, clustered without labels and compared with them.

After Kedzierska et al. 2025 (doi:10.1186/s13059-025-03574-x), who choose the resolution by the labels.
Here the headline is one resolution fixed beforehand; the best of the grid stands beside it as what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench import transductive
from bench.metrics.clustering import RESOLUTIONS, agreement, best_by_nmi, kmeans, leiden
from bench.metrics.graph import umap_graph
from bench.metrics.measure import Measured, measured
from bench.metrics.neighbors import exact_neighbors
from bench.metrics.silhouette import rescaled_by_label, silhouettes
from bench.tasks import Exam, MakeModel, Output, Score, Truth
from bench_clustering.plugin import TASK, ClusteringConfig

if TYPE_CHECKING:
    import anndata as ad

MINIMUM = 50
"""Fewer cells make no neighbourhoods to speak of."""
SEED = 0
"""Of the clusterings; not the model's."""
NAMES = tuple(metric.name for metric in TASK.metrics)
JITTER = 0.01
RANDOM_WIDTH = 50


class Clustering:
    """Embeds all cells and compares clusters with labels.

    A label-aware model is shown the labels of a seeded fraction; the clusters are made of all cells and
    compared on the others.
    """

    def __init__(self, config: ClusteringConfig) -> None:
        self._config = config

    def folds(self, data: ad.AnnData) -> list[str]:
        """One fold; raises `BadInput` below 50 cells or 2 types."""
        transductive.check_labels(data, TASK.name, MINIMUM)
        return [transductive.FOLD]

    def split(self, data: ad.AnnData, fold: str, split_seed: int, *, label_aware: bool = False) -> tuple[Exam, Truth]:
        """The exam shows counts, and a fraction of the labels to a label-aware model; nothing else."""
        transductive.check_fold(fold)
        self.folds(data)
        choice = transductive.choose(
            data,
            seed=split_seed,
            max_cells=self._config.max_cells,
            label_fraction=self._config.label_fraction,
            label_aware=label_aware,
        )
        exam = transductive.exam_of(data, choice, {}, label_aware)
        return exam, transductive.truth_of(exam, choice, {})

    def sit(self, make_model: MakeModel, exam: Exam) -> Output:
        """Fit on all cells, embed all cells."""
        return transductive.embed_all(make_model, exam)

    def score(self, output: Output, truth: Truth) -> list[Score]:
        """Compare clusters with labels: at the fixed resolution, at the best one, and by k-means."""
        x = transductive.aligned(output, truth)
        labels = truth.obs["cell_type"].to_numpy(dtype=object)
        scored = truth.obs["scored"].to_numpy(dtype=bool)
        known = labels[scored].astype(str)
        if not 2 <= len(np.unique(known)) < len(known):
            return transductive.as_scores([measured(name, None, len(known)) for name in NAMES], TASK.version)
        asw = _silhouette(x[scored], known)
        fixed, best = self._leiden(x, known, scored)
        by_kmeans = kmeans(x, len(np.unique(known)), SEED)
        return [
            *_rows([*_compare(fixed[scored], known, asw), asw], {}),
            *_rows(_compare(best[scored], known, asw), {"resolution": "best"}),
            *_rows(_compare(by_kmeans[scored], known, asw), {"clustering": "kmeans"}),
        ]

    def controls(self, exam: Exam, truth: Truth, split_seed: int) -> dict[str, Output]:
        """Floors: random vectors, and labels handed to the wrong cells. Ceiling: the labels themselves."""
        rng = np.random.default_rng(split_seed)
        labels = truth.obs["cell_type"].to_numpy(dtype=object)
        solution = transductive.one_hot(labels, JITTER, split_seed)
        embeddings = {
            "random-embedding": rng.normal(size=(len(truth.rows), RANDOM_WIDTH)).astype(np.float32),
            "shuffled-labels": rng.permutation(solution),
            "one-hot-labels": solution,
        }
        return {name: Output(truth.rows, {transductive.EMBEDDING: x}) for name, x in embeddings.items()}

    def _leiden(self, x: np.ndarray, known: np.ndarray, scored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Clusters of all cells at the fixed resolution, and at the one of the grid that fits the labels best."""
        graph = umap_graph(exact_neighbors(x, min(self._config.n_neighbors, len(x))))
        fixed, *grid = leiden(graph, (self._config.fixed_resolution, *RESOLUTIONS), SEED)
        return fixed, grid[best_by_nmi(known, [clusters[scored] for clusters in grid])]


def _silhouette(x: np.ndarray, labels: np.ndarray) -> Measured:
    widths = silhouettes(x, labels)
    return measured("asw", (widths.mean() + 1) / 2, len(x), rescaled_by_label(widths, labels), "class")


def _compare(clusters: np.ndarray, known: np.ndarray, asw: Measured) -> list[Measured]:
    nmi, ari = agreement(known, clusters)
    average = None if asw.value is None else (nmi + ari + asw.value) / 3
    return [measured("avg_bio", average, asw.n), measured("nmi", nmi, asw.n), measured("ari", ari, asw.n)]


def _rows(found: list[Measured], part: dict[str, str]) -> list[Score]:
    return transductive.as_scores(found, TASK.version, part)
