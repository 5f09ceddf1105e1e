"""`bench pretrain --model scvi`: scvi-tools' VAE in the training loop that all models share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import kl_divergence

from bench.data.cells.dense import STORE, DenseBatch
from bench.training.command import Training
from bench.training.dense import PanelData, card, prepared
from bench.training.embedding import seeded
from bench.training.fit import fit
from bench.training.fitted import Fitted
from bench.training.losses import Losses
from bench_scvi.options import BATCHES, ElboConfig, ScviData, VaeConfig
from bench_scvi.plugin import VERSION
from bench_scvi.vae import latent, vae


class ElboLearner(nn.Module):
    """Minus the evidence lower bound, a mean over cells: a `bench.training.learner.Learner`.

    As in scvi-tools' `VAE.loss` and `TrainingPlan`: Lopez et al. (2018), https://doi.org/10.1038/s41592-018-0229-2. A
    cell without counts in the panel has no library size; it is not scored.

    Parameters
    ----------
    network
        From `vae`.
    batch
        Of `DenseBatch.codes`, what the decoder is told; empty: nothing. A missing code is the last of its inputs.
    kl_weight
        Weight of the KL divergence in training, by step; otherwise it is 1.
    """

    def __init__(self, network: Any, batch: str, kl_weight: Callable[[int], float]) -> None:
        super().__init__()
        self.network, self._batch, self._kl_weight = network, batch, kl_weight

    def losses(self, batch: DenseBatch, step: int) -> Losses:
        """`reconstruction` and `kl`, in nats per cell."""
        counts, origin = batch.counts, self._origin(batch)
        library = counts.sum(dim=1)
        inferred = self.network.inference(counts, origin)
        generated = self.network.generative(inferred["z"], library.clamp(min=1).log()[:, None], origin)
        reconstruction = -generated["px"].log_prob(counts).sum(dim=-1)
        divergence = kl_divergence(inferred["qz"], generated["pz"]).sum(dim=-1)
        scored = library > 0
        count = scored.sum()
        parts = {"reconstruction": reconstruction, "kl": divergence}
        return Losses(
            {name: (loss * scored).sum() / count.clamp(min=1) for name, loss in parts.items()},
            dict.fromkeys(parts, count),
            {"reconstruction": 1.0, "kl": self._kl_weight(step) if self.training else 1.0},
        )

    def embed(self, batch: DenseBatch) -> Tensor:
        """Float (B, n_latent) means of the posterior."""
        return latent(self.network, batch)

    def _origin(self, batch: DenseBatch) -> Tensor:
        """int64 (B, 1)."""
        if not self._batch:
            return torch.zeros_like(batch.cells)[:, None]
        codes = batch.codes[self._batch]
        return torch.where(codes < 0, self.network.n_batch - 1, codes)[:, None]


def pretrain(training: Training) -> Fitted:
    """Train a VAE from nothing.

    Raises
    ------
    BadInput
        If the data are refused, share no genes, or lack the column of batches.
    """
    config: VaeConfig = training.config["model"]
    elbo: ElboConfig = training.config["objective"]
    options: ScviData = training.config["data"]
    data = prepared(training, batch=options.batch)
    n_batches = _batches(data, options.batch)
    network = seeded(training.seed, lambda: vae(len(data.genes), n_batches, config))
    learner = ElboLearner(network, options.batch, warmup(elbo.kl_epochs, _steps_per_epoch(training, data)))
    return fit(training, learner, data.module, card(training, data, VERSION, **{BATCHES: n_batches}))


def warmup(epochs: int, steps_per_epoch: int) -> Callable[[int], float]:
    """Weight of the KL divergence: the share of the epochs that are over, at most 1 (scvi-tools' `TrainingPlan`)."""
    return lambda step: min(1.0, step // steps_per_epoch / epochs) if epochs else 1.0


def _batches(data: PanelData, batch: str) -> int:
    """Inputs of the decoder for where a cell comes from; a column may be missing for some."""
    return len(data.categories[batch]) + (batch != STORE) if batch else 1


def _steps_per_epoch(training: Training, data: PanelData) -> int:
    of_step = training.config["data"].batch_size * training.devices * training.nodes
    return max(1, len(data.module.parts.train) // of_step // training.config["trainer"].accumulate)
