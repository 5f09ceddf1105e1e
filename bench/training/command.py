"""The verbs of training that a model offers through `ModelSpec.commands`: light data, and what is asked of them.

A model names its command, `commands={"pretrain": "bench_ours.commands:PRETRAIN"}`; the module there imports nothing
heavy, so that options are checked before a training framework is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.capabilities import Weights

Verb = Literal["pretrain", "finetune"]
Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class TrainingCommand:
    """How a model is trained: what can be set, and what does it."""

    summary: str
    target: str
    """`"package.module:function"`, called as `function(training)` with a `Training`; may be heavy."""
    sections: Mapping[str, type]
    """Name of a section of the configuration -> the frozen dataclass of its options. `trainer` and `optim` are those
    of `bench.training.options`, with other defaults where a model has them."""
    configs: str = ""
    """Package with named configurations: `tiny.yaml` in it is `--config tiny`; empty: there are none."""
    default: str = ""
    """The named configuration that is taken where none is asked for; empty: every default."""
    run_as: str = ""
    """The model that `bench run` is then called with; empty: the one that was trained."""
    run_with: Mapping[str, str] = field(default_factory=dict)
    """Options of that model with which it answers as it was trained; empty: by default it does."""
    tasks: tuple[str, ...] = ()
    """Of a fine-tuning: the tasks that it can be for; empty: any."""


@dataclass(frozen=True)
class Training:
    """One training, as it was asked for and checked."""

    model: str
    verb: Verb
    data: tuple[str, ...]
    """Files, folders, globs, URLs, stores: see `bench.data.cells.sources.locate`."""
    out: Path
    """Folder of the trained model."""
    config: Mapping[str, Any]
    """Section -> its options, instances of the dataclasses of the command."""
    seed: int = 0
    device: Device = "cpu"
    devices: int = 1
    """On each node."""
    nodes: int = 1
    resume: bool = False
    """Go on where the last checkpoint in `out` was written."""
    loggers: tuple[str, ...] = ("csv", "tensorboard")
    weights: Weights = None
    """What a fine-tuning begins with."""
    task: str = ""
    """What a fine-tuning is for."""
