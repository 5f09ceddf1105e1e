"""`bench pretrain --model mae-mlp`: from options to a trained folder."""

from __future__ import annotations

from torch import Tensor, nn

from bench.data.cells.dense import DenseBatch
from bench.training.command import Training
from bench.training.dense import card, prepared
from bench.training.embedding import seeded
from bench.training.fit import fit
from bench.training.fitted import Fitted
from bench.training.losses import Losses
from bench_mae.config import Architecture, Likelihood, Objective
from bench_mae.network import LOSSES, MaskedAutoencoder
from bench_mae.plugin import VERSION


class MaskedLearner(nn.Module):
    """Scores predictions of masked genes, and of no others: a `bench.training.learner.Learner`."""

    def __init__(self, network: MaskedAutoencoder, likelihood: Likelihood) -> None:
        super().__init__()
        self.network, self._score = network, LOSSES[likelihood]
        network.log_dispersion.requires_grad_(likelihood == "nb")

    def losses(self, batch: DenseBatch, step: int) -> Losses:
        """`masked`: squares of log1p counts per 10,000, or nats."""
        assert batch.scored is not None, "nothing is masked"
        losses = self._score(self.network(batch), batch, self.network.log_dispersion)
        count = batch.scored.sum()
        mean = (losses * batch.scored).sum() / count.clamp(min=1)
        return Losses({"masked": mean}, {"masked": count}, {"masked": 1.0})

    def embed(self, batch: DenseBatch) -> Tensor:
        """Float (B, latent) embeddings."""
        return self.network.embed(batch)


def pretrain(training: Training) -> Fitted:
    """Train a masked autoencoder from nothing.

    Raises
    ------
    BadInput
        If the data are refused, or share no genes.
    """
    architecture: Architecture = training.config["model"]
    objective: Objective = training.config["objective"]
    data = prepared(training, masked=(objective.mask_low, objective.mask_high))
    network = seeded(training.seed, lambda: MaskedAutoencoder(len(data.genes), architecture))
    learner = MaskedLearner(network, objective.likelihood)
    return fit(training, learner, data.module, card(training, data, VERSION))
