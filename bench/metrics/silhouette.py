"""Silhouette widths: how compact types are, and how well batches mix inside a type.

Definitions of scib-metrics 0.5.10. The values are computed here rather than by that library, which
compiles a kernel for every group size; `tests/metrics` holds them equal.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def silhouettes(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Euclidean silhouette (b - a) / max(a, b) of each cell, in [-1, 1] (Rousseeuw 1987).

    Parameters
    ----------
    x
        (n, d) vectors.
    labels
        (n,) groups: at least 2 and fewer than n. A cell alone in its group has 0.
    """
    from sklearn.metrics import silhouette_samples

    return np.asarray(silhouette_samples(x, labels), dtype=np.float64)


def rescaled_by_label(widths: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Mean of (s + 1) / 2 of each label, in [0, 1]."""
    return {str(name): float((widths[labels == name].mean() + 1) / 2) for name in np.unique(labels)}


def batch_silhouette(x: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> tuple[float | None, dict[str, float]]:
    """scIB's batch ASW: 1 - |silhouette of the batches inside a label|, averaged over labels.

    Labels of one batch, or whose cells all come from different batches, say nothing and are left out.

    Returns
    -------
    The value (None where no label is left) and its mean over labels for the cells of each batch.
    """
    return _mixing(x, labels, batches, silhouettes)


def bras(x: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> tuple[float | None, dict[str, float]]:
    """Batch-removal adapted silhouette (Rautenstrauch & Ohler 2025, doi:10.1038/s41587-025-02743-4).

    As `batch_silhouette`, with the cosine distance, and the mean distance to all cells of the label's
    other batches in place of the nearest batch. A zero vector has cosine distance 1 to every cell, as in
    scikit-learn; where all are zero the metric is not defined (None).
    """
    lengths = np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    if not lengths.any():
        return None, {}
    unit = np.divide(x.astype(np.float64), lengths, out=np.zeros(x.shape), where=lengths > 0)
    return _mixing(unit, labels, batches, _cosine_to_all_others)


def _mixing(
    x: np.ndarray,
    labels: np.ndarray,
    batches: np.ndarray,
    widths: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> tuple[float | None, dict[str, float]]:
    by_label: list[float] = []
    by_batch: dict[str, list[float]] = {}
    for name in np.unique(labels):
        inside = labels == name
        batch = batches[inside]
        present = np.unique(batch)
        if len(present) in (1, len(batch)):
            continue
        mixed = 1 - np.abs(widths(x[inside], batch))
        by_label.append(float(mixed.mean()))
        for one in present:
            by_batch.setdefault(str(one), []).append(float(mixed[batch == one].mean()))
    units = {name: float(np.mean(values)) for name, values in sorted(by_batch.items())}
    return (float(np.mean(by_label)) if by_label else None), units


def _cosine_to_all_others(unit: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Silhouette of unit vectors by cosine distance, against all cells of other groups together.

    The mean cosine distance of u to a set is 1 - u . (mean of the set), so no pair is ever visited.
    """
    _, code, size = np.unique(groups, return_inverse=True, return_counts=True)
    sums = np.zeros((len(size), unit.shape[1]))
    np.add.at(sums, code, unit)
    cosines = unit @ sums.T
    own = np.take_along_axis(cosines, code[:, None], axis=1)[:, 0]
    same, others = size[code], len(unit) - size[code]
    itself = (unit**2).sum(axis=1)  # 1, or 0 for a zero vector, which is at distance 1 from itself too
    inner = (same - own - (1 - itself)) / np.maximum(same - 1, 1)  # without the cell itself
    outer = 1 - (cosines.sum(axis=1) - own) / others
    # rounding may leave 1e-17 instead of 0 where all cells of a label coincide
    inner, outer = (np.where(d < 1e-12, 0.0, d) for d in (inner, outer))
    largest = np.maximum(inner, outer)
    width = np.divide(outer - inner, largest, out=np.zeros_like(largest), where=largest > 0)
    return np.where(same > 1, width, 0.0)
