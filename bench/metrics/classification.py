"""How well predicted cell types agree with the true ones.

Classes are those present in the test truth: a type that occurs in neither truth nor prediction would
otherwise be scored by the convention of a library.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.metrics.measure import Measured, measured

FLOOR = 1e-7
"""Smallest probability in the log-loss: float32 resolution, as in scikit-learn."""
BINS = 15
"""Bins of the calibration error (Guo et al. 2017, doi:10.48550/arXiv.1706.04599)."""


def classification_metrics(
    truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], seen: set[str]
) -> list[Measured]:
    """Every classification metric of one prediction.

    Parameters
    ----------
    truth
        (n,) true type of each cell.
    probabilities
        (n, n_classes), rows summing to 1.
    classes
        Names of the columns. A true type that is no column counts as predicted with probability 0.
    seen
        Types that were in training.
    """
    predicted = np.asarray(classes, dtype=object)[probabilities.argmax(axis=1)]
    n = len(truth)
    f1, recall, support = per_class(truth, predicted)
    known = {name: value for name, value in f1.items() if name in seen}
    weighted = sum(f1[name] * support[name] for name in f1) / n
    return [
        measured("macro_f1", _mean(f1), n, f1, "class"),
        measured("macro_f1_seen", _mean(known), n, known, "class"),
        measured("weighted_f1", weighted, n, f1, "class"),
        measured("accuracy", float(np.mean(truth == predicted)), n),
        measured("balanced_accuracy", _mean(recall), n, recall, "class"),
        measured("log_loss", log_loss(truth, probabilities, classes), n),
        measured("ece", calibration_error(truth == predicted, probabilities.max(axis=1)), n),
    ]


def per_class(truth: np.ndarray, predicted: np.ndarray) -> tuple[dict[str, float], dict[str, float], dict[str, int]]:
    """F1, recall and number of cells of each class present in the truth.

    F1 = 2 TP / (2 TP + FP + FN), which is 0 for a class that is never predicted.

    Parameters
    ----------
    truth, predicted
        (n,) class names.
    """
    f1, recall, support = {}, {}, {}
    for name in np.unique(truth.astype(str)):
        true, chosen = truth == name, predicted == name
        hits = int((true & chosen).sum())
        f1[str(name)] = 2 * hits / int(true.sum() + chosen.sum())
        recall[str(name)] = hits / int(true.sum())
        support[str(name)] = int(true.sum())
    return f1, recall, support


def log_loss(truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> float:
    """Mean of -ln p(true class), in nats; p is at least `FLOOR`, also where the class is no column."""
    column = {name: position for position, name in enumerate(classes)}
    position = np.array([column.get(name, -1) for name in truth])
    chosen = np.where(position >= 0, probabilities[np.arange(len(truth)), position], 0.0)
    return float(np.log(1 / np.clip(chosen.astype(np.float64), FLOOR, 1.0)).mean())


def calibration_error(correct: np.ndarray, confidence: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: mean over cells of |accuracy - confidence| of the cell's bin.

    Parameters
    ----------
    correct
        (n,) bool, whether the most probable class is the true one.
    confidence
        (n,) probability of the most probable class.
    bins
        Number of equally wide bins of confidence, each closed on the right.
    """
    which = np.clip(np.ceil(np.asarray(confidence, dtype=np.float64) * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(which, correct, bins) - np.bincount(which, confidence, bins)
    return float(np.abs(gap).sum() / len(correct))


def _mean(values: dict[str, float]) -> float | None:
    return float(np.mean(list(values.values()))) if values else None
