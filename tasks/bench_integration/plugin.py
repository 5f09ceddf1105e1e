"""What the integration task says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import option
from bench.hookspecs import hookimpl
from bench.metrics.engine import engine
from bench.specs import Cap, MetricSpec, TaskSpec

ENGINE = engine()


@dataclass(frozen=True)
class IntegrationConfig:
    """Options of the integration task."""

    max_cells: int = option(0, "subsample larger datasets to so many cells, types in their shares; 0: all", low=0)
    label_fraction: float = option(0.5, "labels shown to a label-aware model; the others count", low=0.01, high=0.9)


def _metric(name: str, group: str, summary: str, reference: str = "", lower: float = 0.0) -> MetricSpec:
    """Shuffled cells are perfectly mixed, so what measures mixing starts from no integration instead."""
    floor = "no-integration" if group == "batch" else "shuffle"
    return MetricSpec(name, summary, version=ENGINE, lower=lower, group=group, floor=floor, reference=reference)


TASK = TaskSpec(
    name="integration",
    summary="Are batches mixed while cell types stay apart? All metrics of scIB.",
    target="bench_integration.task:Integration",
    needs=Cap.EMBEDS_CELLS,
    obs=("batch", "cell_type"),
    shows=("batch",),
    metrics=(
        _metric("isolated_labels", "bio", "silhouette width of the labels found in the fewest batches, 0..1"),
        _metric("nmi_leiden", "bio", "NMI of Leiden clusters and labels at the best resolution of the grid"),
        _metric("ari_leiden", "bio", "adjusted Rand index of the same clusters", lower=-0.5),
        _metric("nmi_kmeans", "bio", "NMI of k-means clusters and labels, k = number of labels"),
        _metric("ari_kmeans", "bio", "adjusted Rand index of the same clusters", lower=-0.5),
        _metric("silhouette_label", "bio", "silhouette width of the labels, 0..1"),
        _metric("clisi", "bio", "purity of neighbourhoods: 1 = one label each", "doi:10.1038/s41592-019-0619-0"),
        _metric("bras", "batch", "silhouette of batches inside labels: 1 = mixed", "doi:10.1038/s41587-025-02743-4"),
        _metric("ilisi", "batch", "batches per neighbourhood: 1 = all of them", "doi:10.1038/s41592-019-0619-0"),
        _metric("kbet", "batch", "cells whose neighbours have their label's batches", "doi:10.1038/s41592-018-0254-1"),
        _metric("graph_connectivity", "batch", "share of each label in one connected piece of the graph"),
        _metric("pcr_comparison", "batch", "batch variance removed, of that before", "doi:10.1038/s41592-018-0254-1"),
        _metric("silhouette_batch", "", "scIB's batch ASW; fails where batch effects are nested, so not aggregated"),
    ),
    main_metric="",
    aggregate={"bio": 0.6, "batch": 0.4},
    baselines=("hvg", "pca"),
    default_dataset="pbmc68k-semisim",
    floor="shuffle",
    config=IntegrationConfig,
    version="1",
    reference="doi:10.1038/s41592-021-01336-8",
)


@hookimpl
def bench_tasks() -> list[TaskSpec]:
    """The integration task."""
    return [TASK]
