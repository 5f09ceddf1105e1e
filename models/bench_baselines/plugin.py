"""What the baselines say about themselves."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import option
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec

EMBEDS = frozenset({Cap.EMBEDS_CELLS})
LABELS = frozenset({Cap.PREDICTS_LABELS})
N_GENES = "most variable genes to keep, chosen on the cells it is fitted on"
LICENCE = "BSD-3-Clause"


@dataclass(frozen=True)
class PCAConfig:
    """Principal components of variable genes."""

    n_components: int = option(50, "width of the embedding", low=1)
    n_genes: int = option(2000, N_GENES, low=1)
    scale: bool = option(True, "centre genes, divide by their standard deviation and clip at 10")


@dataclass(frozen=True)
class GenesConfig:
    """Variable genes."""

    n_genes: int = option(2000, N_GENES, low=1)


@dataclass(frozen=True)
class ProjectionConfig:
    """Random projection."""

    n_components: int = option(50, "width of the embedding", low=1)


@dataclass(frozen=True)
class CombatConfig(PCAConfig):
    """Principal components after correction for batch."""


@dataclass(frozen=True)
class MLPConfig(GenesConfig):
    """A neural network on variable genes."""

    hidden: int = option(128, "units of the hidden layer", low=1)
    max_epochs: int = option(200, "most passes over the training cells", low=1)
    patience: int = option(10, "epochs without a better validation log-loss before it stops", low=1)


@dataclass(frozen=True)
class KNNConfig(PCAConfig):
    """Nearest neighbours on principal components."""

    k: int = option(15, "neighbours that vote", low=1)


@hookimpl
def bench_models() -> list[ModelSpec]:
    """Seven baselines."""
    return [
        ModelSpec(
            name="pca",
            summary="principal components of scaled log-normalised variable genes",
            target="bench_baselines.embedders:PCAEmbedder",
            gives=EMBEDS,
            config=PCAConfig,
            reference="https://doi.org/10.1186/s13059-017-1382-0",
            licence=LICENCE,
        ),
        ModelSpec(
            name="hvg",
            summary="log-normalised expression of the most variable genes, as it is",
            target="bench_baselines.embedders:VariableGenesEmbedder",
            gives=EMBEDS,
            config=GenesConfig,
            reference="https://doi.org/10.1186/s13059-025-03574-x",
            licence=LICENCE,
        ),
        ModelSpec(
            name="combat",
            summary="principal components of variable genes whose mean and variance are made alike over batches",
            target="bench_baselines.combat:Combat",
            gives=EMBEDS,
            config=CombatConfig,
            obs=("batch",),
            inductive=False,
            per_cell=False,
            reference="https://doi.org/10.1093/biostatistics/kxj037",
            licence=LICENCE,
        ),
        ModelSpec(
            name="random-projection",
            summary="Gaussian random projection of log-normalised expression: learns nothing",
            target="bench_baselines.projection:RandomProjection",
            gives=EMBEDS,
            config=ProjectionConfig,
            fits="no",
            reference="https://doi.org/10.1145/502512.502546",
            licence=LICENCE,
        ),
        ModelSpec(
            name="logreg",
            summary="logistic regression on scaled variable genes",
            target="bench_baselines.classifiers:LogisticRegressionModel",
            gives=LABELS,
            config=GenesConfig,
            fits="labels",
            reference="https://doi.org/10.1186/s13059-019-1795-z",
            licence=LICENCE,
        ),
        ModelSpec(
            name="mlp",
            summary="neural network with one hidden layer on scaled variable genes",
            target="bench_baselines.classifiers:MLPModel",
            gives=LABELS,
            config=MLPConfig,
            fits="labels",
            reference="https://doi.org/10.1186/s13059-019-1795-z",
            licence=LICENCE,
        ),
        ModelSpec(
            name="knn",
            summary="vote of the nearest cells in PCA space",
            target="bench_baselines.classifiers:KNNModel",
            gives=LABELS,
            config=KNNConfig,
            fits="labels",
            reference="https://doi.org/10.1186/s13059-019-1795-z",
            licence=LICENCE,
        ),
    ]
