"""XGBoost (Chen and Guestrin 2016) on log-normalised variable genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xgboost

from bench.data.exams import is_known, role_values
from bench.data.features import gene_positions, highly_variable, lognorm
from bench.errors import BadInput
from bench.heads import validation_cut

if TYPE_CHECKING:
    import anndata as ad
    from scipy import sparse

    from bench.capabilities import Weights
    from bench_xgboost.plugin import XGBoostConfig

ROUNDS_UNWATCHED = 50
"""Rounds where no cell can be spared for validation."""


class XGBoostModel:
    """One boosted multiclass model of the labelled cells (objective `multi:softprob`, histogram trees).

    The validation part that ends the training is cut by `obs["group"]` where groups are known, as that of
    the neural network baseline; the rounds up to the best one answer. Genes are chosen on all training
    cells, labelled or not. A gene without counts in a cell counts as missing: each split learns on which side
    such cells go, and tables stay sparse. Threads are those OpenMP grants.
    """

    def __init__(self, config: XGBoostConfig, *, weights: Weights, seed: int, device: str) -> None:
        self._config, self._seed, self._device = config, seed, device

    def fit(self, cells: ad.AnnData) -> None:
        """Learn from the cells with a label; raises `BadInput` where there is none."""
        labels = role_values(cells, "cell_type")
        known = is_known(labels)
        if not known.any():
            raise BadInput("'cell_type' is missing for all training cells; XGBoost needs labelled ones.")
        self.classes, codes = np.unique(labels[known].astype(str), return_inverse=True)
        kept = highly_variable(cells, self._config.n_genes) if self._config.n_genes else np.arange(cells.n_vars)
        self._genes = np.asarray(cells.var_names)[kept]
        self._booster: Any = None
        if len(self.classes) > 1:
            groups = role_values(cells, "group")[known].astype(str) if "group" in cells.obs else None
            cut = validation_cut(self.classes[codes], groups, self._seed)
            self._booster = self._train(self._values(cells)[known], codes, cut)

    def predict(self, cells: ad.AnnData) -> pd.DataFrame:
        """Return probabilities (obs_names x classes); raises `BadInput` where a gene it needs is missing."""
        values = self._values(cells)
        if self._booster is None or not cells.n_obs:
            shares = np.ones((cells.n_obs, len(self.classes)))
        else:
            shares = self._booster.predict(xgboost.DMatrix(values)).astype(np.float64)
        shares /= shares.sum(axis=1, keepdims=True)
        return pd.DataFrame(shares, index=cells.obs_names.copy(), columns=pd.Index(self.classes))

    def _values(self, cells: ad.AnnData) -> sparse.csr_matrix:
        values = lognorm(cells.X)[:, gene_positions(cells, self._genes)]
        values.sort_indices()
        return values

    def _train(self, values: sparse.csr_matrix, codes: np.ndarray, cut: np.ndarray) -> xgboost.Booster:
        learned = xgboost.DMatrix(values[~cut], codes[~cut])
        if not cut.any():
            return xgboost.train(self._parameters(), learned, min(ROUNDS_UNWATCHED, self._config.max_rounds))
        booster = xgboost.train(
            self._parameters(),
            learned,
            self._config.max_rounds,
            evals=[(xgboost.DMatrix(values[cut], codes[cut]), "validation")],
            early_stopping_rounds=self._config.patience,
            verbose_eval=False,
        )
        return booster[: booster.best_iteration + 1]

    def _parameters(self) -> dict[str, Any]:
        return {
            "objective": "multi:softprob",
            "num_class": len(self.classes),
            "tree_method": "hist",
            "device": self._device,
            "seed": self._seed,
            "learning_rate": self._config.learning_rate,
            "max_depth": self._config.max_depth,
            "colsample_bytree": self._config.colsample,
            "subsample": self._config.subsample,
            "max_bin": self._config.max_bin,
            "verbosity": 0,
        }
