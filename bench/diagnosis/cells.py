"""Findings about cells: how many, which repeat, which are empty, and what they are called by."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from bench.data import names
from bench.diagnosis.case import Case
from bench.diagnosis.finding import Finding
from bench.wording import counted

SUBJECT = "cells"
ENOUGH = 20
"""Detected genes from which on two cells do not agree in every count by chance."""


def shape(case: Case) -> list[Finding]:
    """How many cells and features there are."""
    n_obs, n_vars = case.raw.n_obs, len(case.source_var)
    text = f"{n_obs:,} cells x {n_vars:,} features"
    if not n_obs or not n_vars:
        return [Finding("error", SUBJECT, f"{text}: the dataset is empty; give one with both")]
    return [Finding("ok", SUBJECT, text)]


def repeated_names(case: Case) -> list[Finding]:
    """Names that several cells have."""
    changed = names.unique([str(name) for name in case.raw.obs_names])[1]
    if not changed:
        return []
    text = f"{counted(len(changed), 'cell name')} repeated (first: {changed[0]!r}); made unique by -1, -2"
    return [Finding("note", SUBJECT, text)]


def empty(case: Case) -> list[Finding]:
    """Cells without a count."""
    if case.totals is None or not len(case.totals):
        return []
    where = np.flatnonzero(case.totals == 0)
    if not len(where):
        return []
    text = f"{counted(len(where), 'cell')} without counts (first: {str(case.raw.obs_names[where[0]])!r})"
    if len(where) == len(case.totals):
        return [Finding("error", SUBJECT, f"no cell has a count: nothing is left of {counted(len(where), 'cell')}")]
    if case.options.strict:
        return [Finding("error", SUBJECT, f"{text}, refused by strict", "--data-set strict=false")]
    return [Finding("note", SUBJECT, f"{text}; dropped")]


def twins(case: Case) -> list[Finding]:
    """Cells with the same counts as another: the same cell twice could sit on both sides of a split."""
    place = case.place
    if place is None or place.fault or place.matrix is None:
        return []
    rich = np.flatnonzero(np.diff(place.matrix.indptr) >= ENOUGH)
    copies = _copies(place.matrix[rich])
    if not copies:
        return []
    text = f"{counted(copies, 'cell')} with exactly the counts of another cell: the same cell, more than once?"
    return [Finding("warning", SUBJECT, text)]


def unlabelled(case: Case) -> list[Finding]:
    """Cells without a label or a group."""
    found = []
    for role, values in case.obs.items():
        kept = np.ones(len(values), dtype=bool) if case.totals is None else case.totals > 0  # empty cells are dropped
        missing = sum(value is None for value in values[kept])
        if not missing:
            continue
        text = f"{role} is missing for {counted(missing, 'cell')} of {len(values):,}"
        if role != "cell_type":
            found.append(Finding("warning" if role in ("batch", "donor") else "note", SUBJECT, text))
        elif case.options.unlabelled == "error":
            found.append(Finding("error", SUBJECT, text, "--data-set unlabelled=drop"))
        else:
            found.append(Finding("note", SUBJECT, f"{text}: {case.options.unlabelled}"))
    return found


def _copies(matrix: sparse.csr_matrix) -> int:
    """Number of rows of a matrix that equal an earlier row; the matrix is the caller's own copy."""
    if matrix.shape[0] < 2:
        return 0
    matrix.eliminate_zeros()
    matrix.sort_indices()
    weights = np.random.default_rng(0).random(matrix.shape[1])
    keys = matrix.astype(np.float64) @ weights  # equal rows have equal keys, and hardly any others
    order = np.argsort(keys, kind="stable")
    same = np.diff(keys[order]) == 0
    suspects = order[np.r_[same, False] | np.r_[False, same]]
    seen: set[bytes] = set()
    copies = 0
    for row in suspects:
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        content = matrix.indices[part].tobytes() + matrix.data[part].tobytes()
        copies += content in seen
        seen.add(content)
    return copies
