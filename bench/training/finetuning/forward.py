"""A network's answer about cells, one row each, whatever the batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor

from bench.data.cells.batch import Draw
from bench.training.finetuning.examples import Reader, pieces

if TYPE_CHECKING:
    import anndata as ad


def answers(
    network: Callable[[Any], Tensor], read: Reader, rows: np.ndarray, lengths: np.ndarray, batch_size: int, device: str
) -> Tensor:
    """Apply a network, in the mode of prediction, to some cells.

    Parameters
    ----------
    network
        From a batch on `device` to float (B, k).
    read
        Makes a batch of the cells.
    rows
        int64 (n,) positions of those asked about, at least one.
    lengths
        int64 (n,) genes of each: cells with about as many go through the network together, so that little is padded.
    batch_size
        Most cells of a batch.
    device
        Where the network is.

    Returns
    -------
    float32 (n, k) on the CPU, in the order of `rows`.
    """
    order = np.argsort(lengths, kind="stable")
    with torch.inference_mode():
        batches = (move_data_to_device(read(Draw(rows[piece])), device) for piece in pieces(order, batch_size))
        found = torch.cat([network(batch).float().cpu() for batch in batches])
    return found[torch.from_numpy(np.argsort(order))]


def genes_of(cells: ad.AnnData) -> np.ndarray:
    """How many genes each cell of canonical cells has, int64 (n,)."""
    matrix: Any = cells.X
    return np.diff(matrix.indptr).astype(np.int64)
