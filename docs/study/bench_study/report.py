"""The report: a page and its figures, from kept records alone. Its words are in `study.md.j2`."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os.path import relpath
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.atomic import replacing
from bench.wording import counted, percent
from bench_study import ablations as of_ablations
from bench_study import figures, markdown
from bench_study.figures import Bar
from bench_study.measures import Kept, shots, sitting
from bench_study.outline import Comparison, CorpusFile, Entry, Exam, corpus
from bench_study.paired import LEVEL, Estimate, Verdict, difference, estimate, verdict

DONORS, TRANSFER, CLUSTERING, INTEGRATION = "kang", "zheng", "clustering", "integration"
"""Names of the exams that the page is about."""
FINE_TUNED = "ours-finetuned"
MAIN = "macro_f1"
SCORES = (MAIN, "accuracy", "log_loss")
CHANCE = ("stratified-random", "majority")
"""Controls that are shown beside the models."""
ANSWERS: Mapping[Verdict, str] = {
    "better": "**Yes**",
    "worse": "**No, it is worse**",
    "not distinguishable": "**Not distinguishable**",
    "undecided": "**Not decided**",
}
IN_SHORT: Mapping[Verdict, str] = {
    "better": "better than",
    "worse": "worse than",
    "not distinguishable": "not to be told from",
    "undecided": "not decided against",
}


def write(kept: Kept, ablations: Kept | None, page: Path) -> None:
    """Write the page, and its figures to the folder `figures` beside the study.

    Parameters
    ----------
    kept
        The study.
    ablations
        Those of the pretraining; None where they were not run.
    page
        A Markdown file.
    """
    folder = kept.study.folder / "figures"
    draw(kept, folder)
    if ablations is not None:
        of_ablations.draw(ablations, folder)
    with replacing(page) as temporary:
        temporary.write_text(text(kept, ablations, Path(relpath(folder, page.parent)).as_posix()), encoding="utf-8")


def text(kept: Kept, ablations: Kept | None, figures_folder: str) -> str:
    """The page, with figures from a folder."""
    loader = FileSystemLoader(Path(__file__).parent)
    words = Environment(loader=loader, undefined=StrictUndefined, autoescape=False)  # noqa: S701 - it is no HTML
    changed = None if ablations is None else of_ablations.values(ablations)
    made = words.get_template("study.md.j2").render(**values(kept), figures=figures_folder, ablations=changed)
    return made.rstrip() + "\n"


def draw(kept: Kept, folder: Path) -> None:
    """Draw the figures of the study."""
    exam, against = kept.study.exam(DONORS), kept.study.entry(kept.study.reference)
    base = kept.values(against, exam, MAIN)
    others = [entry for entry in ranked(kept, exam) if entry is not against]
    bars = [Bar(e.label, found) for e in others if (found := difference(kept.values(e, exam, MAIN), base))]
    figures.intervals(folder / "differences.svg", bars, f"macro-F1 minus that of: {against.label}")
    asked = {name for question in kept.study.comparisons for name in (question.entry, question.against)}
    lines = {entry.label: curve(kept, entry, exam) for entry in ranked(kept, exam) if entry.name in asked}
    figures.curves(folder / "few-shot.svg", lines, "labelled cells per type", "macro-F1")


def values(kept: Kept) -> dict[str, Any]:
    """Everything that the page says of a study, as text."""
    study, donors = kept.study, kept.study.exam(DONORS)
    return {
        "answers": [(comparison.question, answer(kept, donors, comparison)) for comparison in study.comparisons],
        "in_short": [sentence for entry in study.entries for sentence in in_short(kept, donors, entry)],
        "level": percent(LEVEL),
        "titles": {exam.name: exam.title for exam in study.exams},
        "reference": study.entry(study.reference).label,
        "tables": {name: "\n".join(make(kept)) for name, make in TABLES.items()},
        "contamination": contamination(kept),
        "n_donors": len({fold for e in sitting(study, donors) for fold in kept.values(e, donors, MAIN)}),
        "n_corpus": f"{max((sum(one.data.values()) for one in kept.facts.values()), default=0):,}",
        "steps": study.entry(FINE_TUNED).set["max_steps"],
        "failed": failed(kept),
    }


def failed(kept: Kept) -> str:
    """Which runs have no score."""
    tried = f"{counted(kept.failed, 'run')} failed." if kept.failed else "No run failed."
    refused = f" Not begun, as model and data do not go together: {counted(kept.refused, 'run')}."
    return tried + (refused if kept.refused else "")


def answer(kept: Kept, exam: Exam, comparison: Comparison) -> str:
    """What the scores say to a question, in words."""
    found = compared(kept, exam, comparison)
    if found is None:
        return "**Not known**: not run."
    return f"{ANSWERS[verdict(found)]}: {markdown.with_interval(found, signed=True)}."


def in_short(kept: Kept, exam: Exam, entry: Entry) -> Iterator[str]:
    """All verdicts on an entry in one sentence, if there is a question about it."""
    asked = [comparison for comparison in kept.study.comparisons if comparison.entry == entry.name]
    found = [(f"*{kept.study.entry(c.against).label}*", compared(kept, exam, c)) for c in asked]
    said = {word: [label for label, gap in found if gap and verdict(gap) == kind] for kind, word in IN_SHORT.items()}
    parts = [f"{word} {'; '.join(labels)}" for word, labels in said.items() if labels]
    if parts:
        yield f"*{entry.label}* is {'; it is '.join(parts)}."


def compared(kept: Kept, exam: Exam, comparison: Comparison) -> Estimate | None:
    """The paired difference that a question is about; None where one of both was not run."""
    one, other = (kept.values(kept.study.entry(name), exam, MAIN) for name in (comparison.entry, comparison.against))
    return difference(one, other)


def contamination(kept: Kept) -> str:
    """What the runs themselves found of test cells in the pretraining data, by fingerprints of cells."""
    runs = [run for run in kept.runs if run.ok and run["weights_sha256"]]
    told = sorted({f["reason"] for run in runs for f in run["flags"] if f["kind"] in ("contaminated", "unchecked")})
    if told:
        return f"**Contaminated, or not known not to be**: {'; '.join(told)}."
    found = [run["contamination"] for run in runs if run["contamination"]]
    if not found:
        return "Nothing is known of test cells in the pretraining data: no run with pretrained weights is kept."
    comparable = percent(min(one["comparable"] for one in found))
    return (
        "Whether scored cells were in the pretraining data is computed in every run, by fingerprints of cells: in none"
        f" of {counted(len(found), 'run')} with pretrained weights was there one. In the run with the fewest,"
        f" {comparable} of the pairs of cells could be compared."
    )


def ranked(kept: Kept, exam: Exam, column: str = MAIN) -> list[Entry]:
    """Entries that were run, best first."""
    means = {entry.name: _mean(kept.values(entry, exam, column)) for entry in sitting(kept.study, exam)}
    run = [entry for entry in sitting(kept.study, exam) if means[entry.name] is not None]
    return sorted(run, key=lambda entry: (-(means[entry.name] or 0.0), entry.name))


def curve(kept: Kept, entry: Entry, exam: Exam) -> dict[str, Estimate]:
    """Number of labels per type, as text -> macro-F1."""
    points = {str(n): kept.values(entry, exam, MAIN, n) for n in shots(kept, exam)}
    points["all"] = kept.values(entry, exam, MAIN)
    return {x: found for x, by_fold in points.items() if (found := estimate(list(by_fold.values())))}


def _donors(kept: Kept) -> list[str]:
    exam, reference = kept.study.exam(DONORS), kept.study.entry(kept.study.reference)
    base = kept.values(reference, exam, MAIN)
    rows = []
    for entry in ranked(kept, exam):
        own = kept.values(entry, exam, MAIN)
        against = None if entry is reference else difference(own, base)
        plain = (markdown.number(_mean(kept.values(entry, exam, metric))) for metric in SCORES[1:])
        score = markdown.with_interval(estimate(list(own.values())))
        rows.append([entry.label, score, *plain, markdown.with_interval(against, signed=True), str(len(own))])
    for name in CHANCE:
        means = [_mean(kept.control(name, exam, metric)) for metric in SCORES]
        rows += [[f"*({name})*", *map(markdown.number, means), markdown.NONE, markdown.NONE]] if any(means) else []
    header = ("model", "macro-F1", "accuracy", "log-loss", f"macro-F1 minus {reference.label}", "donors")
    return markdown.table(header, rows)


def _few_shot(kept: Kept) -> list[str]:
    exam = kept.study.exam(DONORS)
    points = [*map(str, shots(kept, exam)), "all"]
    curves = {entry.label: curve(kept, entry, exam) for entry in ranked(kept, exam)}
    means = {label: {x: found.mean for x, found in line.items()} for label, line in curves.items()}
    return markdown.table(
        ("model", *points), [[k, *(markdown.number(m.get(x)) for x in points)] for k, m in means.items()]
    )


def _few_shot_differences(kept: Kept) -> list[str]:
    exam, reference = kept.study.exam(DONORS), kept.study.entry(kept.study.reference)
    counts = shots(kept, exam)
    base = {n: kept.values(reference, exam, MAIN, n) for n in counts}
    rows = []
    for entry in ranked(kept, exam):
        if entry is not reference:
            gaps = (difference(kept.values(entry, exam, MAIN, n), base[n]) for n in counts)
            rows.append([entry.label, *(markdown.with_interval(gap, signed=True) for gap in gaps)])
    return markdown.table(("model", *map(str, counts)), rows)


def _transfer(kept: Kept) -> list[str]:
    exam = kept.study.exam(TRANSFER)
    entries = ranked(kept, exam)
    f1 = {entry.name: kept.by_unit(entry, exam, MAIN) for entry in entries}
    types = sorted({unit for units in f1.values() for unit in units})
    rows = []
    for entry in entries:
        plain = (markdown.number(_mean(kept.values(entry, exam, metric))) for metric in SCORES)
        rows.append([entry.label, *plain, *(markdown.number(_first(f1[entry.name].get(unit, ()))) for unit in types)])
    return markdown.table(("model", "macro-F1", "accuracy", "log-loss", *types), rows)


def _embeddings(name: str, columns: Sequence[str]) -> Callable[[Kept], list[str]]:
    """A table of one exam in which models only embed cells."""

    def table(kept: Kept) -> list[str]:
        exam = kept.study.exam(name)
        rows = [
            [
                entry.label.partition(", probe")[0],
                *(markdown.number(_mean(kept.values(entry, exam, c))) for c in columns),
            ]
            for entry in ranked(kept, exam, columns[0])
        ]
        return markdown.table(("model", *(column.replace("_", " ") for column in columns)), rows)

    return table


def _cost(kept: Kept) -> list[str]:
    exam = kept.study.exam(DONORS)
    rows = []
    for entry in ranked(kept, exam):
        runs, facts = kept.of(entry, exam), kept.facts.get(entry.weights)
        phases = [statistics.fmean(run[name] or 0.0 for run in runs) for name in ("fit_s", "predict_s", "bridge_s")]
        peaks = [run["peak_rss_bytes"] for run in runs if run["peak_rss_bytes"] is not None]
        before = [markdown.many(facts.parameters), markdown.seconds(facts.wall_s)] if facts else [markdown.NONE] * 2
        after = [*map(markdown.seconds, phases), markdown.memory(max(peaks, default=None))]
        rows.append([entry.label, *before, *after])
    return markdown.table(("model", "weights", "pretraining", "fit", "predict", "probe", "memory"), rows)


def _pretrained(kept: Kept) -> list[str]:
    header = ("", "weights", "genes", "cells to train on", "steps", "cells seen", "time", "validation loss")
    rows = [
        [
            *(f.name, markdown.many(f.parameters), f"{f.genes:,}", f"{f.parts.get('train', 0):,}", f"{f.steps:,}"),
            *(f"{f.cells_seen:,}", markdown.seconds(f.wall_s), markdown.number(f.val_loss, 4)),
        ]
        for f in kept.facts.values()
    ]
    return markdown.table(header, rows)


def _files(used: bool) -> Callable[[Kept], list[str]]:
    """A table of the files that were, or were not, pretrained on."""

    def row(file: CorpusFile) -> list[str]:
        return [f"`{file.file}`", file.study, file.why, f"{file.cells:,}", f"{file.genes:,}"]

    def table(kept: Kept) -> list[str]:
        rows = [row(file) for file in corpus(kept.study.folder) if file.use == used]
        return markdown.table(("file", "study", "why", "cells", "genes"), rows, words=3)

    return table


def _labels(name: str) -> Callable[[Kept], list[str]]:
    """A table of what the types of one study became."""

    def table(kept: Kept) -> list[str]:
        with (kept.study.folder / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
            rows = [
                [r["label"], r["becomes"] or "left out", r["why"] or ""] for r in csv.DictReader(file, delimiter="\t")
            ]
        return markdown.table((name.replace("_", " "), "becomes", "why"), rows, words=3)

    return table


TABLES: Mapping[str, Callable[[Kept], list[str]]] = {
    "kang": _donors,
    "few_shot": _few_shot,
    "few_shot_differences": _few_shot_differences,
    "zheng": _transfer,
    "kang_labels": _labels("kang_labels"),
    "zheng_labels": _labels("zheng_labels"),
    "clustering": _embeddings(CLUSTERING, ("avg_bio", "nmi", "ari", "asw")),
    "integration": _embeddings(INTEGRATION, ("aggregate", "bio", "batch")),
    "cost": _cost,
    "pretrained": _pretrained,
    "corpus": _files(used=True),
    "left_out": _files(used=False),
}


def _mean(by_fold: Mapping[str, float]) -> float | None:
    return statistics.fmean(by_fold.values()) if by_fold else None


def _first(found: Iterable[float]) -> float | None:
    return next(iter(found), None)
