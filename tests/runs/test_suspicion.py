"""A score no better than the negative control is flagged, with the reason."""

from __future__ import annotations

from bench.runs.suspicion import suspicions
from bench.specs import Cap, MetricSpec, TaskSpec
from bench.tasks import Score

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
