"""A pretrained scVI as a model of the benchmark: cells in, means of its latent posterior out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import BadInput
from bench.training.embedding import embedded, loaded, panel_of_cells, seeded
from bench.training.folder import read_card, section
from bench.training.panel import panel_of
from bench_scvi.options import BATCHES, MOST_BATCHES, VaeConfig
from bench_scvi.vae import latent, vae
from bench_scvi.vocabulary import MODELS

if TYPE_CHECKING:
    import anndata as ad

    from bench.capabilities import Weights
    from bench.data.cells.vocabulary import Vocabulary
    from bench_scvi.plugin import PretrainedConfig


class ScviPretrained:
    """The VAE of a trained folder, or, untrained, one that knows whatever genes it is given.

    Only the decoder was told where cells come from, so cells of any origin are embedded alike. Genes that they lack
    count as 0, as where scvi-tools prepares cells for a model that was trained on others.
    """

    def __init__(self, config: PretrainedConfig, *, weights: Weights, seed: int, device: str) -> None:
        self._config, self._seed, self._device = config, seed, device
        self._trained = _trained(weights, config) if isinstance(weights, Path) else None

    def fit(self, cells: ad.AnnData) -> None:
        """Nothing: what it knows it has from its weights."""

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_latent); raises `BadInput` where hardly a gene is known."""
        network, panel = self._trained or self._untrained(cells)
        network = network.eval().to(self._device)
        return embedded(cells, panel, lambda batch: latent(network, batch), self._config.batch_size, self._device)

    def _untrained(self, cells: ad.AnnData) -> tuple[Any, Vocabulary]:
        panel = panel_of_cells(cells)
        config = VaeConfig(n_latent=self._config.n_latent or VaeConfig.n_latent)
        return seeded(self._seed, lambda: vae(len(panel), 1, config)), panel


def _trained(folder: Path, asked: PretrainedConfig) -> tuple[Any, Vocabulary]:
    card = read_card(folder, MODELS)
    config, panel, n_batches = section(card, "model", VaeConfig), panel_of(card, folder), card.extra.get(BATCHES)
    if asked.n_latent not in (0, config.n_latent):
        raise BadInput(
            f"n_latent={asked.n_latent} is of an untrained model; {folder} has {config.n_latent}, leave n_latent out."
        )
    if type(n_batches) is not int or not 1 <= n_batches <= MOST_BATCHES:
        raise BadInput(f"{folder}: its config.yaml does not say how many batches there were; copy the folder again.")
    return loaded(folder, lambda: vae(len(panel), n_batches, config)), panel
