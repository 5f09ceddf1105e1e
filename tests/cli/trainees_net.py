"""The network of `trainees`: it learns to predict masked counts from the sum of the genes it sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import torch
from torch import Tensor, nn
from trainees import Net

from bench.config import as_dict
from bench.data.cells.module import CellDataModule
from bench.data.cells.options import CollatorConfig
from bench.training import folder
from bench.training.command import Training
from bench.training.fit import fit
from bench.training.fitted import Fitted
from bench.training.losses import Losses


class BagOfGenes(nn.Module):
    """A vector per gene; a cell is their mean, weighed by log counts; log rates are inner products."""

    def __init__(self, n_genes: int, width: int) -> None:
        super().__init__()
        self.genes, self.rates = nn.Embedding(n_genes, width), nn.Embedding(n_genes, width)

    def forward(self, genes: Tensor, values: Tensor) -> Tensor:
        return (self.genes(genes) * values.log1p().unsqueeze(-1)).mean(1)


class BagLearner(nn.Module):
    def __init__(self, network: BagOfGenes) -> None:
        super().__init__()
        self.network = network

    def losses(self, batch: Any, step: int) -> Losses:
        targets = batch.targets
        eta = torch.einsum("blw,bw->bl", self.network.rates(targets.genes), self.embed(batch))
        each = torch.exp(eta) - targets.counts * eta
        scored = targets.scored
        part = torch.where(scored, each, 0).sum() / scored.sum().clamp(min=1)
        return Losses({"poisson": part}, {"poisson": scored.sum()}, {"poisson": 1.0})

    def embed(self, batch: Any) -> Tensor:
        return self.network(batch.inputs.genes, batch.inputs.values * batch.inputs.present)


def pretrain(training: Training) -> Fitted:
    config = training.config
    recipe = CollatorConfig(length=config["model"].length)
    data = CellDataModule(training.data, recipe, config["data"], config["parts"], seed=training.seed)
    data.setup()
    torch.manual_seed(training.seed)
    learner = BagLearner(BagOfGenes(len(data.vocabulary), config["model"].width))
    card = folder.Card(
        model="bag",
        version="1",
        verb=training.verb,
        seed=training.seed,
        config={name: as_dict(options) for name, options in config.items()},
        vocabulary=data.vocabulary,
    )
    return fit(training, learner, data, card)


def finetune(training: Training) -> Fitted:
    """Learns nothing, and says what it was asked to learn."""
    return Fitted(training.out, 0, None, "max_steps", (f"{training.task} beginning with {training.weights}",))


class Bag:
    """Embeds cells with the weights of a pretraining; genes must be those it was trained on."""

    def __init__(self, config: Any, *, weights: Any, seed: int, device: str) -> None:
        assert isinstance(weights, Path)
        card = folder.read_card(weights, ["bag"])
        self.network = BagOfGenes(len(card.vocabulary), folder.section(card, "model", Net).width)
        state = folder.read_state(weights)
        self.network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})

    def fit(self, cells: ad.AnnData) -> None:
        """Nothing is learned."""

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        counts = torch.from_numpy(cells.X.toarray().astype(np.float32))
        genes = torch.arange(counts.shape[1]).expand(len(counts), -1)
        with torch.no_grad():
            return self.network(genes, counts).numpy()
