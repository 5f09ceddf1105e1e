"""How scVI is pretrained from the command line: light, so that options are checked before scvi-tools is loaded."""

from __future__ import annotations

from bench.data.cells.options import PanelConfig, PartsConfig
from bench.training.command import TrainingCommand
from bench_scvi.options import ElboConfig, ScviData, ScviOptim, ScviTrainer, VaeConfig

PRETRAIN = TrainingCommand(
    summary="scvi-tools' variational autoencoder, trained on cells that need not fit into memory",
    target="bench_scvi.pretraining:pretrain",
    sections={
        "trainer": ScviTrainer,
        "model": VaeConfig,
        "objective": ElboConfig,
        "panel": PanelConfig,
        "data": ScviData,
        "parts": PartsConfig,
        "optim": ScviOptim,
    },
    configs="bench_scvi.configs",
    default="default",
    run_as="scvi-pretrained",
)
