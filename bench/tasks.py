"""What passes between a task, the model it examines, and the score.

A task splits a dataset into an `Exam` (all that a model may see) and a `Truth` (what it is scored on).
`sit` gets the exam alone, so it cannot leak the truth; `score` joins the two by row name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import anndata as ad
    import numpy as np
    import pandas as pd

MakeModel = Callable[[], Any]
"""Makes a fresh model, seeded by the job, that has the capability the task needs."""


@dataclass(frozen=True)
class Split:
    """How cells were divided; stored with the run.

    `by` is `"donor"` or `"batch"` (whole groups held out), `"cells"` (random cells: optimistic, never
    in the overall rank) or `"none"` (nothing held out: transductive).
    """

    by: Literal["donor", "batch", "cells", "none"]
    sizes: Mapping[str, int]
    """Number of cells of each part."""
    held_out: tuple[str, ...] = ()
    """Groups of the test part."""
    notes: tuple[str, ...] = ()
    """What a reader must know, such as types that do not occur in training."""

    @property
    def optimistic(self) -> bool:
        """Whether cells of one group sit on both sides."""
        return self.by == "cells"


@dataclass(frozen=True)
class Exam:
    """All that a model may see: built fresh from an allow-list, never a view of the dataset."""

    parts: Mapping[str, ad.AnnData]
    """Such as `{"train": ..., "test": ...}` or `{"cells": ...}`."""
    rows: tuple[str, ...]
    """Names of the rows the output must have, in any order."""
    split: Split


@dataclass(frozen=True)
class Truth:
    """What an output is scored on. No model ever gets it."""

    rows: tuple[str, ...]
    obs: pd.DataFrame
    """Indexed by `rows`: labels, batches, and `scored` (bool) where label metrics skip some cells."""
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Reference arrays whose first axis is `rows`, such as the unintegrated PCA."""


@dataclass(frozen=True)
class Output:
    """What came out of a model: named rows, and arrays whose first axis they are."""

    rows: tuple[str, ...]
    arrays: Mapping[str, np.ndarray]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of an array's second axis, such as the classes of `"probabilities"`."""


@dataclass(frozen=True)
class Score:
    """One measured value. An empty `part` is the metric's headline."""

    metric: str
    version: str
    value: float | None
    """None means the metric is not defined here (one batch, say); never NaN, never 0 instead."""
    n: int
    """Number of cells or conditions behind the value."""
    units: Mapping[str, float] = field(default_factory=dict)
    """The value on each independent unit."""
    unit_kind: str = ""
    """donor | class | batch | perturbation"""
    part: Mapping[str, str] = field(default_factory=dict)
    """What this row is a part of: `{"shots": "10"}`, `{"resolution": "best"}`."""


class Task(Protocol):
    """The protocol of a task. Constructed as `Class(config)`."""

    def folds(self, data: ad.AnnData) -> list[str]:
        """Names of the folds; each becomes one job. Raises `BadInput` if the data cannot be examined."""
        ...

    def split(self, data: ad.AnnData, fold: str, split_seed: int, *, label_aware: bool = False) -> tuple[Exam, Truth]:
        """Divide canonical data.

        `label_aware` says that the model under test uses labels: where nothing is held out, the labels
        of a seeded fraction are then visible and label metrics are computed on the other cells only.
        """
        ...

    def sit(self, make_model: MakeModel, exam: Exam) -> Output:
        """Let a model answer the exam."""
        ...

    def score(self, output: Output, truth: Truth) -> list[Score]:
        """Score an answer against the truth, joined by row name."""
        ...

    def controls(self, exam: Exam, truth: Truth, split_seed: int) -> dict[str, Output]:
        """Answers the task makes itself: floors and ceilings, scored like a model's."""
        ...
