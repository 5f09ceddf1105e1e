"""From kept records to the numbers of each entry: which runs are whose, and what they scored."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.data.names import safe_name, stem
from bench.errors import BadInput
from bench.store.arithmetic import columns, complete
from bench.store.index import Store
from bench.store.visible import Run, headline, visible
from bench_study import facts as facts_of
from bench_study import keep
from bench_study.facts import Facts
from bench_study.outline import UNTRAINED, Entry, Exam, Study
from bench_study.steps import probe


@dataclass(frozen=True)
class Kept:
    """A study that has been run: its runs, and what it trained."""

    study: Study
    runs: tuple[Run, ...]
    units: Mapping[tuple[str, str], Mapping[str, float]]
    """(run id, metric) -> unit, such as a class -> value, of headline scores."""
    facts: Mapping[str, Facts]

    def of(self, entry: Entry, exam: Exam) -> list[Run]:
        """Runs with a score of an entry on an exam, one for each fold, in order.

        Raises
        ------
        BadInput
            If there are two for a fold: then the study does not say which settings it means.
        """
        found = [run for run in self.runs if run.ok and _is_of(run.row, entry, exam, self.facts)]
        found.sort(key=lambda run: str(run["fold"]))
        for one, other in itertools.pairwise(found):
            if one["fold"] == other["fold"]:
                raise BadInput(
                    f"entry {entry.name} has two runs of a fold of {exam.name}, {one['run_id']} and {other['run_id']}:"
                    " of two versions, or of settings that the study leaves open. Name these with set, or take another"
                    " --work."
                )
        return found

    @property
    def failed(self) -> int:
        """Runs that were tried and have no score."""
        return sum(run.applicable and not run.ok for run in self.runs)

    @property
    def refused(self) -> int:
        """Runs that were not tried, as model and data do not go together."""
        return sum(not run.applicable for run in self.runs)

    def values(self, entry: Entry, exam: Exam, column: str, shots: int | None = None) -> dict[str, float]:
        """Fold -> score: a metric, a group of metrics or their aggregate; with few labels, a metric alone."""
        found = {str(run["fold"]): _scores(run, shots).get(column) for run in self.of(entry, exam)}
        return {fold: value for fold, value in found.items() if value is not None}

    def control(self, name: str, exam: Exam, metric: str) -> dict[str, float]:
        """Fold -> score of an answer that the task makes itself, the same for all entries."""
        runs = [run for run in self.runs if run.ok and _sits(run.row, exam) and name in run.controls]
        found = {str(run["fold"]): headline(run.controls[name]).get(metric) for run in runs}
        return {fold: value for fold, value in found.items() if value is not None}

    def by_unit(self, entry: Entry, exam: Exam, metric: str) -> dict[str, list[float]]:
        """Unit -> its values over the folds that have it."""
        found: dict[str, list[float]] = {}
        for run in self.of(entry, exam):
            for unit, value in self.units.get((str(run["run_id"]), metric), {}).items():
                found.setdefault(unit, []).append(value)
        return found


def kept_files(study_file: Path) -> tuple[Path, Path]:
    """Where the records and the facts of a study are kept."""
    folder, name = study_file.parent / "kept", study_file.stem
    return folder / f"{name}.jsonl", folder / f"{name}.trained.json"


def load(study: Study, records: Path, facts: Path) -> Kept:
    """Index kept records with `bench` and read them as it does."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(keep.unpack(records, Path(folder)))
        if skipped := store.sync().skipped:
            raise BadInput(f"{records}: bench does not read {skipped[0][0]}: {skipped[0][1]}; keep the records again.")
        return Kept(study, tuple(visible(store)), _units(store), facts_of.read(facts))


def shots(kept: Kept, exam: Exam) -> list[int]:
    """Numbers of labels per type that the few-shot curve of an exam has."""
    parts = {dict(score.part).get("shots") for run in kept.runs if _sits(run.row, exam) for score in run.scores}
    return sorted(int(number) for number in parts if number)


def _scores(run: Run, shots: int | None) -> dict[str, float | None]:
    """Column -> value of one run, with all labels or with few."""
    if shots is not None:
        return {score.metric: score.value for score in run.scores if score.part == (("shots", str(shots)),)}
    definition = run.definition
    names = [column.name for column in columns(definition.metrics, definition.aggregate)]
    return dict(zip(names, complete(headline(run.scores), definition.metrics, definition.aggregate), strict=True))


def _units(store: Store) -> dict[tuple[str, str], dict[str, float]]:
    found: dict[tuple[str, str], dict[str, float]] = {}
    text = "SELECT run_id, metric, unit, value FROM units JOIN runs USING (run_id, attempt)"
    with store.connection() as connection:
        rows = connection.execute(f"{text} WHERE control = '' AND part = '{{}}' ORDER BY ALL").fetchall()
    for run_id, metric, unit, value in rows:
        found.setdefault((run_id, metric), {})[unit] = value
    return found


def _sits(row: Mapping[str, Any], exam: Exam) -> bool:
    return (row["task"], row["dataset"]) == (exam.task, _named(exam.dataset))


@cache
def _named(path: str) -> str:
    """What bench calls a dataset: asked for each run of each number."""
    return safe_name(stem(Path(path)))


def _is_of(row: Mapping[str, Any], entry: Entry, exam: Exam, facts: Mapping[str, Facts]) -> bool:
    asked = (entry.model, probe(entry, exam), entry.seed)
    if exam.name not in entry.exams or not _sits(row, exam) or (row["model"], row["bridge"], row["seed"]) != asked:
        return False
    options = row["model_config"]
    return _has_weights(row, entry.weights, facts) and all(options.get(k) == v for k, v in entry.set.items())


def _has_weights(row: Mapping[str, Any], weights: str, facts: Mapping[str, Facts]) -> bool:
    if weights in ("", UNTRAINED):
        return bool(row["weights"] == (weights or "none"))
    return weights in facts and bool(row["weights_sha256"] == facts[weights].sha256)


def sitting(study: Study, exam: Exam) -> Sequence[Entry]:
    """Entries of an exam, in the order of the study."""
    return [entry for entry in study.entries if exam.name in entry.exams]
