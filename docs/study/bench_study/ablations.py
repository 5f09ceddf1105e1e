"""The ablations: one thing of the pretraining changed at a time, scored on development sets."""

from __future__ import annotations

import statistics
from pathlib import Path

from bench.wording import duration
from bench_study import figures, markdown
from bench_study.figures import Bar
from bench_study.measures import Kept
from bench_study.outline import Entry
from bench_study.paired import Estimate

MAIN = "macro_f1"


def bars(kept: Kept) -> list[Bar]:
    """A bar for each variant that was run, in the order of the study: the mean over seeds and folds, and each."""
    found: dict[tuple[str, str], list[float]] = {}
    for entry in kept.study.entries:
        found.setdefault((entry.group, entry.label), []).extend(_points(kept, entry))
    return [
        Bar(label, Estimate(statistics.fmean(points), None, None, len(points)), tuple(points), group)
        for (group, label), points in found.items()
        if points
    ]


def draw(kept: Kept, folder: Path) -> None:
    """Draw the figure of the ablations."""
    figures.groups(folder / "ablations.svg", bars(kept), "macro-F1, probe log-reg")


def values(kept: Kept) -> dict[str, str]:
    """Everything that the page says of the ablations, as text."""
    steps = sorted({facts.steps for facts in kept.facts.values()})
    rows = [
        [f"{b.group}: {b.label}", markdown.number(b.estimate.mean), *_range(b), str(b.estimate.n)] for b in bars(kept)
    ]
    return {
        "steps": " to ".join(f"{n:,}" for n in dict.fromkeys((steps[0], steps[-1]))),
        "seeds": str(len({entry.seed for entry in kept.study.entries})),
        "longest": duration(max(facts.wall_s for facts in kept.facts.values())),
        "exams": " and ".join(exam.title for exam in kept.study.exams),
        "table": "\n".join(markdown.table(("variant", "macro-F1", "lowest", "highest", "runs"), rows)),
    }


def _points(kept: Kept, entry: Entry) -> list[float]:
    exams = [exam for exam in kept.study.exams if exam.name in entry.exams]
    return [value for exam in exams for value in kept.values(entry, exam, MAIN).values()]


def _range(bar: Bar) -> tuple[str, str]:
    return markdown.number(min(bar.points)), markdown.number(max(bar.points))
