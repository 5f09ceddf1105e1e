"""Probes: a classifier on top of a model that only embeds cells, so that it can sit the exam."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.capabilities import EmbedsCells
from bench.data.exams import is_known, role_values
from bench.heads import Head, KNNHead, LogisticHead, MLPHead

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

MakeEmbedder = Callable[[], EmbedsCells]


class Probe:
    """Embeds training cells, labelled or not, and trains a head on the labelled ones."""

    def __init__(self, make_embedder: MakeEmbedder, head: Head) -> None:
        self._make_embedder, self._head = make_embedder, head

    def fit(self, cells: ad.AnnData) -> None:
        """Learn from `cells.obs["cell_type"]`; tuning is done by `cells.obs["group"]` where it exists."""
        self._embedder = self._make_embedder()
        self._embedder.fit(cells)
        vectors = self._embedder.embed(cells)
        labels = role_values(cells, "cell_type")
        known = is_known(labels)
        groups = role_values(cells, "group")[known].astype(str) if "group" in cells.obs else None
        self._head.fit(np.asarray(vectors, dtype=np.float32)[known], labels[known].astype(str), groups)

    def predict(self, cells: ad.AnnData) -> pd.DataFrame:
        """Return probabilities (obs_names x classes)."""
        import pandas as pd

        vectors = np.asarray(self._embedder.embed(cells), dtype=np.float32)
        return pd.DataFrame(self._head.predict(vectors), index=cells.obs_names, columns=pd.Index(self._head.classes))


def logreg(make_embedder: MakeEmbedder, *, config: Any, seed: int) -> Probe:
    """Logistic regression."""
    return Probe(make_embedder, LogisticHead(seed))


def knn(make_embedder: MakeEmbedder, *, config: Any, seed: int) -> Probe:
    """Nearest neighbours; nothing in it is random."""
    return Probe(make_embedder, KNNHead())


def mlp(make_embedder: MakeEmbedder, *, config: Any, seed: int) -> Probe:
    """Multilayer perceptron."""
    return Probe(make_embedder, MLPHead(seed))
