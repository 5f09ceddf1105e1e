"""Findings about the matrix: where the counts are, and what stands there instead."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from bench.data import counts
from bench.diagnosis.case import Case
from bench.diagnosis.finding import Finding, flag_in, option
from bench.errors import BadInput
from bench.wording import counted, listed, percent, size

SUBJECT = "counts"
LARGEST_LOG = 20.0
"""No log1p of a count of a cell is larger: e^20 is 5e8."""
EVEN = 0.01
"""Relative spread of the totals of cells up to which they are called the same."""


def places(case: Case) -> list[Finding]:
    """Which place holds the counts, and why that one; or why none does."""
    try:
        found = counts.find(case.raw, case.spec.layer, case.where)
    except BadInput as error:
        text = str(error).removeprefix(f"{case.where}: ")
        wrong = _faults(case)
        if wrong:
            return [Finding("error", SUBJECT, f"{fault}; give raw counts") for fault in wrong]
        return [Finding("error", SUBJECT, text, flag_in(text) or _best_layer(case))]
    text = f"counts are in {_called(found.origin)}: whole numbers, none negative"
    if found.origin == "X" or case.spec.layer:
        return [Finding("ok", SUBJECT, text)]
    passed = "; ".join(f"{look.origin} {look.fault}" for look in case.looks if look.fault)
    return [Finding("note", SUBJECT, f"{text}; {passed or 'there is no X'}")]


def transformed(case: Case) -> list[Finding]:
    """What was done to values that are no counts, where it can be recognised."""
    found = []
    for look in case.looks:
        if look.fault and look.matrix is not None and look.matrix.nnz:
            what = _transformation(look.matrix)
            found += [Finding("note", SUBJECT, f"{_called(look.origin)} looks like {what}")] if what else []
    return found


def fractional_groups(case: Case) -> list[Finding]:
    """Which batches hold the values that are not whole, where others are counts."""
    place, batches = case.place, case.obs.get("batch")
    if place is None or not place.fault or place.matrix is None or batches is None:
        return []
    values = place.matrix.data
    rows = np.repeat(np.arange(place.matrix.shape[0]), np.diff(place.matrix.indptr))
    broken = {batches[row] for row in np.unique(rows[np.isfinite(values) & (values != np.rint(values))])}
    whole = {batch for batch in batches if batch is not None} - broken
    if not whole or None in broken:
        return []
    names = listed(sorted(broken))
    text = f"the fractional values are those of {names}; whole numbers throughout in {listed(sorted(whole))}"
    return [Finding("note", SUBJECT, text)]


def spare_layers(case: Case) -> list[Finding]:
    """Other places with other whole numbers, which are not used."""
    chosen = case.place
    if chosen is None or chosen.fault:
        return []
    spare = [look for look in case.looks if not look.fault and look is not chosen and not _equal(look, chosen)]
    if not spare:
        return []
    names = listed(_called(look.origin) for look in spare)
    text = f"{names} {'hold' if len(spare) > 1 else 'holds'} whole numbers too; not used without --layer"
    return [Finding("note", SUBJECT, text)]


def form(case: Case) -> list[Finding]:
    """How the matrix is stored, how full it is, and how deep the cells are."""
    place = case.place
    if place is None or place.matrix is None or case.totals is None:
        return []
    matrix, stored = place.matrix, _stored(case, place.origin)
    full = matrix.nnz / max(1, matrix.shape[0] * matrix.shape[1])
    text = f"{stored}, {matrix.dtype}, {percent(full)} of the values are not zero"
    if not place.fault and matrix.nnz:
        depth = counted(round(np.median(case.totals)), "count")
        breadth = counted(round(np.median(np.diff(matrix.indptr))), "feature")
        text += f"; {depth} on {breadth} in the median cell, largest count {matrix.data.max():,.0f}"
    found = [Finding("ok", SUBJECT, text)]
    if stored == "dense" and 8 * matrix.nnz < 4 * matrix.shape[0] * matrix.shape[1]:
        small = size(8 * matrix.nnz)
        found.append(Finding("note", SUBJECT, f"stored dense; as sparse (CSR) float32 it would take {small} in memory"))
    if not place.fault and matrix.nnz and matrix.data.max() == 1:
        found.append(Finding("note", SUBJECT, "all counts are 0 or 1: was the matrix made binary?"))
    return found


def _equal(one: counts.Look, other: counts.Look) -> bool:
    """Whether two places hold the same counts, as where `X` was kept as a layer too."""
    a, b = one.matrix, other.matrix
    return a is not None and b is not None and a.shape == b.shape and a.nnz == b.nnz and (a != b).nnz == 0


def _faults(case: Case) -> list[str]:
    """Every fault of the whole numbers that would be taken."""
    place = case.place
    if place is None or place.fault or place.matrix is None:
        return []
    return counts.faults(place, case.raw.obs_names, case.source_var.index)


def _best_layer(case: Case) -> str:
    """The layer to name where several hold whole numbers: the one with most counts."""
    whole = [look for look in case.looks if not look.fault and look.matrix is not None]
    if not whole:
        return ""
    best = max(whole, key=lambda look: float(look.matrix.sum()) if look.matrix is not None else 0.0)
    return option("--layer", best.origin)


def _transformation(matrix: sparse.csr_matrix) -> str:
    """What kind of values these are, as far as their range and the totals of cells tell; empty if they do not."""
    values = matrix.data[np.isfinite(matrix.data)]
    if not len(values):
        return ""
    if values.min() < 0:
        return "scaled or centred values (some are negative)"
    back = matrix.astype(np.float64)
    if values.max() <= LARGEST_LOG:
        back.data = np.expm1(back.data)
        target = _common_total(back)
        if target:
            return f"log1p of counts scaled to {target:,.0f} per cell"
    target = _common_total(matrix)
    return f"counts scaled to {target:,.0f} per cell" if target else ""


def _common_total(matrix: sparse.csr_matrix) -> float:
    """The total that nearly all cells have; 0 where they differ."""
    totals = np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel()
    totals = totals[np.isfinite(totals) & (totals > 0)]
    middle = float(np.median(totals)) if len(totals) else 0.0
    near = np.abs(totals - middle) <= EVEN * middle
    return middle if len(totals) > 1 and near.mean() > 0.95 else 0.0


def _stored(case: Case, origin: str) -> str:
    """`CSR`, `CSC` or `dense`."""
    raw = case.raw
    values: Any = raw.raw.X if origin == "raw" else raw.X if origin == "X" else raw.layers[origin]
    return str(values.format).upper() if sparse.issparse(values) else "dense"


def _called(origin: str) -> str:
    return {"X": "X", "raw": "raw.X"}.get(origin, f"layers[{origin!r}]")
