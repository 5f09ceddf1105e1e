"""`celltypist.train`, quiet, seeded, and at home with today's scikit-learn."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from bench.data.cache import cache_dir

FOLDER = "CELLTYPIST_FOLDER"
"""Environment variable: where celltypist keeps published models. Importing it makes the folder."""


class OneVsRest(LogisticRegression):
    """Logistic regression with one binary problem per class: what `multi_class="ovr"` was.

    celltypist 1.7 asks for `multi_class`, which scikit-learn 1.8 took away. Without it the problem would be
    multinomial: another model than the one CellTypist's authors describe.
    """

    def __init__(
        self,
        C: float = 1.0,
        solver: str = "lbfgs",
        max_iter: int = 100,
        multi_class: str = "ovr",
        n_jobs: int | None = None,
        random_state: int | None = None,
    ) -> None:
        super().__init__(C=C, solver=solver, max_iter=max_iter, random_state=random_state)
        self.multi_class, self.n_jobs = multi_class, n_jobs

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> OneVsRest:
        """Learn one vector of weights per class; of two classes, one for the second."""
        self.classes_ = np.unique(y)
        asked = self.classes_ if len(self.classes_) > 2 else self.classes_[1:]
        binary = [self._binary().fit(X, y == name, sample_weight) for name in asked]
        self.coef_ = np.vstack([one.coef_ for one in binary])
        self.intercept_ = np.concatenate([one.intercept_ for one in binary])
        self.n_features_in_ = X.shape[1]
        return self

    def _binary(self) -> LogisticRegression:
        return LogisticRegression(C=self.C, solver=self.solver, max_iter=self.max_iter, random_state=self.random_state)


def train(values: Any, labels: np.ndarray, genes: np.ndarray, seed: int, **options: Any) -> Any:
    """Train a `celltypist.models.Model`.

    Parameters
    ----------
    values
        (n_cells, n_genes) log1p of counts scaled to 10,000 per cell, sparse or dense; not changed.
    labels, genes
        Type of each cell, name of each gene.
    seed
        Of the stochastic descent that chooses genes, where `feature_selection` asks for it.
    **options
        Of `celltypist.train`.
    """
    with _quiet():
        module = _training_module()
        before = module.LogisticRegression
        module.LogisticRegression = OneVsRest
        try:
            return module.train(values, labels, genes, check_expression=False, random_state=seed, **options)
        finally:
            module.LogisticRegression = before


def _training_module() -> Any:
    """`celltypist.train`, the module: the package hides it behind a function of the same name."""
    os.environ.setdefault(FOLDER, str(cache_dir() / "celltypist"))
    return importlib.import_module("celltypist.train")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep celltypist's account of its steps away, also from the root logger, which its import would set up."""
    root, own = logging.getLogger(), logging.getLogger("celltypist.logger")
    guard, level = logging.NullHandler(), own.level
    root.addHandler(guard)
    own.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", ConvergenceWarning)  # its limit of 1,000 steps is part of the model
            yield
    finally:
        own.setLevel(level)
        root.removeHandler(guard)
