"""What passes between store, collator and model: cells as they are stored, and a batch of them made ready.

`Inputs` is all that a model gets; what it is scored on is in `Targets`. A value that is to be predicted is taken out
of `Inputs` by the collator, so that no model has to be trusted not to look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

Moved = TypeVar("Moved")


@dataclass(frozen=True)
class Draw:
    """Which cells come next, and in which epoch: all that their randomness depends on but the seed."""

    cells: np.ndarray
    """int64 (n,) positions in the dataset, in order."""
    epoch: int = 0
    repeats: np.ndarray | None = None
    """int64 (n,), telling the times apart where a cell may come several times in an epoch; None: it comes once."""


@dataclass(frozen=True)
class Cells:
    """Cells as they are stored: the genes with counts of each, one cell after the other."""

    cells: np.ndarray
    """int64 (n,) positions in the dataset."""
    offsets: np.ndarray
    """int64 (n + 1,): cell i has `genes[offsets[i]:offsets[i + 1]]`."""
    genes: np.ndarray
    """int32 (nnz,) positions in the vocabulary, each once per cell, in no particular order."""
    counts: np.ndarray
    """float32 (nnz,), above 0."""
    totals: np.ndarray
    """float32 (n,) counts of the whole cell, genes outside the vocabulary included."""
    keys: np.ndarray
    """uint64 (n,) of epoch, cell and repeat: with a seed, where a cell's random numbers start."""
    codes: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Column of `obs` -> int64 (n,) codes of its categories, -1 where missing."""
    previous: Cells | None = None
    """The cell of the previous time point of each, without genes where there is none."""

    def __len__(self) -> int:
        return len(self.cells)


@dataclass(frozen=True)
class Inputs:
    """What a model sees of B cells with L gene tokens each."""

    genes: Tensor
    """int64 (B, L) positions in the vocabulary; 0 where absent or, with `hide="gene"`, hidden."""
    values: Tensor
    """float32 (B, L): counts, or the number of the bin or rank (see `CollatorConfig.expression`); 0 where absent
    or, with `hide="value"`, hidden."""
    present: Tensor
    """bool (B, L), False for padding."""
    hidden: Tensor
    """bool (B, L): tokens of which the gene or the value is withheld."""
    depth: Tensor
    """float32 (B,) total counts of the cell as it is seen, all its genes."""
    target_depth: Tensor
    """float32 (B,) total counts of the cell that is to be predicted, all its genes."""
    covariates: Mapping[str, Tensor] = field(default_factory=dict)
    """Column of `obs` -> int64 (B,) codes, -1 where missing."""
    segments: Tensor | None = None
    """int64 (L,): 0 for the cell, 1 for the one of the previous time point; None without that."""
    padded: bool = True
    """False where `present` is known to be all True: without a mask attention is faster, and to look costs a wait for
    the GPU."""


@dataclass(frozen=True)
class Targets:
    """What a model is scored on; shapes as in `Inputs`."""

    genes: Tensor
    """int64 (B, L) positions in the vocabulary, none hidden; 0 where absent."""
    counts: Tensor
    """float32 (B, L) counts to be predicted."""
    classes: Tensor
    """int64 (B, L) bin or rank of what is to be predicted; 0 with `expression="counts"`."""
    scored: Tensor
    """bool (B, L): tokens that enter the loss."""
    offset: Tensor
    """float32 (B,) log of expected target counts per expected input count: log((1 - q) / q) with `mcv`, else 0."""
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    """Column of `obs` -> int64 (B,) codes, -1 where missing."""


@dataclass(frozen=True)
class CellBatch:
    """Cells made ready for a model.

    With two views the first half of the rows are the first views, the second half the second ones, in the same order.
    """

    cells: Tensor
    """int64 (B,) positions in the dataset."""
    inputs: Inputs
    targets: Targets
    views: int = 1

    def to(self, device: torch.device | str, non_blocking: bool = False) -> CellBatch:
        """The same on a device."""
        return mapped(self, lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> CellBatch:
        """The same in page-locked memory, from where a GPU copies faster (called by `torch.utils.data.DataLoader`)."""
        return mapped(self, Tensor.pin_memory)


def mapped(value: Moved, change: Callable[[Tensor], Tensor]) -> Moved:
    """A copy with every tensor changed."""
    changed: Any = value
    if isinstance(value, Tensor):
        changed = change(value)
    elif isinstance(value, Mapping):
        changed = {name: change(tensor) for name, tensor in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        changed = type(value)(**{f.name: mapped(getattr(value, f.name), change) for f in fields(value)})
    return changed
