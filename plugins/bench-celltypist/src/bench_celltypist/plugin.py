"""What CellTypist says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import option
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec


@dataclass(frozen=True)
class CellTypistConfig:
    """How a CellTypist model is trained; defaults are `celltypist.train`'s."""

    C: float = option(1.0, "inverse strength of the L2 penalty", low=1e-6)
    feature_selection: bool = option(False, "train twice, the second time on the genes that weigh most in the first")
    top_genes: int = option(300, "genes each type keeps in feature selection", low=1)
    n_genes: int = option(0, "most variable genes to keep; 0 keeps all, as CellTypist does", low=0)


@hookimpl
def bench_models() -> list[ModelSpec]:
    """CellTypist."""
    return [
        ModelSpec(
            name="celltypist",
            summary="one-vs-rest logistic regression on all scaled genes, as CellTypist trains it",
            target="bench_celltypist.model:CellTypistModel",
            gives=frozenset({Cap.PREDICTS_LABELS}),
            config=CellTypistConfig,
            fits="labels",
            requires=("celltypist>=1.6.3",),
            reference="https://doi.org/10.1126/science.abl5197",
            licence="MIT (celltypist)",
        )
    ]
