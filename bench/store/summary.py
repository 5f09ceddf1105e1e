"""Summaries of the visible runs, made when they are shown: the store itself keeps raw values only."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.runs.contamination import seen_in_training
from bench.store.arithmetic import Column, columns
from bench.store.cells import control_rows, cost, part_cells, score_cells
from bench.store.exam import TRACKS, Entry, Exam, Track
from bench.store.visible import Definition, Run, visible

if TYPE_CHECKING:
    from bench.store.index import Store


_TOLD_APART = ("suspect", "contaminated")
"""Kinds of flags that an entry keeps apart from the others."""


def summarise(store: Store) -> list[Exam]:
    """Everything that is visible in a store, exam by exam."""
    runs = visible(store)
    groups: defaultdict[tuple[Any, ...], list[Run]] = defaultdict(list)
    for run in runs:
        groups[_exam_key(run)].append(run)
    return [_exam(group) for group in _adopt_strays(groups)]


def _exam_key(run: Run) -> tuple[Any, ...]:
    settings = json.dumps(run["task_config"], sort_keys=True)
    exam = ("task", "task_version", "dataset", "dataset_identity", "definition", "split_seed")
    return (*(run[column] for column in exam), settings)


def _adopt_strays(groups: Mapping[tuple[Any, ...], list[Run]]) -> list[list[Run]]:
    """Exams, in order. Runs without a score whose data was never opened join the exam of the same names."""
    known = {key: runs for key, runs in sorted(groups.items()) if any(run.ok for run in runs)}
    for key, runs in sorted(groups.items()):
        homes = [] if key in known else [k for k in known if k[:3] == key[:3]]
        unopened = [run for run in runs if not run.applicable or not run["dataset_identity"]]
        if homes and len(unopened) == len(runs):
            known[homes[0]] = known[homes[0]] + runs
        elif key not in known:
            known[key] = runs
    return [known[key] for key in sorted(known)]


def _exam(runs: Sequence[Run]) -> Exam:
    newest = max(runs, key=lambda run: (run.ok, run["created"], run["run_id"]))
    definition = newest.definition
    cols = columns(definition.metrics, definition.aggregate)
    declared = {fold for run in runs for fold in run["folds"]}
    folds = declared or {run["fold"] for run in runs if run.ok} or {run["fold"] for run in runs}
    tracks: defaultdict[str, list[Run]] = defaultdict(list)
    for run in runs:
        tracks[run["track"]].append(run)
    main = next((i for i, c in enumerate(cols) if c.name == definition.main_metric and c.kind == "metric"), 0)
    known = {
        name: newest[name] for name in ("task", "task_version", "dataset", "study", "n_obs", "n_vars", "split_seed")
    }
    return Exam(
        **known,
        settings=newest["task_config"],
        identity=newest["dataset_identity"],
        columns=cols,
        main=main,
        split_by=newest["split_by"] or "",
        optimistic=any(run["optimistic"] for run in runs),
        semi_simulated=newest["semi_simulated"],
        simulated=newest["simulated"],
        n_folds=len(folds),
        notes=_notes(runs),
        tracks=tuple(_track(name, tracks[name], definition, cols, main, folds) for name in _track_order(tracks)),
    )


def _track_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (TRACKS.index(name) if name in TRACKS else len(TRACKS), name))


def _notes(runs: Sequence[Run]) -> tuple[str, ...]:
    """What tasks and data had to say, each once."""
    notes: dict[str, None] = {}
    for run in runs:
        where = f"fold {run['fold']}: " if run["fold"] != "all" else ""
        notes |= dict.fromkeys(run["notices"])
        notes |= dict.fromkeys(f"{where}{note}" for note in (run["split"] or {}).get("notes", ()))
    return tuple(notes)


def _track(
    name: str, runs: Sequence[Run], definition: Definition, cols: Sequence[Column], main: int, folds: set[str]
) -> Track:
    groups: defaultdict[tuple[Any, ...], list[Run]] = defaultdict(list)
    for run in runs:
        config = json.dumps(run["model_config"], sort_keys=True)
        key = ("model_version", "weights", "weights_sha256", "bridge")
        groups[(run["model"], config, *(run[k] for k in key))].append(run)
    entries = _without_refusals([_entry(group, definition, cols, folds) for _, group in sorted(groups.items())])
    entries.sort(key=lambda entry: _standing(entry, cols[main], main))
    return Track(name, tuple(entries), control_rows(runs, definition, cols))


def _without_refusals(entries: Sequence[Entry]) -> list[Entry]:
    """Entries without those that were once refused, before a column or a bridge was named, and have run since."""
    tried = [(e.model, e.version, e.config) for e in entries if e.state != "not applicable"]
    return [e for e in entries if e.state != "not applicable" or (e.model, e.version, e.config) not in tried]


def _standing(entry: Entry, column: Column, main: int) -> tuple[Any, ...]:
    """Best first; then what lacks a run, whose mean is of other folds; then what has no score at all; and of what has
    scores, last what has been trained on the cells that are scored."""
    value = entry.cells[main].spread.mean
    state = ("ok", "failed", "not applicable").index(entry.state)
    doubt = (bool(entry.contaminated), not entry.complete)
    return state, *doubt, value is None, -column.sign * (value or 0.0), entry.model


def _entry(runs: Sequence[Run], definition: Definition, cols: Sequence[Column], folds: set[str]) -> Entry:
    ok = [run for run in runs if run.ok]
    tried = [run for run in runs if run.applicable]
    first = runs[0]
    seeds = {run["seed"] for run in tried}
    flags = [(flag.get("kind", ""), flag.get("reason", "")) for run in ok for flag in run["flags"]]
    return Entry(
        model=first["model"],
        version=first["model_version"],
        config=first["model_config"],
        weights=first["weights"],
        weights_sha256=first["weights_sha256"],
        trained_on=tuple(first["trained_on"]),
        bridge=first["bridge"],
        track=first["track"],
        summary=first["model_summary"],
        reference=first["model_reference"],
        baseline=first["model"] in definition.baselines,
        state="ok" if ok else "failed" if tried else "not applicable",
        n_ok=len(ok),
        n_failed=len(tried) - len(ok),
        n_missing=len({(f, s) for f in folds for s in seeds} - {(run["fold"], run["seed"]) for run in tried}),
        cells=score_cells(ok, definition, cols),
        parts=part_cells(ok),
        cost=cost(ok),
        suspects=tuple(dict.fromkeys(reason for kind, reason in flags if kind == "suspect")),
        contaminated=_contaminated(ok, tuple(dict.fromkeys(text for kind, text in flags if kind == "contaminated"))),
        flags=tuple(dict.fromkeys(f"{kind}: {reason}" for kind, reason in flags if kind not in _TOLD_APART)),
        errors=tuple(dict.fromkeys(_error(run) for run in runs if not run.ok)),
        runs=tuple(runs),
    )


def _contaminated(runs: Sequence[Run], reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Reasons, those of several folds as one: each fold is scored on other cells."""
    folds = {run["fold"]: run["contamination"] for run in runs if run["contamination"]}
    if len(reasons) < 2 or not folds:
        return reasons
    files = dict.fromkeys(file["name"] for found in folds.values() for file in found["files"] if file["scored_seen"])
    seen, scored = (sum(found[name] for found in folds.values()) for name in ("scored_seen", "scored"))
    return (seen_in_training(seen, scored, files),)


def _error(run: Run) -> str:
    return f"{run['status']}: {run['error_message'] or run['error_kind'] or 'no reason recorded'}"
