"""Cell type classifiers on expression: features from all training cells, a head on the labelled ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from bench.data.features import ExpressionPCA, VariableGenes
from bench.errors import BadInput
from bench.heads import Head, KNNHead, LogisticHead, MLPHead

if TYPE_CHECKING:
    import anndata as ad

    from bench.capabilities import Weights
    from bench_baselines.plugin import GenesConfig, KNNConfig, MLPConfig


class Features(Protocol):
    """Turns cells into vectors after having seen the training cells."""

    def fit(self, cells: ad.AnnData) -> Features: ...

    def transform(self, cells: ad.AnnData) -> np.ndarray: ...


class _Classifier:
    """Features, then a head.

    Labels come from `obs["cell_type"]`; cells without one still shape the features. `obs["group"]`, where
    present, tells the head which cells belong together when it cuts its validation part.
    """

    def __init__(self, features: Features, head: Head) -> None:
        self._features = features
        self._head = head

    def fit(self, cells: ad.AnnData) -> None:
        """Learn from the training cells; raises `BadInput` where none has a label."""
        labelled = _labelled(cells)
        x = self._features.fit(cells).transform(cells)[labelled]
        labels = cells.obs["cell_type"].to_numpy()[labelled].astype(str)
        groups = cells.obs["group"].to_numpy()[labelled].astype(str) if "group" in cells.obs else None
        self._head.fit(x, labels, groups)

    def predict(self, cells: ad.AnnData) -> pd.DataFrame:
        """Return probabilities (obs_names x classes)."""
        probabilities = self._head.predict(self._features.transform(cells))
        return pd.DataFrame(probabilities, index=cells.obs_names.copy(), columns=self._head.classes)


class LogisticRegressionModel(_Classifier):
    """Logistic regression on scaled variable genes."""

    def __init__(self, config: GenesConfig, *, weights: Weights, seed: int, device: str) -> None:
        super().__init__(VariableGenes(config.n_genes), LogisticHead(seed))


class MLPModel(_Classifier):
    """A neural network with one hidden layer on scaled variable genes."""

    def __init__(self, config: MLPConfig, *, weights: Weights, seed: int, device: str) -> None:
        head = MLPHead(seed, config.hidden, config.max_epochs, config.patience)
        super().__init__(VariableGenes(config.n_genes), head)


class KNNModel(_Classifier):
    """Vote of the nearest training cells in PCA space."""

    def __init__(self, config: KNNConfig, *, weights: Weights, seed: int, device: str) -> None:
        features = ExpressionPCA(config.n_components, config.n_genes, config.scale, seed)
        super().__init__(features, KNNHead(config.k))


def _labelled(cells: ad.AnnData) -> np.ndarray:
    if "cell_type" not in cells.obs:
        raise BadInput("obs has no column 'cell_type' to learn from; map one with --obs cell_type=COLUMN.")
    known = cells.obs["cell_type"].notna().to_numpy()
    if not known.any():
        raise BadInput("'cell_type' is missing for all training cells; a classifier needs labelled ones.")
    return known
