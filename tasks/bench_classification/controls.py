"""Answers to the classification exam that need no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from bench.data.exams import is_known, role_values
from bench.heads import LogisticHead
from bench.tasks import Exam, Truth

if TYPE_CHECKING:
    import anndata as ad

Answer = tuple[np.ndarray, tuple[str, ...]]
"""Probabilities (n, n_classes) in the order of the exam's rows, and the names of the classes."""


def control_probabilities(exam: Exam, truth: Truth, seed: int) -> dict[str, Answer]:
    """Answers of every control."""
    train, test = exam.parts["train"], exam.parts["test"]
    labelled = train[is_known(role_values(train, "cell_type"))]
    labels = role_values(labelled, "cell_type").astype(str)
    names, counts = np.unique(labels, return_counts=True)
    classes, frequency = tuple(map(str, names)), counts / counts.sum()
    drawn = np.random.default_rng(seed).choice(len(classes), test.n_obs, p=frequency)
    return {
        "majority": (np.tile(frequency, (test.n_obs, 1)), classes),
        "stratified-random": (np.eye(len(classes))[drawn], classes),
        "total-counts": _total_counts(labelled, labels, test, seed),
        "truth": _truth(exam, truth),
    }


def _total_counts(train: ad.AnnData, labels: np.ndarray, test: ad.AnnData, seed: int) -> Answer:
    """Logistic regression on the log of a cell's total count: how much of the type is sequencing depth."""
    head = LogisticHead(seed)
    head.fit(_log_totals(train), labels, role_values(train, "group") if "group" in train.obs else None)
    return head.predict(_log_totals(test)), tuple(map(str, head.classes))


def _log_totals(cells: ad.AnnData) -> np.ndarray:
    totals = np.asarray(sparse.csr_matrix(cells.X).sum(axis=1)).reshape(-1, 1)
    return np.log1p(totals).astype(np.float32)


def _truth(exam: Exam, truth: Truth) -> Answer:
    labels = truth.obs.loc[list(exam.rows), "cell_type"].to_numpy(dtype=object).astype(str)
    names, code = np.unique(labels, return_inverse=True)
    return np.eye(len(names))[code], tuple(map(str, names))
