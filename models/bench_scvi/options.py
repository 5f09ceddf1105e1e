"""What can be chosen where scVI is pretrained on stored cells; defaults are scvi-tools' where not said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.config import option
from bench.data.cells.options import DataConfig
from bench.training.options import OptimConfig, TrainerConfig

BATCHES = "n_batches"
"""In `Card.extra`: how many origins of cells the decoder was told apart."""
MOST_BATCHES = 2**24
"""More are no number of origins, but what a stranger wrote."""


@dataclass(frozen=True)
class VaeConfig:
    """The autoencoder."""

    n_latent: int = option(10, "width of the embedding", low=1, high=2**16)
    n_layers: int = option(1, "hidden layers of encoder and decoder", low=1, high=1024)
    n_hidden: int = option(128, "units of a hidden layer", low=1, high=2**16)
    dropout: float = option(0.1, "of the encoder", low=0, high=0.9)
    gene_likelihood: Literal["zinb", "nb", "poisson"] = option("zinb", "distribution of the counts")


@dataclass(frozen=True)
class ElboConfig:
    """What is learned: the evidence lower bound, its second term coming in little by little."""

    kl_epochs: int = option(400, "passes over the cells until the KL divergence has its full weight", low=0)


@dataclass(frozen=True)
class ScviData(DataConfig):
    """Which cells come when, and where the decoder is told that they come from."""

    batch: str = option("store", "what the decoder knows of a cell: its file (store), a column of obs, or nothing")
    batch_size: int = option(128, "cells of a batch, on each device", low=3)


@dataclass(frozen=True)
class ScviTrainer(TrainerConfig):
    """As in training, with other defaults: the loss is a sum over genes, so its gradients are long."""

    precision: Literal["auto", "32-true", "bf16-mixed"] = option("32-true", "auto: bf16-mixed on a GPU, else 32-true")
    clip: float = option(0.0, "longest gradient, larger ones are scaled down; 0: as they are", low=0)

    def __post_init__(self) -> None:
        if self.compile:
            raise ValueError("compile=true is not for scVI, whose module of scvi-tools draws and scores by itself.")


@dataclass(frozen=True)
class ScviOptim(OptimConfig):
    """As in training, with scvi-tools' defaults. There the decay is added to the gradient (Adam): of 1e-6 neither
    form can be told from none."""

    lr: float = option(1e-3, "learning rate", low=0)
    beta2: float = option(0.999, "memory of squared gradients", low=0, high=0.999999)
    eps: float = option(0.01, "added to the root of squared gradients", low=0)
    weight_decay: float = option(1e-6, "of matrices only: no norm, no embedding, no bias", low=0)
    warmup_steps: int = option(0, "steps on the way up, at least", low=0)
    warmup_share: float = option(0.0, "of max_steps, if those are more", low=0, high=1)
    schedule: Literal["cosine", "constant"] = option("constant", "the way after that")
