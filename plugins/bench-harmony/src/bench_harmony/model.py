"""Harmony (Korsunsky et al. 2019) on principal components."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import harmonypy
import numpy as np
import pandas as pd

from bench.data.batches import CorrectedCells, batch_labels
from bench.data.features import ExpressionPCA

if TYPE_CHECKING:
    import anndata as ad

    from bench.capabilities import Weights
    from bench_harmony.plugin import HarmonyConfig

logging.getLogger("harmonypy").setLevel(logging.WARNING)  # its rounds are told on stderr otherwise


class HarmonyModel:
    """The corrected components of the cells it was fitted on; it has nothing to say about others."""

    def __init__(self, config: HarmonyConfig, *, weights: Weights, seed: int, device: str) -> None:
        self._config, self._seed = config, seed

    def fit(self, cells: ad.AnnData) -> None:
        """Compute components and correct them over `obs["batch"]`.

        Raises
        ------
        BadInput
            If there are not two batches, or the batch of a cell is missing.
        """
        batches = batch_labels(cells, "Harmony")
        pca = ExpressionPCA(self._config.n_components, self._config.n_genes, self._config.scale, self._seed)
        corrected = harmonypy.run_harmony(
            pca.fit(cells).transform(cells),
            pd.DataFrame({"batch": batches}),
            "batch",
            theta=self._config.theta,
            nclust=max(2, min(round(len(batches) / 30), 100)),  # harmonypy's rule, which gives 0 below 15 cells
            max_iter_harmony=self._config.max_iter,
            verbose=False,
            random_state=self._seed,
        )
        vectors = np.asarray(corrected.Z_corr, dtype=np.float32)
        self._cells = CorrectedCells("Harmony", cells.obs_names.copy(), vectors)

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_components) of cells that were in `fit`, joined by name.

        Raises
        ------
        BadInput
            If there are other cells among them.
        """
        return self._cells.of(cells)
