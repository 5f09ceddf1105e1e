"""What `ours` says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import option
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec, WeightsSpec
from bench.training.finetuning.options import FinetuneConfig
from bench_ours.config import ReadingConfig

VERSION = "1"
"""Of what weights are read and how cells are embedded with them."""
WEIGHTS = WeightsSpec(
    summary="It reads what an own pretraining wrote.",
    source="bench pretrain --model ours --data FILE.h5ad ... --out DIR",
)


@dataclass(frozen=True)
class OursConfig(ReadingConfig):
    """How cells are embedded."""

    batch_size: int = option(32, "cells that go through the network at once; on a GPU more are faster", low=1)


@dataclass(frozen=True)
class OursFinetunedConfig(ReadingConfig, FinetuneConfig):
    """How it learns to name cells."""


@hookimpl
def bench_models() -> list[ModelSpec]:
    """`ours`, as it was pretrained."""
    return [
        ModelSpec(
            name="ours",
            summary="our transformer of cells as sets of genes with counts, pretrained without labels",
            target="bench_ours.models:Ours",
            gives=frozenset({Cap.EMBEDS_CELLS, Cap.EMBEDS_GENES}),
            config=OursConfig,
            fits="no",
            vocabulary="bench_ours.vocabulary:genes",
            weights=WEIGHTS,
            commands={"pretrain": "bench_ours.commands:PRETRAIN", "finetune": "bench_ours.commands:FINETUNE"},
            version=VERSION,
            licence="BSD-3-Clause",
        ),
        ModelSpec(
            name="ours-finetuned",
            summary="our transformer, its pretrained weights fine-tuned on the labelled cells it is given",
            target="bench_ours.finetuned:OursFinetuned",
            gives=frozenset({Cap.PREDICTS_LABELS}),
            config=OursFinetunedConfig,
            fits="labels",
            vocabulary="bench_ours.vocabulary:genes",
            weights=WEIGHTS,
            version=VERSION,
            licence="BSD-3-Clause",
        ),
    ]
