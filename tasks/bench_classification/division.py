"""Which cells of a dataset take part in the classification exam, and on which side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bench.data.exams import is_known, role_values
from bench.data.splits import GroupRole, cell_folds, group_folds, group_role, held_out
from bench.errors import BadInput, unknown
from bench_classification.plugin import TASK, ClassificationConfig
from bench_classification.published import (
    LEARNED,
    PUBLISHED,
    disjoint_role,
    published_notes,
    published_parts,
    validates,
)

if TYPE_CHECKING:
    import anndata as ad

MINIMUM = 50
"""Fewer labelled cells tell nothing."""
UNGROUPED = ""


@dataclass(frozen=True)
class Division:
    """A dataset as the exam sees it. Positions refer to the dataset."""

    names: np.ndarray
    """(n,) names of all cells."""
    labels: np.ndarray
    """(n,) type of each cell, None where missing."""
    takes_part: np.ndarray
    """bool (n,): False for cells of types that are too small."""
    role: GroupRole | None
    """What is held out; None for random cells."""
    groups: np.ndarray | None
    """(n,) donor or batch of each cell."""
    cell_folds: int
    notes: tuple[str, ...]
    published: np.ndarray | None = None
    """(n,) `"train"`, `"val"` or `"test"` of each cell, None where missing, where the data comes with a split."""
    tuning_groups: np.ndarray | None = None
    """(n,) what models tune by: the published parts where `val` will do, else `groups`."""

    @property
    def labelled(self) -> np.ndarray:
        """bool (n,): cells that can be asked about."""
        return is_known(self.labels) & self.takes_part

    @property
    def by(self) -> Literal["donor", "batch", "cells"]:
        """The word for the split."""
        return self.role or "cells"

    def folds(self) -> list[str]:
        """Names of the folds; groups without a labelled cell are no fold."""
        if self.published is not None:
            return [PUBLISHED]
        if self.role is None or self.groups is None:
            return [f"cells-{number}" for number in range(1, self.cell_folds + 1)]
        return group_folds(self.groups[self.labelled], self.role)

    def test(self, fold: str, seed: int) -> tuple[np.ndarray, tuple[str, ...]]:
        """Mask (n,) of the cells asked about in a fold, and the groups it holds out."""
        if fold not in self.folds():
            raise unknown("fold", fold, self.folds())
        if self.published is not None:
            mask = (self.published == "test") & self.labelled
            return mask, () if self.groups is None else tuple(sorted(set(self.groups[mask])))
        if self.role is None or self.groups is None:
            mask = np.zeros(len(self.labels), dtype=bool)
            asked = np.flatnonzero(self.labelled)
            dealt = cell_folds(self.labels[asked], self.names[asked], self.cell_folds, seed)
            mask[asked[dealt == self.folds().index(fold)]] = True
            return mask, ()
        groups = held_out(self.groups[self.labelled], self.role, fold, seed)
        return np.isin(self.groups, groups) & self.labelled, groups

    def train(self, test: np.ndarray, groups: tuple[str, ...]) -> np.ndarray:
        """Mask (n,) of the cells a model may learn from: none that is, or could be, of a held-out group."""
        if self.published is not None:
            return np.isin(self.published.astype(str), LEARNED) & self.takes_part
        outside = ~np.isin(self.groups, (*groups, UNGROUPED)) if self.groups is not None else ~test
        return outside & self.takes_part


def divide(data: ad.AnnData, config: ClassificationConfig) -> Division:
    """Read what the exam needs from canonical data.

    Raises
    ------
    BadInput
        If labels are absent, too few, all the same, or too rare to be split.
    """
    labels = role_values(data, "cell_type")
    names, sizes = np.unique(labels[is_known(labels)].astype(str), return_counts=True)
    small = names[sizes < config.min_class_size]
    takes_part = ~np.isin(labels.astype(str), small) | ~is_known(labels)
    _check(names[sizes >= config.min_class_size], int((is_known(labels) & takes_part).sum()))
    asked = is_known(labels) & takes_part
    published = published_parts(data, asked) if "split" in data.obs else None
    role = _role(data, asked) if published is None else disjoint_role(data, published)
    if role is None and published is None:
        _check_sizes(names, sizes, config)
    groups = None if role is None else _groups(data, role)
    tunes = published is not None and validates(published, asked)
    return Division(
        names=np.array([str(name) for name in data.obs_names]),
        labels=labels,
        takes_part=takes_part,
        role=role,
        groups=groups,
        cell_folds=config.cell_folds,
        notes=_notes(list(small), int((~is_known(labels)).sum()), role, published, tunes),
        published=published,
        tuning_groups=published if tunes else groups,
    )


def _role(data: ad.AnnData, asked: np.ndarray) -> GroupRole | None:
    obs: Any = data.obs
    return group_role(obs[asked])


def _groups(data: ad.AnnData, role: GroupRole) -> np.ndarray:
    """Group of each cell, `UNGROUPED` where it is missing, which only unlabelled cells may be."""
    return np.array([UNGROUPED if value is None else value for value in role_values(data, role)])


def _check(names: np.ndarray, n_labelled: int) -> None:
    if len(names) < 2:
        found = f"found 1 ({str(names[0])!r})" if len(names) else "found none"
        raise BadInput(
            f"task {TASK.name} needs at least 2 types in 'cell_type', {found}; give another column with --obs."
        )
    if n_labelled < MINIMUM:
        raise BadInput(f"task {TASK.name} needs at least {MINIMUM} labelled cells, this dataset has {n_labelled:,}.")


def _check_sizes(names: np.ndarray, sizes: np.ndarray, config: ClassificationConfig) -> None:
    rare = [
        (str(n), int(s)) for n, s in zip(names, sizes, strict=True) if config.min_class_size <= s < config.cell_folds
    ]
    if rare:
        listed = ", ".join(f"{name!r} ({size})" for name, size in rare[:5])
        raise BadInput(
            f"{len(rare)} types have fewer cells than the {config.cell_folds} folds of random cells: {listed};"
            f" leave them out with --task-set min_class_size={config.cell_folds}."
        )


def _notes(
    small: list[str], unlabelled: int, role: GroupRole | None, published: np.ndarray | None, tunes: bool
) -> tuple[str, ...]:
    notes = []
    if published is not None:
        notes += published_notes(published, role, tunes)
    elif role is None:
        notes.append("optimistic: random cells are held out, as there are no two donors or batches")
    if small:
        notes.append(f"types left out as too small: {', '.join(map(str, small))}")
    if unlabelled:
        notes.append(f"{unlabelled:,} cells without a label are never asked about")
    return tuple(notes)
