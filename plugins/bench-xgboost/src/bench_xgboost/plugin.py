"""What XGBoost says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from bench.config import option
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec

FLOOR = "2.1"


@dataclass(frozen=True)
class XGBoostConfig:
    """Boosted trees; small trees on coarse histograms, so that a fit takes seconds on one core."""

    n_genes: int = option(2000, "most variable genes to keep; 0 keeps all", low=0)
    max_rounds: int = option(500, "most rounds; each adds one tree per type", low=1)
    patience: int = option(10, "rounds without a better validation log-loss before it stops", low=1)
    learning_rate: float = option(0.2, "weight of a new tree", low=0.001, high=1)
    max_depth: int = option(4, "splits between root and leaf", low=1, high=16)
    colsample: float = option(0.2, "share of the genes each tree may use", low=0.01, high=1)
    subsample: float = option(1.0, "share of the cells each tree is grown on", low=0.01, high=1)
    max_bin: int = option(64, "bins of a gene's histogram", low=2, high=4096)


def distribution() -> str:
    """Either of the two distributions that bring the package: the full one, else the one without GPU code."""
    try:
        metadata.version("xgboost")
    except metadata.PackageNotFoundError:
        return "xgboost-cpu"
    return "xgboost"


@hookimpl
def bench_models() -> list[ModelSpec]:
    """XGBoost."""
    return [
        ModelSpec(
            name="xgboost",
            summary="gradient-boosted trees on log-normalised variable genes, stopped early on held-out groups",
            target="bench_xgboost.model:XGBoostModel",
            gives=frozenset({Cap.PREDICTS_LABELS}),
            config=XGBoostConfig,
            fits="labels",
            requires=(f"{distribution()}>={FLOOR}",),
            reference="https://doi.org/10.1145/2939672.2939785",
            licence="Apache-2.0 (xgboost)",
        )
    ]
