"""Exams in which nothing is held out: one set of cells is embedded, and judged by labels the model was not shown.

What the tasks on embeddings share: which cells and columns a model sees, how it sits the exam, and how its
answer is joined to the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.data.exams import hide, is_known, role_values, visible_cells
from bench.data.splits import random_keys, stratified_fraction, stratified_subsample
from bench.errors import BadInput, BadOutput
from bench.tasks import Exam, MakeModel, Output, Score, Split, Truth

if TYPE_CHECKING:
    import anndata as ad

    from bench.metrics.measure import Measured

FOLD = "all"
EMBEDDING = "embedding"
LABEL = "cell_type"


@dataclass(frozen=True)
class Choice:
    """Which cells take part, and whose labels the model is shown."""

    rows: np.ndarray
    """Positions in the dataset, in an order that depends on names and seed alone."""
    labels: np.ndarray
    """Label of each row, None where missing."""
    visible: np.ndarray
    """bool: the model is shown this row's label."""
    notes: tuple[str, ...]

    @property
    def scored(self) -> np.ndarray:
        """bool: labels that count, those that exist and are not shown."""
        return is_known(self.labels) & ~self.visible


def check_fold(fold: str) -> None:
    """Raise `BadInput` for a fold other than the only one."""
    if fold != FOLD:
        raise BadInput(f"there is no fold {fold!r}: nothing is held out here, the only fold is {FOLD!r}.")


def check_labels(data: ad.AnnData, task: str, smallest: int) -> None:
    """Raise `BadInput` for data with fewer than `smallest` cells or fewer than two labels."""
    if data.n_obs < smallest:
        raise BadInput(f"task {task} needs at least {smallest} cells, this dataset has {data.n_obs:,}.")
    values = role_values(data, LABEL)
    found = sorted(set(values[is_known(values)]))
    if len(found) < 2:
        what = f"found 1 ({found[0]!r})" if found else "all are missing"
        raise BadInput(f"task {task} needs at least 2 types in {LABEL!r}, {what}; give another column with --obs.")


def choose(
    data: ad.AnnData,
    *,
    seed: int,
    max_cells: int,
    label_fraction: float,
    label_aware: bool,
    notes: tuple[str, ...] = (),
) -> Choice:
    """Choose cells, and the labels a label-aware model is shown.

    Parameters
    ----------
    data
        Canonical data with labels.
    seed
        Of both choices.
    max_cells
        A larger dataset is subsampled to so many cells, types in their shares; 0 keeps all.
    label_fraction
        Fraction of each type's cells whose label is shown.
    label_aware
        Whether any is shown.
    notes
        What else a reader must know of the data.
    """
    every = role_values(data, LABEL)
    names = np.array([str(name) for name in data.obs_names])
    rows = stratified_subsample(every, names, max_cells, seed)
    if len(rows) < len(names):
        notes += (f"{len(rows):,} of {len(names):,} cells, sampled by type",)
    # files are often sorted by type: a fixed order would let the position of a cell tell its type
    rows = rows[np.argsort(random_keys(names[rows], seed))]
    labels = every[rows]
    visible = np.zeros(len(rows), dtype=bool)
    if label_aware:
        known = is_known(labels)
        visible[known] = stratified_fraction(labels[known], names[rows][known], label_fraction, seed)
    missing = int((~is_known(labels)).sum())
    if missing:
        notes += (f"{missing:,} cells without a label are embedded but not scored",)
    if label_aware:
        notes += (f"labels of {int(visible.sum()):,} cells are shown; label metrics use the other cells",)
    return Choice(rows, labels, visible, notes)


def exam_of(data: ad.AnnData, choice: Choice, shown: Mapping[str, np.ndarray], label_aware: bool) -> Exam:
    """Build the exam: the chosen cells with the columns `shown`, and the visible labels if label-aware."""
    columns = dict(shown)
    if label_aware:
        columns[LABEL] = hide(choice.labels, choice.visible)
    cells = visible_cells(data, choice.rows, columns)
    sizes = {"cells": cells.n_obs, "scored": int(choice.scored.sum())}
    return Exam({"cells": cells}, tuple(cells.obs_names), Split("none", sizes, notes=choice.notes))


def truth_of(
    exam: Exam, choice: Choice, columns: Mapping[str, np.ndarray], arrays: Mapping[str, np.ndarray] | None = None
) -> Truth:
    """Build the truth beside an exam: labels, `scored`, and further columns and arrays in the order of its rows."""
    import pandas as pd

    table = {LABEL: choice.labels, "scored": choice.scored, **columns}
    return Truth(exam.rows, pd.DataFrame(table, index=pd.Index(exam.rows)), arrays or {})


def embed_all(make_model: MakeModel, exam: Exam) -> Output:
    """Fit a model on the exam's cells and embed them; labels are at hand in `fit` only."""
    cells = exam.parts["cells"]
    model = make_model()
    model.fit(cells.copy())
    shown = {c: cells.obs[c].to_numpy() for c in cells.obs.columns if c != LABEL}
    blind = visible_cells(cells, np.arange(cells.n_obs), shown)
    return Output(tuple(cells.obs_names), {EMBEDDING: np.asarray(model.embed(blind), dtype=np.float32)})


def aligned(output: Output, truth: Truth, array: str = EMBEDDING) -> np.ndarray:
    """An array of the output with its rows in the order of the truth.

    Raises
    ------
    BadOutput
        If the array is absent, has another number of rows than names, or the names are not the truth's.
    """
    if array not in output.arrays or len(output.arrays[array]) != len(output.rows):
        raise BadOutput(f"the output has no array {array!r} with a row for each of its {len(output.rows):,} names.")
    position = {name: row for row, name in enumerate(output.rows)}
    if len(output.rows) != len(truth.rows) or position.keys() != set(truth.rows):
        raise BadOutput(f"the {len(output.rows):,} rows of the output are not the {len(truth.rows):,} cells asked for.")
    return output.arrays[array][[position[name] for name in truth.rows]]


def as_scores(found: list[Measured], version: str, part: Mapping[str, str] | None = None) -> list[Score]:
    """Turn what a metric measured into rows of a record."""
    return [Score(one.metric, version, one.value, one.n, one.units, one.unit_kind, part or {}) for one in found]


def one_hot(labels: np.ndarray, jitter: float = 0.0, seed: int = 0) -> np.ndarray:
    """The labels themselves as a float32 embedding (n, n_labels), each number moved by up to `jitter`.

    openproblems' `embed_cell_types` and `embed_cell_types_jittered`. Missing labels are a label of their own.
    """
    _, code = np.unique(labels.astype(str), return_inverse=True)
    vectors = np.eye(int(code.max()) + 1, dtype=np.float32)[code]
    noise = np.random.default_rng(seed).uniform(-jitter, jitter, vectors.shape)
    return vectors + noise.astype(np.float32)
