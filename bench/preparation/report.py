"""What was done to a dataset, step by step: printed, written beside the file, and kept inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

EXAMPLES = 5
"""Names shown of what a step dropped."""


@dataclass(frozen=True)
class Step:
    """One step, with what it removed and what it left."""

    step: str
    why: str
    cells_removed: int
    features_removed: int
    cells: int
    """Left."""
    features: int
    """Left."""
    first: tuple[str, ...] = ()
    """Names of the first that were removed."""


@dataclass
class Account:
    """Cells and features that are left, while steps are taken."""

    cells: int
    features: int
    steps: list[Step] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def drop_cells(self, step: str, why: str, keep: np.ndarray, passes: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Note which of the cells still kept do not pass; the new (n_cells,) mask of those that are kept."""
        gone = keep & ~passes
        self._note(step, why, int(gone.sum()), 0, gone, names)
        return keep & passes

    def drop_features(
        self, step: str, why: str, keep: np.ndarray, passes: np.ndarray, names: Sequence[str]
    ) -> np.ndarray:
        """The same for features."""
        gone = keep & ~passes
        self._note(step, why, 0, int(gone.sum()), gone, names)
        return keep & passes

    def merge_features(self, why: str, left: int) -> None:
        """Note that features became one."""
        self._note("duplicate genes", why, 0, self.features - left, np.zeros(0, dtype=bool), ())

    def _note(self, step: str, why: str, cells: int, features: int, gone: np.ndarray, names: Sequence[str]) -> None:
        self.cells -= cells
        self.features -= features
        first = tuple(str(names[k]) for k in np.flatnonzero(gone)[:EXAMPLES])
        self.steps.append(Step(step, why, cells, features, self.cells, self.features, first))


@dataclass(frozen=True)
class Report:
    """Everything `bench data prepare` says."""

    source: str
    source_sha256: str
    study: str
    species: str
    counts: str
    """Where they were found."""
    cells: tuple[int, int]
    """Before and after."""
    features: Mapping[str, tuple[int, int]]
    """Kind of feature -> before and after."""
    steps: tuple[Step, ...]
    quality: Mapping[str, Mapping[str, float]]
    """Metric -> minimum, median and maximum over the cells that are left."""
    gene_table: Mapping[str, Any]
    mapping: Mapping[str, Any]
    options: Mapping[str, Any]
    notices: tuple[str, ...]
    versions: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """JSON-ready, without anything that depends on when or in which folder it was made."""
        return asdict(self)
