"""What the clustering task says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import option
from bench.hookspecs import hookimpl
from bench.specs import Cap, MetricSpec, TaskSpec


@dataclass(frozen=True)
class ClusteringConfig:
    """Options of the clustering task. The grid of resolutions is part of the task's version."""

    n_neighbors: int = option(15, "neighbours of each cell in the graph, itself included", low=2)
    fixed_resolution: float = option(1.0, "Leiden resolution of the headline scores, chosen without labels", low=0.01)
    max_cells: int = option(7500, "subsample larger datasets to so many cells, types in their shares; 0: all", low=0)
    label_fraction: float = option(0.5, "labels shown to a label-aware model; the others count", low=0.01, high=0.9)


TASK = TaskSpec(
    name="clustering",
    summary="Do cells of one type lie together in the embedding? Leiden and k-means against labels, and silhouettes.",
    target="bench_clustering.task:Clustering",
    needs=Cap.EMBEDS_CELLS,
    obs=("cell_type",),
    metrics=(
        MetricSpec("avg_bio", "mean of NMI, ARI and ASW", reference="doi:10.1186/s13059-025-03574-x"),
        MetricSpec("nmi", "normalised mutual information of Leiden clusters and labels"),
        MetricSpec("ari", "adjusted Rand index of Leiden clusters and labels", lower=-0.5),
        MetricSpec("asw", "silhouette width of the labels, rescaled to 0..1"),
    ),
    main_metric="avg_bio",
    baselines=("hvg", "pca"),
    default_dataset="pbmc68k",
    floor="random-embedding",
    config=ClusteringConfig,
    version="1",
    reference="doi:10.1186/s13059-025-03574-x",
)


@hookimpl
def bench_tasks() -> list[TaskSpec]:
    """The clustering task."""
    return [TASK]
