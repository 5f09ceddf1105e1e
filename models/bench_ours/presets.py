"""What others train, as switches of `ours`: the same trunk for all, so that what differs is what is argued about.

Each keeps how cells become tokens and what is learned. Width, layers and optimiser are ours, so that one budget fits
all; where the source does what no switch does, the nearest is taken and said, in `configs/NAME.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from bench.training.configure import configured
from bench_ours.commands import PRETRAIN
from bench_ours.config import Architecture, Objective

PRESETS = ("geneformer-like", "scgpt-like", "rank-classifier", "time-point", "bento-like", "scprint-like")
"""Names of those that follow others; the other configurations are sizes."""


@dataclass(frozen=True)
class Preset:
    """A named choice of every switch."""

    architecture: Architecture
    objective: Objective


@cache
def preset(name: str) -> Preset:
    """What a named configuration says of the network and of what it learns.

    Raises
    ------
    BadInput
        If there is none of that name.
    """
    sections = configured(PRETRAIN, name).sections
    return Preset(sections["model"], sections["objective"])
