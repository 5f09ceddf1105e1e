"""A score is not believed at once: what is no better than a negative control, or not an embedding, is flagged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.metrics.aggregate import aggregate, group_means
from bench.specs import Cap, TaskSpec
from bench.tasks import Output, Score

if TYPE_CHECKING:
    import numpy as np

COLLAPSED = 0.5


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


def collapse(output: Output, task: TaskSpec) -> list[dict[str, str]]:
    """A flag for an embedding in which more than half of the cells have one and the same vector."""
    if task.needs is not Cap.EMBEDS_CELLS:
        return []  # many a right answer is the same for most cells
    shares = {name: _largest_share(array) for name, array in output.arrays.items() if array.ndim == 2 and array.size}
    return [
        {"kind": "suspect", "reason": f"the {name} has collapsed: {share:.0%} of the cells have the same vector"}
        for name, share in shares.items()
        if share > COLLAPSED
    ]


def _largest_share(array: np.ndarray) -> float:
    """Share of the rows that are the most frequent row."""
    import numpy as np

    rows = np.ascontiguousarray(array).view(np.dtype((np.void, array.dtype.itemsize * array.shape[1]))).ravel()
    return float(np.unique(rows, return_counts=True)[1].max() / len(rows))


def headline(values: Mapping[str, float | None], task: TaskSpec) -> float | None:
    """The number a task is ranked by; None where a metric it needs is not defined."""
    if task.main_metric:
        return values.get(task.main_metric)
    return aggregate(group_means(values, task.metrics, task.aggregate), task.aggregate)


def _values(scores: Sequence[Score]) -> dict[str, float | None]:
    return {s.metric: s.value for s in scores if not s.part}
