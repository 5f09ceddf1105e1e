"""Records of a whole study with scores of our choosing: what the report is to say of them is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bench_study import facts, keep, measures, outline
from bench_study.outline import UNTRAINED, Entry, Exam, Study
from bench_study.steps import probe
from tests.store.record_factory import make_record, metric, score, write_all

from bench.data.names import safe_name, stem

DONORS = tuple(f"donor={n}" for n in (101, 1015, 1016, 1039, 107, 1244, 1256, 1488))
TYPES = ("B", "NK", "T CD4")
METRICS = {
    "classification": ("macro_f1", "accuracy", "log_loss"),
    "clustering": ("avg_bio", "nmi", "ari", "asw"),
    "integration": ("ari", "ilisi"),
}
SHOTS = ("1", "10")

CLEAN = {
    **{"trained": 90, "cells": 80, "seen": 0, "kept": 0, "scored": 10, "scored_seen": 0},
    **{"comparable": 0.95, "files": [], "problem": ""},
}

Skill = Callable[[str], float]
"""Name of an entry -> its macro-F1 over that of the reference."""


def keep_study(study_file: Path, skill: Skill, units: int = len(DONORS)) -> Study:
    """Make the records of a study and keep them where the report looks for them."""
    study = outline.read(study_file)
    results = study_file.parent / "results"
    write_all(results, *_records(study, skill, units))
    records, known = measures.kept_files(study_file)
    records.parent.mkdir(exist_ok=True)
    keep.pack(results, records)
    facts.write(known, [_facts(p.name, p.model) for p in study.pretrainings])
    return study


def _records(study: Study, skill: Skill, units: int) -> Iterator[Any]:
    for exam in study.exams:
        folds = DONORS[:units] if exam.jobs > 1 else ("published",) if exam.task == "classification" else ("all",)
        for entry in (entry for entry in study.entries if exam.name in entry.exams):
            for number, fold in enumerate(folds):
                yield _record(entry, exam, fold, folds, 0.8 + 0.01 * number, skill(entry.name))


def _record(entry: Entry, exam: Exam, fold: str, folds: tuple[str, ...], level: float, skill: float) -> Any:
    noise = np.random.default_rng([*entry.name.encode(), *fold.encode()]).normal(0, 0.002)
    value = level + skill + (0 if entry.name == "logreg" else noise)
    names = METRICS[exam.task]
    rows = [score(name, value, units=dict.fromkeys(TYPES, value), unit_kind="class") for name in names]
    if exam.task == "classification":
        rows += [score("macro_f1", value - 0.1 / int(n), part={"shots": n}) for n in SHOTS]
    weights = {"": "none", UNTRAINED: UNTRAINED}.get(entry.weights, "own")
    return make_record(
        scores=rows,
        controls={"majority": [score(name, 0.07) for name in names]},
        model__name=entry.model,
        model__config={"other": 1, **entry.set},
        model__weights=weights,
        model__weights_sha256=_sha256(entry.weights) if weights == "own" else "",
        contamination=CLEAN if weights == "own" else None,
        task__name=exam.task,
        task__metrics=[metric(name, group="bio" if name != "ilisi" else "batch") for name in names],
        task__main_metric=names[0],
        task__aggregate={"bio": 0.6, "batch": 0.4} if exam.task == "integration" else {},
        task__bridge=probe(entry, exam),
        task__baselines=[],
        task__floor="majority",
        task__ceiling="",
        dataset__name=safe_name(stem(Path(exam.dataset))),
        fold=fold,
        folds=list(folds),
        seed=entry.seed,
    )


def _sha256(name: str) -> str:
    return (name.encode().hex() * 64)[:64]


def _facts(name: str, model: str) -> facts.Facts:
    return facts.Facts(
        name=name,
        model=model,
        sha256=_sha256(name),
        parameters=3_350_000,
        steps=100,
        cells_seen=3200,
        val_loss=1.25,
        wall_s=125.0,
        data={"a": 90},
        parts={"train": 80, "val": 10, "test": 0},
        genes=17_000,
        config={},
    )
