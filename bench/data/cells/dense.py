"""Cells made into a batch of one column per gene, for models that read a fixed panel: autoencoders, MLPs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from bench.data.cells import kernels
from bench.data.cells.batch import Cells, mapped
from bench.data.cells.chance import key
from bench.data.cells.dataset import CellDataset

STORE = "store"
"""Not a column of `obs`: which file a cell is of, in the order of the dataset."""


@dataclass(frozen=True)
class DenseBatch:
    """B cells, each with the same G genes."""

    cells: Tensor
    """int64 (B,) positions in the dataset."""
    counts: Tensor
    """float32 (B, G), hidden ones included; 0 where not measured."""
    totals: Tensor
    """float32 (B,) counts of the whole cell, all genes of its file."""
    hidden: Tensor | None = None
    """bool (B, G): genes of which the count is masked, or was not measured; None: all are to be seen."""
    scored: Tensor | None = None
    """bool (B, G): genes that are masked, and whose count is known; None: none is masked."""
    codes: Mapping[str, Tensor] = field(default_factory=dict)
    """Column of `obs`, or `STORE` -> int64 (B,) codes, -1 where missing."""

    @property
    def seen(self) -> Tensor:
        """float32 (B, G): counts, 0 where hidden. All that a model may read of them to predict the others."""
        return self.counts if self.hidden is None else self.counts.masked_fill(self.hidden, 0)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> DenseBatch:
        """The same on a device."""
        return mapped(self, lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> DenseBatch:
        """The same in page-locked memory, see `CellBatch.pin_memory`."""
        return mapped(self, Tensor.pin_memory)


class DenseCollator:
    """Makes batches of cells.

    As with `bench.data.cells.collate.Collator`, what becomes of a cell is a function of the seed and the cell's key
    alone. Masked is a share of the genes that the cell's file measures, drawn for each cell.

    Parameters
    ----------
    dataset
        Where the cells are from.
    panel
        int64 (G,) positions of genes in its vocabulary.
    columns
        Columns of `obs` that come with the cells, or `STORE`.
    masked
        Least and largest share of masked genes; 0 and 0: none is.
    seed
        From 0.
    """

    def __init__(
        self,
        dataset: CellDataset,
        panel: np.ndarray,
        columns: Sequence[str] = (),
        masked: tuple[float, float] = (0.0, 0.0),
        seed: int = 0,
    ) -> None:
        self.panel, self._names, self._masked, self._seed = panel, tuple(columns), masked, key(seed)
        self._columns = np.full(len(dataset.vocabulary), -1, dtype=np.int32)
        self._columns[panel] = np.arange(len(panel))
        self._starts = dataset.starts
        self._measured = dataset.measured[:, panel]
        self._all_measured = bool(self._measured.all())

    def __call__(self, cells: Cells) -> DenseBatch:
        """Make a batch of cells of the dataset."""
        counts = np.zeros((len(cells), len(self.panel)), dtype=np.float32)
        kernels.spread(cells.offsets, cells.genes, cells.counts, self._columns, counts)
        stores = np.searchsorted(self._starts, cells.cells, side="right") - 1
        hidden, scored = self._hidden(cells, stores)
        codes = {name: stores if name == STORE else cells.codes[name] for name in self._names}
        return DenseBatch(
            cells=torch.from_numpy(cells.cells),
            counts=torch.from_numpy(counts),
            totals=torch.from_numpy(cells.totals),
            hidden=None if hidden is None else torch.from_numpy(hidden),
            scored=None if scored is None else torch.from_numpy(scored),
            codes={name: torch.from_numpy(numbers) for name, numbers in codes.items()},
        )

    def _hidden(self, cells: Cells, stores: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Genes not to be seen, and those of them that are masked, bool (B, G); None where there are none."""
        unmeasured = None if self._all_measured else ~self._measured[stores]
        if not self._masked[1]:
            return unmeasured, None
        masked = self._mask(cells, stores)
        return masked if unmeasured is None else unmeasured | masked, masked

    def _mask(self, cells: Cells, stores: np.ndarray) -> np.ndarray:
        """Genes to mask, bool (B, G)."""
        starts, shares = np.empty_like(cells.keys), np.empty(len(cells))
        kernels.starts_of(cells.keys, self._seed, 0, starts)
        kernels.shares_of(starts, kernels.SHARE, *self._masked, shares)
        masked = np.zeros((len(cells), len(self.panel)), dtype=bool)
        kernels.mask_columns(starts, shares, stores, self._measured, masked)
        return masked
