"""What scVI and scANVI say about themselves, fitted on a dataset or pretrained on others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.config import option
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec, WeightsSpec

REQUIRES = ("scvi-tools>=1.3",)
LICENCE = "BSD-3-Clause"
VERSION = "1"
"""Of what a pretraining writes."""
COMMANDS = {"pretrain": "bench_scvi.commands:PRETRAIN"}


@dataclass(frozen=True)
class ScviConfig:
    """A variational autoencoder of counts and how it is trained; defaults are scvi-tools' where not said."""

    n_latent: int = option(10, "width of the embedding", low=1)
    n_layers: int = option(1, "hidden layers of encoder and decoder", low=1)
    n_hidden: int = option(128, "units of a hidden layer", low=1)
    n_genes: int = option(2000, "most variable genes to keep, chosen on the cells it is fitted on; 0 keeps all", low=0)
    gene_likelihood: Literal["zinb", "nb", "poisson"] = option("zinb", "distribution of the counts")
    use_batch: bool = option(True, "model obs['batch'] where the cells it is fitted on have it")
    max_epochs: int | None = option(
        None, "most passes over the cells; none: scvi-tools' min(round(20000 / n_cells * 400), 400)", low=1
    )
    early_stopping: bool = option(True, "stop when the ELBO of the validation part no longer improves")
    patience: int = option(45, "epochs without a better validation ELBO before it stops", low=1)
    validation_size: float = option(0.1, "share of the cells kept for early stopping", low=0.01, high=0.5)
    batch_size: int = option(128, "cells per step", low=3)


@dataclass(frozen=True)
class ScanviConfig(ScviConfig):
    """scVI, refined with labels."""

    label_epochs: int = option(20, "passes with labels, after scVI's (scvi-tools' tutorial: 20)", low=1)
    cells_per_label: int = option(100, "most labelled cells of each type per epoch (tutorial: 100)", low=3)


@dataclass(frozen=True)
class PretrainedConfig:
    """How cells are embedded by a pretrained scVI."""

    batch_size: int = option(1024, "cells that go through the network at once", low=1)
    n_latent: int = option(0, "width of the embedding of an untrained model; 0: 10, or that of the weights", low=0)


@hookimpl
def bench_models() -> list[ModelSpec]:
    """scVI and scANVI, and scVI as it was pretrained."""
    return [
        ModelSpec(
            name="scvi",
            summary="variational autoencoder of counts, batch-corrected where batches are shown",
            target="bench_scvi.models:Scvi",
            gives=frozenset({Cap.EMBEDS_CELLS}),
            config=ScviConfig,
            commands=COMMANDS,
            requires=REQUIRES,
            reference="https://doi.org/10.1038/s41592-018-0229-2",
            licence=LICENCE,
        ),
        ModelSpec(
            name="scvi-pretrained",
            summary="scVI, trained beforehand on other cells; nothing is fitted on those it embeds",
            target="bench_scvi.pretrained:ScviPretrained",
            gives=frozenset({Cap.EMBEDS_CELLS}),
            config=PretrainedConfig,
            fits="no",
            vocabulary="bench_scvi.vocabulary:genes",
            weights=WeightsSpec(
                summary="It reads what an own pretraining wrote.",
                source="bench pretrain --model scvi --data FILE.h5ad ... --out DIR",
            ),
            commands=COMMANDS,
            requires=REQUIRES,
            version=VERSION,
            reference="https://doi.org/10.1038/s41592-018-0229-2",
            licence=LICENCE,
        ),
        ModelSpec(
            name="scanvi",
            summary="scVI refined with the labels of a part of the cells",
            target="bench_scvi.models:Scanvi",
            gives=frozenset({Cap.EMBEDS_CELLS}),
            config=ScanviConfig,
            fits="labels",
            requires=REQUIRES,
            reference="https://doi.org/10.15252/msb.20209620",
            licence=LICENCE,
        ),
    ]
