"""scvi-tools' VAE as a network among others: made of sizes, without what it never uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from scvi.module import VAE
from torch import Tensor

if TYPE_CHECKING:
    from bench.data.cells.dense import DenseBatch
    from bench_scvi.options import VaeConfig


def vae(n_genes: int, n_batches: int, config: VaeConfig) -> Any:
    """The VAE that `scvi.model.SCVI` makes, its library sizes observed and its dispersion one number per gene.

    What is not used with these choices is left out, and what no loss reaches does not learn: several devices would
    wait for its gradients.

    Parameters
    ----------
    n_genes
        Inputs.
    n_batches
        Origins that the decoder tells apart.
    """
    made = VAE(
        n_genes,
        n_batch=n_batches,
        n_hidden=config.n_hidden,
        n_latent=config.n_latent,
        n_layers=config.n_layers,
        dropout_rate=config.dropout,
        gene_likelihood=config.gene_likelihood,
    )
    made.l_encoder = None  # of library sizes that are not observed
    made.decoder.px_r_decoder = None  # of a dispersion per cell
    made.decoder.px_dropout_decoder.requires_grad_(config.gene_likelihood == "zinb")
    made.px_r.requires_grad_(config.gene_likelihood != "poisson")
    return made


def latent(network: Any, batch: DenseBatch) -> Tensor:
    """Float (B, n_latent) means of the posterior, nothing drawn of it; genes that were not measured count as 0."""
    mean: Tensor = network.z_encoder.mean_encoder(network.z_encoder.encoder(torch.log1p(batch.seen)))
    return mean
