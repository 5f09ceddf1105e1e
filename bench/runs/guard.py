"""What a model returns is checked before it is scored, and a score before it is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import BadOutput
from bench.metrics.aggregate import aggregate, group_means
from bench.specs import TaskSpec
from bench.tasks import Exam, Output, Score

if TYPE_CHECKING:
    import pandas as pd


def embedding(model: str, values: Any, n_cells: int) -> np.ndarray:
    """Check an embedding and return it as float32 (n_cells, n_dims).

    Raises
    ------
    BadOutput
        If the rows do not match the cells, or the values are not finite numbers, or all the same.
    """
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise BadOutput(f"model {model} returned a {array.ndim}-D array of {array.dtype}; an embedding is 2-D float32.")
    if len(array) != n_cells:
        raise BadOutput(f"model {model} returned {len(array):,} rows for {n_cells:,} cells.")
    if array.shape[1] == 0:
        raise BadOutput(f"model {model} returned an embedding of width 0.")
    array = array.astype(np.float32, copy=False)
    _finite(model, "the embedding", array)
    if len(array) > 1 and not (array != array[0]).any():
        raise BadOutput(f"model {model} returned a constant embedding: every cell has the same vector.")
    return array


def probabilities(model: str, frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Check predicted probabilities (cells x classes) and return them in the order of `names`.

    Raises
    ------
    BadOutput
        If rows are missing, repeated or unknown, or values are not probabilities.
    """
    if sorted(map(str, frame.index)) != sorted(map(str, names)):
        raise BadOutput(
            f"model {model} returned {len(frame):,} rows whose names are not the {len(names):,} cells given."
        )
    values = frame.to_numpy(dtype=np.float64)
    _finite(model, "the predicted probabilities", values)
    if values.size and (values.min() < -1e-6 or abs(values.sum(axis=1) - 1).max() > 1e-3):
        raise BadOutput(f"model {model} returned probabilities that are negative or do not sum to 1 per cell.")
    return frame.loc[list(names)]


def output(model: str, answer: Output, exam: Exam) -> Output:
    """Check a whole answer against the exam it belongs to.

    Raises
    ------
    BadOutput
        If row names or shapes do not match, or a number is not finite.
    """
    if len(set(answer.rows)) != len(answer.rows) or set(answer.rows) != set(exam.rows):
        raise BadOutput(
            f"model {model} answered for {len(set(answer.rows)):,} distinct rows, the exam has {len(exam.rows):,}."
        )
    for name, array in answer.arrays.items():
        if len(array) != len(answer.rows):
            raise BadOutput(f"model {model}: {name} has {len(array):,} rows for {len(answer.rows):,} names.")
        if array.dtype.kind == "f":
            _finite(model, name, array)
    return answer


def suspicions(
    scores: Sequence[Score], controls: Mapping[str, Sequence[Score]], task: TaskSpec
) -> list[dict[str, str]]:
    """Flags for a result that is no better than the task's negative controls.

    Compared is the task's main metric or, where it has none, the aggregate of its metric groups; each
    metric has its own negative control, see `bench.specs.MetricSpec.floor`.
    """
    own = headline(_values(scores), task)
    by_control = {name: _values(answer) for name, answer in controls.items()}
    floor = headline({m.name: by_control.get(m.floor or task.floor, {}).get(m.name) for m in task.metrics}, task)
    if own is None or floor is None:
        return []
    higher = next((m.higher_is_better for m in task.metrics if m.name == task.main_metric), True)
    if own > floor if higher else own < floor:
        return []
    what = task.main_metric or "aggregate"
    used = ", ".join(dict.fromkeys(m.floor or task.floor for m in task.metrics))
    reason = f"{what} {own:.3f} is no better than the negative control ({used}: {floor:.3f})"
    return [{"kind": "suspect", "reason": reason}]


def headline(values: Mapping[str, float | None], task: TaskSpec) -> float | None:
    """The number a task is ranked by; None where a metric it needs is not defined."""
    if task.main_metric:
        return values.get(task.main_metric)
    return aggregate(group_means(values, task.metrics, task.aggregate), task.aggregate)


def _values(scores: Sequence[Score]) -> dict[str, float | None]:
    return {s.metric: s.value for s in scores if not s.part}


def _finite(model: str, what: str, array: np.ndarray) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        bad = np.flatnonzero(~finite.reshape(len(array), -1).all(axis=1))
        raise BadOutput(
            f"model {model}: {what} has NaN or infinite values in {len(bad):,} cells (first: row {bad[0]})."
        )
