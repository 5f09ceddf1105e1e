"""What Harmony says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import option
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec


@dataclass(frozen=True)
class HarmonyConfig:
    """Principal components and their correction; defaults are harmonypy's where not said."""

    n_components: int = option(50, "width of the embedding", low=1)
    n_genes: int = option(2000, "most variable genes to keep", low=1)
    scale: bool = option(True, "centre genes, divide by their standard deviation and clip at 10")
    theta: float = option(2.0, "strength of the push towards mixed clusters", low=0)
    max_iter: int = option(10, "most rounds of clustering and correction", low=1)


@hookimpl
def bench_models() -> list[ModelSpec]:
    """Harmony."""
    return [
        ModelSpec(
            name="harmony",
            summary="principal components corrected for batch by soft clustering",
            target="bench_harmony.model:HarmonyModel",
            gives=frozenset({Cap.EMBEDS_CELLS}),
            config=HarmonyConfig,
            fits="cells",
            obs=("batch",),
            inductive=False,
            per_cell=False,
            requires=("harmonypy>=2.1",),
            reference="https://doi.org/10.1038/s41592-019-0619-0",
            licence="GPL-3.0 (harmonypy)",
        )
    ]
