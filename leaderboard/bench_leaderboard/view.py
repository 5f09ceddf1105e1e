"""Turns summaries into what the template shows: text, marks and links, nothing left to compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from bench.store.arithmetic import Column
from bench.store.exam import Cell, Control, Entry, Exam, Track
from bench.store.ranking import Overall, Standing
from bench.store.visible import Part
from bench_leaderboard import numbers
from bench_leaderboard.labels import SPLITS, TRACKS, WEIGHTS, Defaults, changed, options, safe_link, trained


@dataclass(frozen=True)
class Box:
    """One cell of a table."""

    exact: str = ""
    """The number in full, for machines; empty where there is none."""
    text: str = ""
    small: tuple[str, ...] = ()
    best: bool = False
    main: bool = False
    missing: str = ""
    """Why there is no number: failed, not applicable, not run, not defined."""
    hint: str = ""


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    name: str
    detail: str = ""
    link: str = ""
    hint: str = ""
    badges: tuple[tuple[str, str], ...] = ()
    """(kind, text)"""
    remarks: tuple[tuple[str, str], ...] = ()
    """(kind, text): `wrong` for what casts doubt on a score or prevents it, `plain` for the rest."""
    boxes: tuple[Box, ...] = ()
    costs: tuple[tuple[str, str], ...] = ()
    """(text, small text)"""
    runs: tuple[tuple[str, str], ...] = ()
    """(text, address) of the records behind it."""
    rank: str = ""


@dataclass(frozen=True)
class Table:
    """One table: entries, then controls."""

    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    controls: tuple[Row, ...] = ()
    absent: str = ""
    parts: tuple[PartTable, ...] = ()


@dataclass(frozen=True)
class PartTable:
    """Scores of one metric over the values of what they are a part of, such as shots."""

    metric: str
    key: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Section:
    """One exam."""

    anchor: str
    task: str
    dataset: str
    badges: tuple[tuple[str, str], ...]
    facts: tuple[str, ...]
    notes: tuple[str, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Page:
    """Everything the template needs."""

    models: int
    runs: int
    sections: tuple[Section, ...]
    ranks: tuple[Table, ...]


@dataclass
class _Names:
    """How entries are called: what sets them apart from the default, or else from each other."""

    exams: Sequence[Exam]
    defaults: Defaults
    configs: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    versions: dict[str, set[str]] = field(default_factory=dict)
    weights: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entry in _entries(self.exams):
            self.configs.setdefault(entry.model, []).append(entry.config)
            self.versions.setdefault(entry.model, set()).add(entry.version)
            self.weights.setdefault(entry.model, set()).update({entry.weights_sha256} - {""})

    def detail(self, entry: Entry) -> str:
        """Options that are not the default, and version and weights where there are several."""
        default = self.defaults("model", entry.model, entry.version)
        text = options(changed(entry.config, default, self.configs[entry.model]))
        version = f"version {entry.version}" if len(self.versions[entry.model]) > 1 else ""
        several = len(self.weights[entry.model]) > 1 and entry.weights_sha256
        weights = f"weights {entry.weights_sha256[:8]}" if several else ""
        return ", ".join(part for part in (version, weights, text) if part)

    def full(self, entry: Entry) -> str:
        """Name, options and bridge in one line."""
        detail = self.detail(entry)
        return entry.model + (f" ({detail})" if detail else "") + (f" + {entry.bridge}" if entry.bridge else "")

    def settings(self, exam: Exam) -> str:
        """Settings of the task that are not the default."""
        default = self.defaults("task", exam.task, exam.task_version)
        others = [e.settings for e in self.exams if (e.task, e.task_version) == (exam.task, exam.task_version)]
        seed = {"split_seed": exam.split_seed} if exam.split_seed else {}
        return options(seed | changed(exam.settings, default, others))


def page_view(exams: Sequence[Exam], ranks: Sequence[Overall], defaults: Defaults) -> Page:
    """The whole page."""
    names = _Names(exams, defaults)
    entries = list(_entries(exams))
    return Page(
        models=len({entry.model for entry in entries}),
        runs=sum(len(entry.runs) for entry in entries),
        sections=tuple(_section(i, exam, names) for i, exam in enumerate(exams, 1)),
        ranks=tuple(_rank_table(overall, names) for overall in ranks if len(overall.exams) > 1),
    )


def _entries(exams: Sequence[Exam]) -> list[Entry]:
    return [entry for exam in exams for track in exam.tracks for entry in track.entries]


def _section(number: int, exam: Exam, names: _Names) -> Section:
    facts = [f"{exam.n_obs:,} cells × {exam.n_vars:,} genes" if exam.n_obs else ""]
    facts.append(f"{exam.n_folds} folds" if exam.n_folds > 1 else "")
    facts.append(SPLITS.get(exam.split_by, ""))
    facts.append(names.settings(exam))
    twins = {e.identity for e in names.exams if e.dataset == exam.dataset and e.identity}
    facts.append(f"data {exam.identity[:10]}" if exam.identity and len(twins) > 1 else "")
    versions = {e.task_version for e in names.exams if e.task == exam.task}
    facts.append(f"task version {exam.task_version}" if len(versions) > 1 else "")
    marks = (
        (exam.optimistic, "optimistic split", "Cells of one group sit on both sides; never in the overall rank."),
        (exam.semi_simulated, "semi-simulated", "Real cells with a simulated effect."),
        (exam.simulated, "simulated", "No real cells."),
    )
    return Section(
        anchor=f"exam-{number}",
        task=exam.task,
        dataset=exam.dataset,
        badges=tuple((text, hint) for applies, text, hint in marks if applies),
        facts=tuple(fact for fact in facts if fact),
        notes=exam.notes,
        tables=tuple(_table(exam, track, names) for track in exam.tracks),
    )


def _table(exam: Exam, track: Track, names: _Names) -> Table:
    best = [_best(track, i, column) for i, column in enumerate(exam.columns)]
    here = {entry.model for entry in track.entries}
    elsewhere = {entry.model for entry in _entries(names.exams) if entry.track == track.name}
    return Table(
        title=track.name,
        caption=TRACKS.get(track.name, ""),
        columns=exam.columns,
        rows=tuple(_row(entry, exam, best, names) for entry in track.entries),
        controls=tuple(_control(control, exam) for control in track.controls),
        absent=", ".join(sorted(elsewhere - here)),
        parts=tuple(_part_tables(track, names)),
    )


def _best(track: Track, position: int, column: Column) -> float | None:
    """The best mean of complete entries; None where no entry is better than the floor control."""
    cells = [entry.cells[position] for entry in track.entries if _stands(entry)]
    values = [c.spread.mean for c in cells if c.above_floor and c.spread.mean is not None]
    return max(values, key=lambda value: column.sign * value, default=None)


def _stands(entry: Entry) -> bool:
    """Whether an entry's values may be called the best."""
    return entry.complete and not entry.contaminated


def _row(entry: Entry, exam: Exam, best: Sequence[float | None], names: _Names) -> Row:
    badges = [("baseline", "baseline")] if entry.baseline else []
    badges += [("bridge", f"{entry.bridge} probe")] if entry.bridge else []
    badges += (
        [("weights", WEIGHTS[entry.weights])] if entry.weights in WEIGHTS and entry.state != "not applicable" else []
    )
    boxes = tuple(
        _box(cell, entry, main=i == exam.main, top=_stands(entry) and cell.above_floor and cell.spread.mean == best[i])
        for i, cell in enumerate(entry.cells)
    )
    return Row(
        name=entry.model,
        detail=names.detail(entry),
        link=safe_link(entry.reference),
        hint=entry.summary,
        badges=tuple(badges),
        remarks=_remarks(entry),
        boxes=boxes,
        costs=_costs(entry),
        runs=tuple(_record(run.row) for run in entry.runs),
    )


def _remarks(entry: Entry) -> tuple[tuple[str, str], ...]:
    """Everything that must be read with the scores of an entry."""
    wrong = [f"suspect: {reason}" for reason in entry.suspects]
    wrong += [f"contaminated, not ranked: {reason}" for reason in entry.contaminated]
    applicable = entry.state != "not applicable"
    wrong += [*entry.errors, *_gaps(entry)] if applicable else []
    plain = [*map(trained, entry.trained_on), *entry.flags, *(() if applicable else entry.errors)]
    return (*(("wrong", text) for text in wrong), *(("plain", text) for text in plain))


def _box(cell: Cell, entry: Entry, *, main: bool, top: bool) -> Box:
    value = cell.spread.mean
    if value is None:
        return Box(missing="not defined" if entry.state == "ok" else entry.state, main=main)
    small = [f"{numbers.deviation(sd)} {what}" for sd, what in _spreads(cell) if sd is not None]
    small += [f"skill {numbers.score(cell.skill)}"] if main and cell.skill is not None else []
    small += [f"{cell.n_runs} of {entry.n_ok} runs"] if cell.n_runs < entry.n_ok else []
    kinds = {"class": "classes", "batch": "batches"}
    kind = cell.unit_kind if cell.n_units == 1 else kinds.get(cell.unit_kind, f"{cell.unit_kind}s")
    return Box(repr(value), numbers.score(value), tuple(small), top, main, hint=f"over {cell.n_units} {kind}")


def _spreads(cell: Cell) -> tuple[tuple[float | None, str], ...]:
    return (cell.spread.sd_folds, "folds"), (cell.spread.sd_seeds, "seeds")


def _costs(entry: Entry) -> tuple[tuple[str, str], ...]:
    cost = entry.cost
    probe = f"+ {numbers.seconds(cost.bridge_s)} probe" if cost.bridge_s else ""
    return (
        (numbers.seconds(cost.fit_s), probe),
        (numbers.rate(cost.cells_per_s), ""),
        (numbers.size(cost.peak_rss_bytes), ""),
    )


def _gaps(entry: Entry) -> list[str]:
    """What of the planned runs has no score."""
    states = ((entry.n_failed, "failed"), (entry.n_missing, "not run"))
    total = entry.n_ok + entry.n_failed + entry.n_missing
    return [f"{n} of {total} {what}" for n, what in states if n and total > 1]


def _record(row: Mapping[str, Any]) -> tuple[str, str]:
    fold = "" if row["fold"] in ("", "all") else f"{row['fold']}, "
    status = "" if row["status"] == "ok" else f" ({row['status']})"
    return f"{fold}seed {row['seed']}{status}", quote(f"records/{row['run_id']}.{row['attempt']}.json")


def _control(control: Control, exam: Exam) -> Row:
    boxes = tuple(
        Box(repr(cell.spread.mean), numbers.score(cell.spread.mean), main=i == exam.main)
        if cell.spread.mean is not None
        else Box(missing="not defined", main=i == exam.main)
        for i, cell in enumerate(control.cells)
    )
    return Row(control.name, badges=((control.role, control.role),) if control.role else (), boxes=boxes)


def _part_tables(track: Track, names: _Names) -> list[PartTable]:
    """One table per metric and kind of part, such as `macro_f1` by `shots`."""
    keys = {(metric, tuple(k for k, _ in part)) for entry in track.entries for metric, part in entry.parts}
    tables = []
    for metric, kinds in sorted(keys):
        found = {p for e in track.entries for m, p in e.parts if m == metric and tuple(k for k, _ in p) == kinds}
        heads = sorted(found, key=_part_order)
        rows = tuple(
            Row(names.full(entry), boxes=tuple(_part_box(entry.parts.get((metric, head)), entry) for head in heads))
            for entry in track.entries
            if entry.state == "ok"
        )
        tables.append(PartTable(metric, ", ".join(kinds), tuple(", ".join(v for _, v in head) for head in heads), rows))
    return tables


def _part_box(cell: Cell | None, entry: Entry) -> Box:
    return _box(cell, entry, main=False, top=False) if cell else Box(missing="not run")


def _part_order(part: Part) -> list[tuple[bool, float, str]]:
    """Numbers in their order, then words: 1, 5, 10, all."""
    return [(False, float(v), v) if v.replace(".", "", 1).isdecimal() else (True, 0.0, v) for _, v in part]


def _rank_table(overall: Overall, names: _Names) -> Table:
    columns = tuple(
        Column(
            f"{exam.task} · {exam.dataset}", summary=names.settings(exam), group="semi-simulated" * exam.semi_simulated
        )
        for exam in overall.exams
    )
    rows = tuple(_rank_row(standing, overall, names) for standing in overall.standings)
    return Table(overall.track, TRACKS.get(overall.track, ""), columns, rows)


def _rank_row(standing: Standing, overall: Overall, names: _Names) -> Row:
    entry, value = standing.entry, standing.skill
    total = Box(repr(value), numbers.score(value), main=True, best=standing.rank == 1)
    boxes = [total if value is not None else Box(missing="not ranked", main=True)]
    boxes += [_rank_box(e, exam) for e, exam in zip(standing.entries, overall.exams, strict=True)]
    bridges = dict.fromkeys(e.bridge for e in standing.entries if e and e.bridge)
    badges = [("bridge", f"{bridge} probe") for bridge in bridges]
    badges += [("weights", WEIGHTS[entry.weights])] if entry.weights in WEIGHTS else []
    return Row(
        entry.model,
        names.detail(entry),
        safe_link(entry.reference),
        entry.summary,
        tuple(badges),
        boxes=tuple(boxes),
        rank="" if standing.rank is None else str(standing.rank),
    )


def _rank_box(entry: Entry | None, exam: Exam) -> Box:
    """The skill of one entry, or why there is none."""
    if entry is None:
        return Box(missing="not run")
    value = entry.cells[exam.main].skill
    if value is None:
        return Box(missing="not defined" if entry.state == "ok" else entry.state)
    doubts = ((not entry.complete, "incomplete"), (bool(entry.contaminated), "contaminated"))
    return Box(repr(value), numbers.score(value), tuple(word for applies, word in doubts if applies))
