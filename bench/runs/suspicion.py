"""A score is not believed at once: what is no better than a negative control is flagged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.metrics.aggregate import aggregate, group_means
from bench.specs import TaskSpec
from bench.tasks import Score


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
