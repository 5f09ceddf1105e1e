"""What a summary consists of.

An *exam* is one task, with its settings, on one dataset. Its runs fall into *tracks*, which are never
mixed, and in a track into *entries*: one model with its configuration, over folds and seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bench.store.arithmetic import Column, Spread
from bench.store.visible import Part, Run

State = Literal["ok", "failed", "not applicable"]
TRACKS = ("zero-shot", "fitted", "label-aware", "fine-tuned")
"""In the order they are shown."""


@dataclass(frozen=True)
class Cell:
    """One score of one entry."""

    spread: Spread
    n_runs: int
    """Runs behind it."""
    n_units: int = 0
    """What its spread is over: folds, or the units of a single fold (classes, batches)."""
    unit_kind: str = ""
    skill: float | None = None
    """Mean over its runs, each against the controls of its own fold; None unless all have one."""
    above_floor: bool = False
    """Whether it is better than the floor control."""


@dataclass(frozen=True)
class Cost:
    """What a run of an entry took, on average."""

    fit_s: float | None
    bridge_s: float | None
    """A probe's own time, never charged to the model."""
    cells_per_s: float | None
    peak_rss_bytes: int | None
    """The largest of all runs."""


@dataclass(frozen=True)
class Entry:
    """One model with its configuration in one track of an exam."""

    model: str
    version: str
    config: Mapping[str, Any]
    weights: str
    weights_sha256: str
    trained_on: tuple[Mapping[str, Any], ...]
    """The trainings of own weights, see `bench.runs.record.TrainedPart`, oldest first."""
    bridge: str
    track: str
    summary: str
    reference: str
    baseline: bool
    state: State
    n_ok: int
    n_failed: int
    n_missing: int
    """Folds of the exam, times seeds of the entry, that were not run."""
    cells: tuple[Cell, ...]
    """In the order of the exam's columns."""
    parts: Mapping[tuple[str, Part], Cell]
    """(metric, part) -> score."""
    cost: Cost
    suspects: tuple[str, ...]
    """Reasons not to believe its scores."""
    contaminated: tuple[str, ...]
    """How it has been trained on what it is scored on; it is then not ranked."""
    flags: tuple[str, ...]
    """Everything else a reader must know."""
    errors: tuple[str, ...]
    runs: tuple[Run, ...]

    @property
    def complete(self) -> bool:
        """Whether every fold and seed has a score; only then may it be ranked."""
        return self.state == "ok" and not self.n_failed and not self.n_missing


@dataclass(frozen=True)
class Control:
    """An answer that the task made itself."""

    name: str
    role: Literal["floor", "ceiling", ""]
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Track:
    """Entries that may be compared with one another, best first, and the controls of their exam."""

    name: str
    entries: tuple[Entry, ...]
    controls: tuple[Control, ...]


@dataclass(frozen=True)
class Exam:
    """One task, with its settings, on one dataset."""

    task: str
    task_version: str
    settings: Mapping[str, Any]
    """The task's configuration without the choice of a bridge."""
    split_seed: int
    dataset: str
    identity: str
    study: str
    n_obs: int
    n_vars: int
    columns: tuple[Column, ...]
    main: int
    """Position of the column that entries are sorted by."""
    split_by: str
    optimistic: bool
    semi_simulated: bool
    simulated: bool
    n_folds: int
    notes: tuple[str, ...]
    tracks: tuple[Track, ...]
