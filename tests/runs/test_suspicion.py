"""A score no better than the negative control is flagged, with the reason; so is an embedding that is hardly one."""

from __future__ import annotations

import dataclasses

import numpy as np

from bench.runs.suspicion import collapse, suspicions
from bench.specs import Cap, MetricSpec, TaskSpec
from bench.tasks import Output, Score

BIO, MIXING = MetricSpec("nmi", "", group="bio"), MetricSpec("ilisi", "", group="batch", floor="as-it-was")
LOSS = MetricSpec("loss", "", higher_is_better=False, upper=None)
CONTROLS = {"shuffled": {"nmi": 0.0, "ilisi": 1.0, "loss": 2.0}, "as-it-was": {"nmi": 0.7, "ilisi": 0.2}}


def task(*metrics: MetricSpec, main: str = "", **aggregate: float) -> TaskSpec:
    return TaskSpec("t", "", "a:b", Cap.EMBEDS_CELLS, metrics, main, "d", floor="shuffled", aggregate=aggregate)


def flags(asked: TaskSpec, **values: float | None) -> list[str]:
    """Reasons for a model with these values."""
    controls = {name: scores(**answer) for name, answer in CONTROLS.items()}
    return [flag["reason"] for flag in suspicions(scores(**values), controls, asked)]


def scores(**values: float | None) -> list[Score]:
    return [Score(name, "1", value, 10) for name, value in values.items()]


def test_the_main_metric_must_beat_the_floor() -> None:
    assert flags(task(BIO, main="nmi"), nmi=0.01) == []
    assert flags(task(BIO, main="nmi"), nmi=0.0) == [
        "nmi 0.000 is no better than the negative control (shuffled: 0.000)"
    ]


def test_where_less_is_better_less_must_it_be() -> None:
    assert flags(task(LOSS, main="loss"), loss=1.9) == []
    assert len(flags(task(LOSS, main="loss"), loss=2.0)) == 1


def test_an_aggregate_is_compared_metric_by_metric_with_its_own_floor() -> None:
    """Shuffling mixes perfectly: mixing has to beat the data as it was, biology the shuffle."""
    both = task(BIO, MIXING, bio=0.6, batch=0.4)
    assert flags(both, nmi=0.7, ilisi=0.2) == []
    assert flags(both, nmi=0.0, ilisi=0.2) == [
        "aggregate 0.080 is no better than the negative control (shuffled, as-it-was: 0.080)"
    ]


def test_what_is_not_defined_is_not_suspected() -> None:
    assert flags(task(BIO, main="nmi"), nmi=None) == []
    assert flags(task(BIO, MIXING, bio=0.6, batch=0.4), nmi=0.0) == []


def embedding(same: int) -> Output:
    """Ten cells, of which so many share a vector."""
    values = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    values[:same] = 1
    return Output(tuple(map(str, range(10))), {"embedding": values})


def test_an_embedding_that_is_one_vector_for_most_cells_is_suspect() -> None:
    asked = task(BIO, main="nmi")
    assert collapse(embedding(5), asked) == []
    (flag,) = collapse(embedding(6), asked)
    assert flag["kind"] == "suspect"
    assert "the embedding has collapsed: 60% of the cells have the same vector" in flag["reason"]


def test_most_cells_may_have_the_same_probabilities() -> None:
    asked = dataclasses.replace(task(BIO, main="nmi"), needs=Cap.PREDICTS_LABELS)
    assert collapse(embedding(10), asked) == []
