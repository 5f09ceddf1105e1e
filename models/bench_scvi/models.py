"""scVI (Lopez et al. 2018) and scANVI (Xu et al. 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scvi

from bench.errors import BadInput
from bench_scvi import training
from bench_scvi.panel import BATCH, LABEL, UNLABELLED, Panel

if TYPE_CHECKING:
    import anndata as ad

    from bench.capabilities import Weights
    from bench_scvi.plugin import ScanviConfig, ScviConfig


class Scvi:
    """Mean of scVI's latent posterior.

    `obs["batch"]` is modelled only where the cells of `fit` have it: tasks that hold donors out do not show
    it, so unseen donors need no batch. Only the decoder reads the batch (scvi-tools' default), so new cells
    are embedded whatever theirs is. Early stopping watches whole groups where `obs["group"]` is shown, else
    random cells.
    """

    def __init__(self, config: ScviConfig, *, weights: Weights, seed: int, device: str) -> None:
        self._config, self._seed, self._device = config, seed, device
        self._panel = Panel(config.n_genes, config.use_batch)

    def fit(self, cells: ad.AnnData) -> None:
        """Choose genes and train."""
        self._model: scvi.model.SCVI | scvi.model.SCANVI = self._train(self._panel.fit(cells), cells)

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_latent); raises `BadInput` where a gene it needs is missing."""
        with training.quiet():
            latent = self._model.get_latent_representation(self._panel.view(cells))
        return np.asarray(latent, dtype=np.float32)

    def _train(self, table: ad.AnnData, cells: ad.AnnData) -> scvi.model.SCVI:
        groups = None
        if "group" in cells.obs:
            learned = cells.obs_names.get_indexer(table.obs_names)
            groups = cells.obs["group"].to_numpy()[learned].astype(str)
        with training.quiet():
            training.seed(self._seed)
            scvi.model.SCVI.setup_anndata(table, batch_key=BATCH if self._panel.batch else None)
            model = scvi.model.SCVI(
                table,
                n_latent=self._config.n_latent,
                n_layers=self._config.n_layers,
                n_hidden=self._config.n_hidden,
                gene_likelihood=self._config.gene_likelihood,
            )
            training.train_scvi(model, table.n_obs, self._config, groups, self._seed, self._device)
        return model


class Scanvi(Scvi):
    """Mean of scANVI's latent posterior: scVI, then a few epochs with labels, as in scvi-tools' tutorial.

    Labels come from `obs["cell_type"]` of the cells of `fit`, missing ones being unlabelled; `embed` reads
    none. The epochs with labels are few and fixed, so they use every cell and stop at no validation part.
    """

    _config: ScanviConfig

    def __init__(self, config: ScanviConfig, *, weights: Weights, seed: int, device: str) -> None:
        super().__init__(config, weights=weights, seed=seed, device=device)

    def fit(self, cells: ad.AnnData) -> None:
        """Choose genes, train scVI, then scANVI; raises `BadInput` where hardly a cell has a label."""
        table = self._panel.fit(cells)
        labelled = int((table.obs[LABEL] != UNLABELLED).sum())
        if labelled < 3:
            raise BadInput(
                f"scANVI learns from labels, but 'cell_type' is known for {labelled} of {cells.n_obs:,} cells;"
                " map it with --obs cell_type=COLUMN or use scvi."
            )
        self._model = self._refine(self._train(table, cells), table.obs[LABEL].to_numpy().astype(str))

    def _refine(self, pretrained: scvi.model.SCVI, labels: np.ndarray) -> scvi.model.SCANVI:
        _, per_type = np.unique(labels[labels != UNLABELLED], return_counts=True)
        shown = int(np.minimum(per_type, self._config.cells_per_label).sum())
        with training.quiet():
            training.seed(self._seed)
            model = scvi.model.SCANVI.from_scvi_model(pretrained, UNLABELLED, labels_key=LABEL)
            model.train(
                max_epochs=self._config.label_epochs,
                n_samples_per_label=self._config.cells_per_label,
                train_size=1.0,
                batch_size=training.batch_size(self._config.batch_size, len(labels), shown),
                **training.trainer_options(self._device),
            )
        return model
