"""A masked autoencoder of cells: two small MLPs with a narrow place between them."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.cells.dense import DenseBatch
from bench.data.cells.statistics import DEPTH
from bench_mae.config import Architecture

_HIGHEST, _LOWEST = 14.0, -18.5
"""Log rates beyond which no count lies: an exponential of more would be the end of a training."""


class MaskedAutoencoder(nn.Module):
    """Predicts genes that are hidden from those that are not.

    He et al. (2022), https://doi.org/10.1109/CVPR52688.2022.01553, hide parts of an image and score those alone;
    Richter et al. (2025), https://doi.org/10.1038/s42256-024-00934-3, do so with MLPs on single cells (their "random
    masking", theislab/ssl_in_scg). As there, cells are log1p of counts per 10,000 and a hidden gene is 0. Here a second
    input says which genes are hidden, so that a 0 that was measured differs from one that was not, also of a gene that
    a dataset lacks; layers are normalised; the sizes are free.

    Parameters
    ----------
    n_genes
        Of the panel.
    architecture
        Widths and depth.
    """

    def __init__(self, n_genes: int, architecture: Architecture) -> None:
        super().__init__()
        self.encoder = _mlp(2 * n_genes, architecture.latent, architecture)
        self.decoder = _mlp(architecture.latent, n_genes, architecture)
        self.log_dispersion = nn.Parameter(torch.zeros(n_genes))
        """Of a gene in all cells, for `likelihood="nb"`."""

    def embed(self, batch: DenseBatch) -> Tensor:
        """Float (B, latent): what the encoder makes of the genes that are not hidden."""
        values = torch.log1p(batch.seen * (DEPTH / batch.totals.clamp(min=1))[:, None])
        hidden = torch.zeros_like(values) if batch.hidden is None else batch.hidden.to(values.dtype)
        embedded: Tensor = self.encoder(torch.cat([values, hidden], dim=1))
        return embedded

    def forward(self, batch: DenseBatch) -> Tensor:
        """Float (B, G) of every gene: log1p counts per 10,000, or the log of its expected counts per 10,000."""
        predicted: Tensor = self.decoder(self.embed(batch))
        return predicted


def _mlp(inputs: int, outputs: int, architecture: Architecture) -> nn.Sequential:
    """Hidden layers and a last one without activation."""
    widths = [inputs, *[architecture.hidden] * architecture.layers]
    layers: list[nn.Module] = []
    for width, units in pairwise(widths):
        layers += [nn.Linear(width, units), nn.LayerNorm(units), nn.GELU(), nn.Dropout(architecture.dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))


def squared_errors(predicted: Tensor, batch: DenseBatch, log_dispersion: Tensor) -> Tensor:
    """Float32 (B, G) of log1p counts per 10,000."""
    wanted = torch.log1p(batch.counts * (DEPTH / batch.totals.clamp(min=1))[:, None])
    return F.mse_loss(predicted.float(), wanted, reduction="none")


def poisson(predicted: Tensor, batch: DenseBatch, log_dispersion: Tensor) -> Tensor:
    """Float64 (B, G): minus the log probability of the counts, their rate being what is predicted, times the depth."""
    eta, k = _log_rate(predicted, batch), batch.counts.double()
    return eta.exp() - k * eta + torch.lgamma(k + 1)


def negative_binomial(predicted: Tensor, batch: DenseBatch, log_dispersion: Tensor) -> Tensor:
    """Float64 (B, G): the same with variance mu + mu**2 / theta, theta being exp of `log_dispersion` (G,).

    -log p(k) = lgamma(theta) - lgamma(theta + k) + lgamma(k + 1) + k * softplus(-x) + theta * softplus(x), where x is
    log mu - log theta.
    """
    eta, k = _log_rate(predicted, batch), batch.counts.double()
    log_theta = log_dispersion.double().clamp(-9, 14)
    theta, x = log_theta.exp(), eta - log_theta
    gammas = torch.lgamma(theta) - torch.lgamma(theta + k) + torch.lgamma(k + 1)
    return gammas + k * F.softplus(-x) + theta * F.softplus(x)


LOSSES = {"mse": squared_errors, "poisson": poisson, "nb": negative_binomial}
"""What each likelihood scores, gene by gene."""


def _log_rate(predicted: Tensor, batch: DenseBatch) -> Tensor:
    """Float64 (B, G) log of expected counts."""
    depth = torch.log(batch.totals.double().clamp(min=1) / DEPTH)
    return (predicted.double() + depth[:, None]).clamp(_LOWEST, _HIGHEST)
