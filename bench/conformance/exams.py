"""Checks of the exams a task makes: stable, fair, and with nothing in them that gives the answers away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.conformance.check import Failure, Skip
from bench.conformance.fairness import fingerprint
from bench.conformance.sitting import EXAMINEES, PLANTED, TaskSubject, prints, readable
from bench.data.exams import VAR_COLUMNS
from bench.runs.models import LABEL

if TYPE_CHECKING:
    import anndata as ad

FEW = 10
"""So many rows stand in order by chance."""
CORNERS = ("layers", "obsm", "varm", "obsp", "varp", "uns")


def folds(subject: TaskSubject) -> str:
    """Folds are named, distinct and always the same."""
    first, again, fresh = (t.folds(subject.data.copy()) for t in (subject.task, subject.task, subject.fresh()))
    if not isinstance(first, list) or not first or not all(isinstance(name, str) and name for name in first):
        raise Failure(f"folds() returned {first!r}; return a list of names, at least one")
    if len(set(first)) < len(first):
        raise Failure(f"folds() names {sorted({n for n in first if first.count(n) > 1})[0]!r} twice")
    if not first == again == fresh:
        raise Failure(
            f"folds() returned {first}, then {again if again != first else fresh}; let them follow from the data"
        )
    return f"{len(first)}: {', '.join(first[:4])}{', ...' if len(first) > 4 else ''}"


def split(subject: TaskSubject) -> str:
    """The same data and split_seed make the same exam and the same truth."""
    exam, truth = subject.exam_and_truth
    again, other = subject.split(subject.data, task=subject.fresh())
    if exam.rows != again.rows or prints(exam.parts) != prints(again.parts):
        raise Failure("the same split_seed makes another exam; draw from np.random.default_rng(split_seed) only")
    if truth.rows != other.rows or not truth.obs.equals(other.obs):
        raise Failure("the same split_seed makes another truth; draw from np.random.default_rng(split_seed) only")
    if not exam.rows or len(set(exam.rows)) < len(exam.rows):
        raise Failure(f"the exam asks for {len(exam.rows):,} rows, {len(set(exam.rows)):,} distinct; name each once")
    if set(exam.rows) != set(truth.rows) or tuple(map(str, truth.obs.index)) != tuple(truth.rows):
        raise Failure("the rows of the exam are not those of the truth; give both the same names, obs indexed by them")
    return f"{subject.fold}: {len(exam.rows):,} rows asked for, by {exam.split.by}"


def source_kept(subject: TaskSubject) -> str:
    """Splitting changes nothing in the dataset, and nothing in an exam is a window on it."""
    data = subject.data.copy()
    before = fingerprint(data)
    exam, _ = subject.task.split(data, subject.fold, 0)
    after = fingerprint(data)
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        raise Failure(f"task changed {', '.join(changed)} of the dataset in split(); work on copies")
    for name, cells in exam.parts.items():
        if cells.is_view or _shares(cells, data):
            raise Failure(f"part {name!r} shares memory with the dataset; build it with bench.data.exams.visible_cells")
    return "the dataset is the same, and nothing is shared with it"


def held_out(subject: TaskSubject) -> str:
    """Cells that are asked about are in no part that is learned from."""
    if not subject.spec.holds_out:
        raise Skip("holds_out=False: models are asked about the cells they see")
    exam, _ = subject.exam_and_truth
    asked = set(exam.rows)
    others = {name: set(c.obs_names) for name, c in exam.parts.items() if not asked <= set(c.obs_names)}
    if not others:
        raise Failure("every part holds the cells that are asked about; leave them out of the part to learn from")
    for name, cells in others.items():
        if cells & asked:
            raise Failure(f"{len(cells & asked):,} cells that are asked about are in part {name!r} too; take them out")
    for method, given in _handed(subject):
        known = len(asked.intersection(given.obs_names))
        if method == "fit" and known:
            raise Failure(f"sit() hands fit() {known:,} cells that are asked about; keep them out")
    return f"{len(asked):,} cells are asked about, {sum(map(len, others.values())):,} others are learned from"


def allow_list(subject: TaskSubject) -> str:
    """Columns that are not shown, and everything beside counts and names, stay behind."""
    exam, _ = subject.exam_and_truth
    for name, cells in exam.parts.items():
        corners = [corner for corner in CORNERS if len(getattr(cells, corner))] + ["raw"] * (cells.raw is not None)
        strange = [f"var[{c}]" for c in cells.var if c not in VAR_COLUMNS]
        planted = [f"obs[{c}]" for c in cells.obs if c == PLANTED]
        asked = set(cells.obs_names) & set(exam.rows)
        hidden = [f"obs[{c}]" for c in cells.obs if asked and c not in (*subject.spec.shows, LABEL, PLANTED)]
        found = [*corners, *strange, *planted, *hidden]
        if found:
            raise Failure(
                f"part {name!r} holds {', '.join(found)}, which the spec does not show;"
                " build it with bench.data.exams.visible_cells"
            )
    return f"counts, genes and {', '.join(subject.spec.shows) or 'no column'}"


def hidden_truth(subject: TaskSubject) -> str:
    """Scored cells carry no label, and other labels would make the same exam."""
    for label_aware in (False, True):
        exam, truth = subject.split(subject.data, label_aware=label_aware)
        for column, values in subject.secrets(truth).items():
            for name, cells in exam.parts.items():
                where, right = readable(cells, values)
                if right:
                    raise Failure(f"part {name!r} tells {column} of {right:,} scored cells in obs[{where!r}]; hide it")
    _refuse_file_order(subject)
    return _without_trace(subject)


def _refuse_file_order(subject: TaskSubject) -> None:
    """A file is often sorted by type: rows in its order would tell which cells are alike."""
    places = subject.data.obs_names.get_indexer(list(subject.exam_and_truth[0].rows))
    if len(places) > FEW and places.min() >= 0 and (np.diff(places) > 0).all():
        raise Failure("the rows stand in the order of the file, often that of types; order them by random_keys")


def _handed(subject: TaskSubject) -> list[tuple[str, ad.AnnData]]:
    """What a model gets to see, where one can sit the exam; whether it can, the check of that name tells."""
    if subject.spec.needs not in EXAMINEES:
        return []
    try:
        return subject.calls
    except Exception:
        return []


def _without_trace(subject: TaskSubject) -> str:
    exam, truth = subject.exam_and_truth
    columns = [c for c in subject.secrets(truth) if c in subject.data.obs]
    if not columns:
        return "the truth is no column of the dataset"
    other = subject.data.copy()
    asked = other.obs_names.isin(truth.rows)
    if subject.spec.needs in EXAMINEES and asked.sum() < len(truth.rows):
        raise Failure("the rows do not have the names of the dataset's cells; keep them, a new name may tell the label")
    rng = np.random.default_rng(11)
    for column in columns:
        values = other.obs[column].to_numpy(dtype=object).copy()
        values[asked] = rng.permutation(values[asked])
        other.obs[column] = values
    changed, _ = subject.split(other)
    if set(changed.rows) != set(exam.rows):
        return "no label; note: which cells are asked about depends on labels (stratified)"
    if changed.rows != exam.rows or prints(changed.parts) != prints(exam.parts):
        raise Failure(
            f"the exam changes when {', '.join(columns)} of scored cells is permuted: order or content gives it away;"
            " order rows by bench.data.splits.random_keys"
        )
    return "no label, and permuted labels make the same exam"


def _shares(cells: ad.AnnData, data: ad.AnnData) -> bool:
    ours, theirs = (_buffers(c) for c in (cells, data))
    return any(np.shares_memory(a, b) for a in ours for b in theirs)


def _buffers(cells: ad.AnnData) -> list[np.ndarray]:
    """Numbers of the matrix; tables of names are copied by pandas when they are written to."""
    matrix: Any = cells.X
    return [np.asarray(getattr(matrix, n)) for n in ("data", "indices", "indptr") if hasattr(matrix, n)]
