"""What a model returns is checked before anybody scores it: rows, shapes, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import BadOutput
from bench.tasks import Exam, Output

if TYPE_CHECKING:
    import pandas as pd


def embedding(who: str, values: Any, n_cells: int) -> np.ndarray:
    """Check an embedding and return it as float32 (n_cells, n_dims); `who` is named in messages.

    Raises
    ------
    BadOutput
        If the rows do not match the cells, or the values are not finite numbers, or all the same.
    """
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise BadOutput(f"{who} returned a {array.ndim}-D array of {array.dtype}; an embedding is 2-D float32.")
    if len(array) != n_cells:
        raise BadOutput(f"{who} returned {len(array):,} rows for {n_cells:,} cells.")
    if array.shape[1] == 0:
        raise BadOutput(f"{who} returned an embedding of width 0.")
    array = array.astype(np.float32, copy=False)
    _finite(who, "the embedding", array)
    if len(array) > 1 and not (array != array[0]).any():
        raise BadOutput(f"{who} returned a constant embedding: every cell has the same vector.")
    return array


def probabilities(who: str, frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Check predicted probabilities (cells x classes) and return them in the order of `names`.

    Raises
    ------
    BadOutput
        If rows are missing, repeated or unknown, or values are not probabilities.
    """
    if sorted(map(str, frame.index)) != sorted(map(str, names)):
        raise BadOutput(f"{who} returned {len(frame):,} rows whose names are not the {len(names):,} cells given.")
    if not frame.columns.is_unique or not len(frame.columns):
        raise BadOutput(f"{who} must return one column per class, each named once.")
    values = frame.to_numpy(dtype=np.float64)
    _finite(who, "the predicted probabilities", values)
    if values.size and (values.min() < -1e-6 or abs(values.sum(axis=1) - 1).max() > 1e-3):
        raise BadOutput(f"{who} returned probabilities that are negative or do not sum to 1 per cell.")
    return frame.loc[list(names)]


def output(who: str, answer: Output, exam: Exam) -> Output:
    """Check a whole answer against the exam it belongs to.

    Raises
    ------
    BadOutput
        If row names or shapes do not match, or a number is not finite.
    """
    if len(set(answer.rows)) != len(answer.rows) or set(answer.rows) != set(exam.rows):
        raise BadOutput(f"{who} answered for {len(set(answer.rows)):,} distinct rows, the exam has {len(exam.rows):,}.")
    for name, array in answer.arrays.items():
        if len(array) != len(answer.rows):
            raise BadOutput(f"{who}: {name} has {len(array):,} rows for {len(answer.rows):,} names.")
        if array.dtype.kind not in "fiub":
            raise BadOutput(f"{who}: {name} is an array of {array.dtype}, not of numbers.")
        if array.dtype.kind == "f":
            _finite(who, name, array)
    return answer


def _finite(who: str, what: str, array: np.ndarray) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        bad = np.flatnonzero(~finite.reshape(len(array), -1).all(axis=1))
        raise BadOutput(f"{who}: NaN or Inf in {what} of {len(bad):,} cells (first: row {bad[0]}).")
