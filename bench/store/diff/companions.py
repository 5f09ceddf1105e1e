"""Other runs of a configuration in the store: its seeds, and the folds of its exam."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.metrics.aggregate import aggregate, group_means
from bench.runs.record import MetricPart, Record
from bench.store.arithmetic import Column

if TYPE_CHECKING:
    from bench.store.visible import Run

ScoreKey = tuple[str, tuple[tuple[str, str], ...]]
"""Metric, and the sorted pairs of what the score is a part of; empty for the headline."""


@dataclass(frozen=True)
class Companion:
    """One run of the configuration."""

    fold: str
    seed: int
    scores: Mapping[ScoreKey, float]


def companions(record: Record, runs: Iterable[Run]) -> list[Companion]:
    """Visible runs with scores that differ from a record in nothing but seed and fold, itself as it stands."""
    own = (record["fold"], record["seed"])
    alike = [run for run in runs if run.ok and _run_key(run) == configuration(record)]
    found = [
        Companion(run["fold"], run["seed"], _defined({(v.metric, v.part): v.value for v in run.scores}, record))
        for run in alike
        if (run["fold"], run["seed"]) != own
    ]
    return [Companion(*own, scores_of(record)), *found]


def scores_of(record: Record) -> dict[ScoreKey, float]:
    """Every defined score of a record, and the aggregate and its groups where the task has them."""
    values = {(s["metric"], tuple(sorted(s["part"].items()))): s["value"] for s in record["scores"]}
    return _defined(values, record)


def seeds(found: Sequence[Companion], key: ScoreKey, fold: str) -> list[float]:
    """A score for each seed of one fold."""
    return [c.scores[key] for c in found if c.fold == fold and key in c.scores]


def folds(found: Sequence[Companion], key: ScoreKey) -> dict[str, dict[int, float]]:
    """A score by fold and seed."""
    values: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for companion in found:
        if key in companion.scores:
            values[companion.fold][companion.seed] = companion.scores[key]
    return dict(values)


def _defined(values: Mapping[ScoreKey, float | None], record: Record) -> dict[ScoreKey, float]:
    whole = {**_groups(values, record), **values}
    return {key: value for key, value in whole.items() if value is not None}


def _groups(values: Mapping[ScoreKey, float | None], record: Record) -> dict[ScoreKey, float | None]:
    """The aggregate and the means of its groups, see `bench.metrics.aggregate`."""
    weights = record["task"]["aggregate"]
    if not weights:
        return {}
    metrics = [_column(metric) for metric in record["task"]["metrics"]]
    means = group_means({metric: value for (metric, part), value in values.items() if not part}, metrics, weights)
    names = zip(weights, means, strict=True)
    return {("aggregate", ()): aggregate(means, weights), **{(name, ()): value for name, value in names}}


def _column(metric: MetricPart) -> Column:
    bounds = (metric["higher_is_better"], metric["lower"], metric["upper"])
    return Column(metric["name"], "metric", metric["summary"], *bounds, metric["group"])


def configuration(record: Record) -> tuple[Any, ...]:
    """What runs of one configuration agree in, whatever their seed, fold and circumstances."""
    model, task = record["model"], record["task"]
    return (
        *(model[key] for key in ("name", "version", "config", "weights_sha256")),
        *(task[key] for key in ("name", "version", "config", "bridge")),
        *(record["dataset"]["identity"], record["track"], record["split_seed"], record["protocol"]),
    )


def _run_key(run: Run) -> tuple[Any, ...]:
    model = ("model", "model_version", "model_config", "weights_sha256")
    task = ("task", "task_version", "task_config", "bridge")
    return tuple(run[c] for c in (*model, *task, "dataset_identity", "track", "split_seed", "protocol"))
