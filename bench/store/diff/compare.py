"""Two runs beside each other: what differs, their scores and whether they differ beyond noise, their cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BadInput
from bench.runs.record import Record
from bench.store.diff import noise
from bench.store.diff.companions import Companion, ScoreKey, companions, configuration, folds, scores_of, seeds
from bench.store.diff.find import find
from bench.store.diff.noise import Noise
from bench.store.diff.provenance import Cost, Difference, costs, differences, incomparable, joined, untold
from bench.store.index import Store
from bench.store.visible import Run, visible

INDEPENDENT = {"donor": "donors", "batch": "batches", "perturbation": "perturbations"}
"""Kinds of units, and groups that folds hold out, that are independent of each other; types and cells are not."""


@dataclass(frozen=True)
class RunName:
    """Which run a column belongs to."""

    run_id: str
    attempt: int
    model: str
    bridge: str
    task: str
    dataset: str
    fold: str
    seed: int
    status: str
    error: str
    """Why there are no scores; empty where there are."""
    created: str


@dataclass(frozen=True)
class ScoreRow:
    """One score of both runs; None where a run has no such score, or it is not defined."""

    metric: str
    part: dict[str, str]
    first: float | None
    second: float | None
    difference: float | None
    """Second minus first."""
    noise: Noise | None
    """None where there is nothing to compare: a value is missing, or the runs are not comparable."""


@dataclass(frozen=True)
class Comparison:
    """What `bench diff` says."""

    first: RunName
    second: RunName
    incomparable: tuple[str, ...]
    """Why their scores are no answers to one question; empty where they are."""
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    """What may differ although nothing says so."""
    scores: tuple[ScoreRow, ...]
    costs: tuple[Cost, ...]

    @property
    def identical(self) -> bool:
        """Whether both runs have scores, and every one of them is the same to the last bit."""
        return bool(self.scores) and all(row.noise and row.noise.verdict == "identical" for row in self.scores)


def compare(results: Path, first: str, second: str) -> Comparison:
    """Compare two runs.

    Parameters
    ----------
    results
        The results folder; its other runs tell how large noise is. Not needed where both are record files.
    first, second
        A run id or its unique beginning, `ID.N` for attempt N, or the path of a record file.

    Raises
    ------
    BadInput
        If a run does not exist, several begin so, or both are one attempt.
    StoreError
        If the index cannot be used.
    """
    records = find(results, first), find(results, second)
    if _attempt(records[0]) == _attempt(records[1]) and records[0] == records[1]:
        run_id, attempt = _attempt(records[0])
        raise BadInput(f"both are attempt {attempt} of run {run_id}; name two attempts as {run_id[:8]}.1 and so on.")
    reasons = incomparable(*records)
    return Comparison(
        _name(records[0]),
        _name(records[1]),
        tuple(reasons),
        tuple(differences(*records)),
        tuple(untold(*records)),
        tuple(_scores(*records, _runs(results)) if not reasons else _beside(*records)),
        tuple(costs(*records)),
    )


def _runs(results: Path) -> list[Run]:
    """The visible runs of the results folder; none where there is no folder."""
    if not results.is_dir():
        return []
    store = Store(results)
    store.sync()
    return visible(store)


def _scores(first: Record, second: Record, runs: Sequence[Run]) -> list[ScoreRow]:
    """All scores, judged."""
    judge = _Judge(first, second, companions(first, runs), companions(second, runs))
    rows = _beside(first, second)
    return [
        ScoreRow(r.metric, r.part, r.first, r.second, r.difference, judge(_key(r), r.first, r.second)) for r in rows
    ]


def _beside(first: Record, second: Record) -> list[ScoreRow]:
    """All scores beside each other, headlines first, without judgement."""
    pairs = joined(_values(first), _values(second))
    rows = [ScoreRow(metric, dict(part), *values, _gap(*values), None) for (metric, part), values in pairs.items()]
    return sorted(rows, key=lambda row: bool(row.part))


def _values(record: Record) -> dict[ScoreKey, float | None]:
    """Defined scores with the aggregate, then those that are not defined."""
    undefined = {_score_key(s["metric"], s["part"]): None for s in record["scores"] if s["value"] is None}
    return {**scores_of(record), **undefined}


@dataclass(frozen=True)
class _Judge:
    """Finds the best ground there is to judge a difference of scores on."""

    first: Record
    second: Record
    firsts: Sequence[Companion]
    seconds: Sequence[Companion]

    def __call__(self, key: ScoreKey, first: float | None, second: float | None) -> Noise | None:
        if first is None or second is None:
            return None
        if first == second and _units(self.first, key) == _units(self.second, key):
            return Noise("identical", "the same to the last bit")
        if configuration(self.first) == configuration(self.second):
            own = seeds(self.firsts, key, self.first["fold"])
            return noise.over_repeats(second - first, own) or self._unknown(key)
        return self._over_units(key) or self._over_folds(key) or self._over_seeds(key) or self._unknown(key)

    def _over_units(self, key: ScoreKey) -> Noise | None:
        (kind, first), (other, second) = _units(self.first, key), _units(self.second, key)
        return noise.over_units(first, second, INDEPENDENT[kind]) if kind == other and kind in INDEPENDENT else None

    def _over_folds(self, key: ScoreKey) -> Noise | None:
        """By folds that hold out whole groups, each with the mean over the seeds both have."""
        held_out = self.first["split"]["by"] if self.first["split"] else ""
        if held_out not in INDEPENDENT:
            return None
        first, second = folds(self.firsts, key), folds(self.seconds, key)
        pairs = {fold: _means(first[fold], second[fold]) for fold in first.keys() & second.keys()}
        known = {fold: pair for fold, pair in pairs.items() if pair}
        kind = f"folds, each of held-out {INDEPENDENT[held_out]}"
        return noise.over_units({f: p[0] for f, p in known.items()}, {f: p[1] for f, p in known.items()}, kind)

    def _over_seeds(self, key: ScoreKey) -> Noise | None:
        fold = self.first["fold"]
        return noise.over_seeds(seeds(self.firsts, key, fold), seeds(self.seconds, key, fold))

    def _unknown(self, key: ScoreKey) -> Noise:
        """What is there, and what would tell."""
        n_folds = len(folds(self.firsts, key).keys() & folds(self.seconds, key).keys())
        few = f"{n_folds} folds, fewer than {noise.MIN_UNITS}, give no interval; " if n_folds > 1 else ""
        return Noise("unknown", few + noise.MORE_SEEDS)


def _means(first: dict[int, float], second: dict[int, float]) -> tuple[float, float] | None:
    """Means over the seeds that both have."""
    both = first.keys() & second.keys()
    return (sum(first[s] for s in both) / len(both), sum(second[s] for s in both) / len(both)) if both else None


def _units(record: Record, key: ScoreKey) -> tuple[str, dict[str, float]]:
    """Kind and values of a score's units."""
    for score in record["scores"]:
        if _score_key(score["metric"], score["part"]) == key:
            return score["unit_kind"], score["units"]
    return "", {}


def _score_key(metric: str, part: dict[str, str]) -> ScoreKey:
    return metric, tuple(sorted(part.items()))


def _key(row: ScoreRow) -> ScoreKey:
    return _score_key(row.metric, row.part)


def _gap(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else second - first


def _attempt(record: Record) -> tuple[str, int]:
    return record["run_id"], record["attempt"]


def _name(record: Record) -> RunName:
    return RunName(
        run_id=record["run_id"],
        attempt=record["attempt"],
        model=record["model"]["name"],
        bridge=record["task"]["bridge"],
        task=record["task"]["name"],
        dataset=record["dataset"]["name"],
        fold=record["fold"],
        seed=record["seed"],
        status=record["status"],
        error=record["error"]["message"] if record["error"] else "",
        created=record["created"],
    )
