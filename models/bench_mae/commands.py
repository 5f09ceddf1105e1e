"""How the masked autoencoder is trained from the command line: light, so that options are checked first."""

from __future__ import annotations

from bench.data.cells.options import DataConfig, PanelConfig, PartsConfig
from bench.training.command import TrainingCommand
from bench.training.options import TrainerConfig
from bench_mae.config import Architecture, MaeOptim, Objective

PRETRAIN = TrainingCommand(
    summary="an MLP predicts masked genes of a panel from the others",
    target="bench_mae.pretraining:pretrain",
    sections={
        "trainer": TrainerConfig,
        "model": Architecture,
        "objective": Objective,
        "panel": PanelConfig,
        "data": DataConfig,
        "parts": PartsConfig,
        "optim": MaeOptim,
    },
    configs="bench_mae.configs",
    default="default",
)
