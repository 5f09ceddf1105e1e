"""What can be chosen of the masked autoencoder: its shape, and what it learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.config import option
from bench.training.options import OptimConfig

Likelihood = Literal["mse", "poisson", "nb"]


@dataclass(frozen=True)
class Architecture:
    """Encoder and decoder; the decoder mirrors the encoder."""

    latent: int = option(128, "width of the embedding", low=1, high=2**16)
    hidden: int = option(512, "units of a hidden layer", low=1, high=2**16)
    layers: int = option(2, "hidden layers of the encoder, and of the decoder", low=1, high=1024)
    dropout: float = option(0.1, "of hidden layers", low=0, high=0.9)


@dataclass(frozen=True)
class Objective:
    """What is masked, and how the prediction of it is scored."""

    likelihood: Likelihood = option("mse", "squared error of log1p counts per 10,000, or a likelihood of the counts")
    mask_low: float = option(0.5, "share of the genes that are masked, at least", low=0.01, high=1)
    mask_high: float = option(0.5, "at most; drawn for each cell", low=0.01, high=1)

    def __post_init__(self) -> None:
        if self.mask_low > self.mask_high:
            raise ValueError(f"mask_low={self.mask_low} is above mask_high={self.mask_high}; swap them.")


@dataclass(frozen=True)
class MaeOptim(OptimConfig):
    """As in training, with other defaults."""

    lr: float = option(1e-3, "learning rate at its highest", low=0)
    weight_decay: float = option(0.01, "of matrices only: no norm, no embedding, no bias", low=0)
