"""What the masked autoencoder says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import option
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec, WeightsSpec

VERSION = "1"


@dataclass(frozen=True)
class MaeConfig:
    """How cells are embedded."""

    batch_size: int = option(1024, "cells that go through the network at once", low=1)
    latent: int = option(0, "width of the embedding of an untrained model; 0: 128, or that of the weights", low=0)


@hookimpl
def bench_models() -> list[ModelSpec]:
    """`mae-mlp`, as it was pretrained."""
    return [
        ModelSpec(
            name="mae-mlp",
            summary="masked autoencoder: two MLPs on a panel of genes, pretrained without labels",
            target="bench_mae.models:MaeMlp",
            gives=frozenset({Cap.EMBEDS_CELLS}),
            config=MaeConfig,
            fits="no",
            vocabulary="bench_mae.vocabulary:genes",
            weights=WeightsSpec(
                summary="It reads what an own pretraining wrote.",
                source="bench pretrain --model mae-mlp --data FILE.h5ad ... --out DIR",
            ),
            commands={"pretrain": "bench_mae.commands:PRETRAIN"},
            version=VERSION,
            reference="https://doi.org/10.1038/s42256-024-00934-3",
            licence="BSD-3-Clause",
        ),
    ]
