"""What Scanorama says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import option
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec


@dataclass(frozen=True)
class ScanoramaConfig:
    """Matching and merging of batches; defaults are scanorama's where not said."""

    n_components: int = option(100, "width of the embedding", low=1)
    n_genes: int = option(2000, "most variable genes to keep", low=1)
    knn: int = option(20, "nearest neighbours among which mutual ones are sought", low=1)
    sigma: float = option(15.0, "width of the kernel that smooths the correction; larger: sharper", low=0.001)
    alpha: float = option(0.1, "least share of matched cells for two batches to be merged", low=0, high=1)


@hookimpl
def bench_models() -> list[ModelSpec]:
    """Scanorama."""
    return [
        ModelSpec(
            name="scanorama",
            summary="batches stitched together by mutual nearest neighbours in a common space",
            target="bench_scanorama.model:ScanoramaModel",
            gives=frozenset({Cap.EMBEDS_CELLS}),
            config=ScanoramaConfig,
            fits="cells",
            obs=("batch",),
            inductive=False,
            per_cell=False,
            requires=("scanorama>=1.7.4",),
            reference="https://doi.org/10.1038/s41587-019-0113-3",
            licence="MIT (scanorama)",
        )
    ]
