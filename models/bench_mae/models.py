"""The masked autoencoder as a model of the benchmark: cells in, what its encoder makes of them out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import BadInput
from bench.training.embedding import embedded, loaded, panel_of_cells, seeded
from bench.training.folder import read_card, section
from bench.training.panel import panel_of
from bench_mae.config import Architecture
from bench_mae.network import MaskedAutoencoder
from bench_mae.vocabulary import MODELS

if TYPE_CHECKING:
    import anndata as ad

    from bench.capabilities import Weights
    from bench.data.cells.vocabulary import Vocabulary
    from bench_mae.plugin import MaeConfig


class MaeMlp:
    """The network of a trained folder, or, untrained, one that knows whatever genes it is given.

    Nothing is hidden of a cell but the genes that it lacks.
    """

    def __init__(self, config: MaeConfig, *, weights: Weights, seed: int, device: str) -> None:
        self._config, self._seed, self._device = config, seed, device
        self._trained = _trained(weights, config) if isinstance(weights, Path) else None

    def fit(self, cells: ad.AnnData) -> None:
        """Nothing: what it knows it has from its weights."""

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, latent); raises `BadInput` where hardly a gene is known."""
        network, panel = self._trained or self._untrained(cells)
        network = network.eval().to(self._device)
        return embedded(cells, panel, network.embed, self._config.batch_size, self._device)

    def _untrained(self, cells: ad.AnnData) -> tuple[MaskedAutoencoder, Vocabulary]:
        panel = panel_of_cells(cells)
        architecture = Architecture(latent=self._config.latent or Architecture.latent)
        return seeded(self._seed, lambda: MaskedAutoencoder(len(panel), architecture)), panel


def _trained(folder: Path, config: MaeConfig) -> tuple[MaskedAutoencoder, Vocabulary]:
    card = read_card(folder, MODELS)
    architecture, panel = section(card, "model", Architecture), panel_of(card, folder)
    if config.latent not in (0, architecture.latent):
        raise BadInput(
            f"latent={config.latent} is of an untrained model; {folder} has {architecture.latent}, leave latent out."
        )
    return loaded(folder, lambda: MaskedAutoencoder(len(panel), architecture)), panel
