"""A split that was published with the data: one fold, as its authors cut it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.data.exams import role_values
from bench.data.splits import GROUP_ROLES, GroupRole
from bench.errors import BadInput
from bench.heads import VALIDATION_FRACTION
from bench_classification.plugin import TASK

if TYPE_CHECKING:
    import anndata as ad

PUBLISHED = "published"
"""The name of the one fold."""
PARTS = ("train", "val", "test")
LEARNED = ("train", "val")
"""The parts that models learn from; classifiers tune on the second, and then learn from both."""


def published_parts(data: ad.AnnData, asked: np.ndarray) -> np.ndarray:
    """Part of each cell, (n,) object, None where missing.

    Parameters
    ----------
    data
        Canonical data with the role `split`.
    asked
        bool (n,): labelled cells that take part.

    Raises
    ------
    BadInput
        If there are other words than `PARTS`, or no labelled cell to learn from or to ask about.
    """
    parts = role_values(data, "split")
    strange = sorted({str(part) for part in parts if part is not None} - set(PARTS))
    if strange:
        listed = ", ".join(repr(word) for word in strange[:5])
        raise BadInput(
            f"task {TASK.name}: the split must say {', '.join(PARTS)}; it also says {listed}."
            " Rename them in the file, or leave the split out with --obs split=."
        )
    for what, words in (("to learn from (train)", LEARNED), ("to ask about (test)", ("test",))):
        if not (np.isin(parts.astype(str), words) & asked).any():
            raise BadInput(f"task {TASK.name}: the split has no labelled cell {what}; leave it out with --obs split=.")
    return parts


def disjoint_role(data: ad.AnnData, parts: np.ndarray) -> GroupRole | None:
    """The first of donor and batch that no test cell shares with a cell learned from; None where there is none.

    Cells in no part do not count; a cell of unknown group could be of any, so then the role is none.
    """
    test, learned = parts == "test", np.isin(parts.astype(str), LEARNED)
    for role in GROUP_ROLES:
        if role not in data.obs:
            continue
        groups = role_values(data, role)
        known = all(value is not None for value in groups[test | learned])
        if known and not set(groups[test]) & set(groups[learned]):
            return role
    return None


def validates(parts: np.ndarray, asked: np.ndarray) -> bool:
    """Whether the published validation cells are of a size that `bench.heads.validation_cut` would take whole."""
    learned = parts[np.isin(parts.astype(str), LEARNED) & asked]
    return bool(VALIDATION_FRACTION / 2 <= (learned == "val").mean() <= VALIDATION_FRACTION * 2)


def published_notes(parts: np.ndarray, role: GroupRole | None, tunes: bool) -> list[str]:
    """What a reader must know of the split; `tunes`: whether its validation cells are used as such."""
    notes = ["split as published"]
    if role is None:
        notes.append("optimistic: test cells share donors or batches with training cells, or these are not known")
    if (parts == "val").any():
        other = "the published validation cells are train cells like others: too few or too many to tune on"
        notes.append("classifiers tune on the published validation cells" if tunes else other)
    outside = sum(part is None for part in parts)
    if outside:
        notes.append(f"{outside:,} cells in no part of the split are left out")
    return notes
