"""CellTypist (Dominguez Conde et al. 2022), trained on the cells it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import log_expit

from bench.data.exams import is_known, role_values
from bench.data.features import gene_positions, highly_variable, lognorm
from bench.errors import BadInput
from bench_celltypist.training import train

if TYPE_CHECKING:
    import anndata as ad

    from bench.capabilities import Weights
    from bench_celltypist.plugin import CellTypistConfig

CLIP = 10.0
"""Largest scaled value, in celltypist's training and annotation alike."""
BLOCK = 5000
"""Cells scaled at once: they are dense."""


class CellTypistModel:
    """`celltypist.train` on log-normalised expression of the labelled cells; no published model is used.

    CellTypist's probabilities are those of one class against the rest and need not sum to 1: here they are
    divided by their sum, which leaves its best match where it is.
    """

    def __init__(self, config: CellTypistConfig, *, weights: Weights, seed: int, device: str) -> None:
        self._config, self._seed = config, seed

    def fit(self, cells: ad.AnnData) -> None:
        """Learn from the cells with a label.

        Raises
        ------
        BadInput
            If there is none, or fewer genes than feature selection is to keep.
        """
        labels = role_values(cells, "cell_type")
        known = is_known(labels)
        if not known.any():
            raise BadInput("'cell_type' is missing for all training cells; CellTypist needs labelled ones.")
        self.classes = np.unique(labels[known].astype(str))
        self._model: Any = None
        if len(self.classes) > 1:
            self._train(cells, known, labels[known].astype(str))

    def predict(self, cells: ad.AnnData) -> pd.DataFrame:
        """Return probabilities (obs_names x classes); raises `BadInput` where a gene it needs is missing."""
        blocks = [slice(start, start + BLOCK) for start in range(0, cells.n_obs, BLOCK)]
        values = [self._probabilities(cells[block]) for block in blocks]
        table = np.vstack(values) if values else np.empty((0, len(self.classes)))
        return pd.DataFrame(table, index=cells.obs_names.copy(), columns=pd.Index(self.classes))

    def _train(self, cells: ad.AnnData, known: np.ndarray, labels: np.ndarray) -> None:
        kept = highly_variable(cells, self._config.n_genes) if self._config.n_genes else np.arange(cells.n_vars)
        values = lognorm(cells.X)[known][:, kept]
        expressed = int((values.getnnz(axis=0) > 0).sum())
        if self._config.feature_selection and expressed <= self._config.top_genes:
            raise BadInput(
                f"CellTypist cannot choose {self._config.top_genes} genes per type among {expressed};"
                " set top_genes lower, or leave feature_selection out."
            )
        self._model = train(
            values,
            labels,
            np.asarray(cells.var_names, dtype=str)[kept],
            self._seed,
            C=self._config.C,
            feature_selection=self._config.feature_selection,
            top_genes=self._config.top_genes,
        )

    def _probabilities(self, cells: ad.AnnData) -> np.ndarray:
        """(n, n_classes) of a block of cells."""
        if self._model is None:
            return np.ones((cells.n_obs, 1))
        genes = np.asarray(self._model.features)
        values = lognorm(cells.X)[:, gene_positions(cells, genes)].toarray()
        scaled = np.minimum(self._model.scaler.transform(values), CLIP)
        scores, _, _ = self._model.predict_labels_and_prob(scaled)
        log_odds = log_expit(np.asarray(scores, dtype=np.float64))  # a far cell may be of no class at all: p = 0
        shares = np.exp(log_odds - log_odds.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)
