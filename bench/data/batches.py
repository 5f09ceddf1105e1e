"""What models share that correct the cells they are given over batches, and can say nothing about others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import BadInput

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd


def batch_labels(cells: ad.AnnData, who: str, smallest: int = 1) -> np.ndarray:
    """The batch (n,) of each cell, as str.

    Parameters
    ----------
    cells
        With the role `batch` in `obs`.
    who
        The method that needs it, for messages.
    smallest
        Cells that every batch must have.

    Raises
    ------
    BadInput
        If there are not two batches, one is too small, or the batch of a cell is missing.
    """
    if "batch" not in cells.obs:
        raise BadInput(f"{who} corrects for batch, but obs has no column 'batch'; map one with --obs batch=COLUMN.")
    missing = int(cells.obs["batch"].isna().sum())
    if missing:
        raise BadInput(f"{who} needs the batch of every cell, but obs['batch'] is missing for {missing:,} cells.")
    batches = cells.obs["batch"].astype(str).to_numpy(dtype=str)
    names, sizes = np.unique(batches, return_counts=True)
    if len(names) < 2:
        raise BadInput(f"{who} needs at least 2 batches to correct for, found 1 ({str(batches[0])!r}).")
    if sizes.min() < smallest:
        name, size = str(names[sizes.argmin()]), int(sizes.min())
        raise BadInput(
            f"{who} needs at least {smallest} cells in every batch, batch {name!r} has {size};"
            " leave it out, or merge it with another."
        )
    return batches


@dataclass(frozen=True)
class CorrectedCells:
    """The embedding of the cells a method was fitted on."""

    who: str
    """The method, for messages."""
    names: pd.Index
    """Names of the cells, unique."""
    vectors: np.ndarray
    """float32 (n_cells, n_dims), rows as `names`."""

    def of(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_dims) of some of the cells, joined by name.

        Raises
        ------
        BadInput
            If there are others among them.
        """
        positions = self.names.get_indexer(cells.obs_names)
        if (positions < 0).any():
            absent = cells.obs_names[positions < 0]
            raise BadInput(
                f"{self.who} cannot embed cells it was not fitted on ({len(absent):,} of {cells.n_obs:,},"
                f" first: {absent[0]!r}); use it for tasks that hold nothing out, such as integration."
            )
        return self.vectors[positions]
