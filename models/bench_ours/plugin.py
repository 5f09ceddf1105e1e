"""What `ours` says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.config import option
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec, WeightsSpec
from bench_ours.config import Size

VERSION = "1"
"""Of what weights are read and how cells are embedded with them."""


@dataclass(frozen=True)
class OursConfig:
    """How cells are embedded."""

    batch_size: int = option(64, "cells that go through the network at once", low=1)
    pooling: Literal["", "cls", "mean"] = option("", "a cell's vector: CLS, or the mean over genes; empty: as trained")
    length: int = option(0, "gene tokens of a cell, at most; 0: as trained", low=0)
    size: Literal["", Size] = option("", "of an untrained model; empty: tiny, or what the weights are of")


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
            weights=WeightsSpec(
                summary="It reads what an own pretraining wrote.",
                source="bench pretrain --model ours --data FILE.h5ad ... --out DIR",
            ),
            commands={"pretrain": "bench_ours.commands:PRETRAIN"},
            version=VERSION,
            licence="BSD-3-Clause",
        ),
    ]
