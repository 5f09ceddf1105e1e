"""How `ours` is trained from the command line: light, so that options are checked before torch is loaded."""

from __future__ import annotations

from bench.data.cells.options import DataConfig, PartsConfig
from bench.training.command import TrainingCommand
from bench.training.finetuning.options import FinetuneConfig, LabelledData
from bench.training.options import OptimConfig, TrainerConfig
from bench_ours.config import Architecture, Objective, ReadingConfig

PRETRAIN = TrainingCommand(
    summary="a transformer learns from unlabelled cells: masked counts, molecular cross-validation, denoising, views",
    target="bench_ours.pretraining:pretrain",
    sections={
        "trainer": TrainerConfig,
        "model": Architecture,
        "data": DataConfig,
        "parts": PartsConfig,
        "objective": Objective,
        "optim": OptimConfig,
    },
    configs="bench_ours.configs",
    default="tiny",
)

FINETUNE = TrainingCommand(
    summary="it learns to name cells: a head, and as much of the network as is asked for",
    target="bench_ours.finetuned:finetune",
    sections={"finetune": FinetuneConfig, "model": ReadingConfig, "data": LabelledData},
    run_as="ours-finetuned",
    run_with={"head": "stored", "max_epochs": "0"},
    tasks=("classification",),
)
