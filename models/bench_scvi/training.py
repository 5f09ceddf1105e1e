"""How scvi-tools is trained here: seeded, quiet, without files, validated by group."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import scvi
import torch

from bench.heads import validation_cut
from bench.training.quiet import quiet as without_chatter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench_scvi.plugin import ScviConfig

THREADS = torch.get_num_threads()
"""What the environment grants. numba, which chooses variable genes, later sets torch's threads to all cores:
on cores that are shared this made training seven times slower."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's and scvi-tools' chatter away, and threads as granted."""
    torch.set_num_threads(THREADS)
    with without_chatter("scvi"):
        yield


def seed(value: int) -> None:
    """Seed Python, numpy and torch, and scvi-tools' own choices."""
    scvi.settings.seed = value


def batch_size(wanted: int, *sizes: int) -> int:
    """Return the smallest batch size from `wanted` up that leaves no last batch of one or two cells.

    Batch normalisation fails on one cell and means little on two.

    Parameters
    ----------
    wanted
        Cells per step.
    sizes
        Number of cells of each set that is walked through in batches; each at least 3.
    """
    size = wanted
    while any(n % size in (1, 2) for n in sizes):
        size += 1
    return size


def trainer_options(device: str) -> dict[str, Any]:
    """Arguments every `train` call shares: one device, no checkpoints, no logs, progress on a terminal only."""
    accelerator, _, index = device.partition(":")
    return {
        "accelerator": accelerator,
        "devices": [int(index)] if index else 1,
        "enable_progress_bar": sys.stderr.isatty(),
    }


def train_scvi(
    model: scvi.model.SCVI, n_cells: int, config: ScviConfig, groups: np.ndarray | None, seed: int, device: str
) -> None:
    """Train scVI, with early stopping on a validation part where there are cells to spare.

    The part is `bench.heads.validation_cut` without labels: whole groups where the task shows groups, else
    random cells. Without early stopping all cells are trained on.
    """
    cut = np.zeros(n_cells, dtype=bool)
    if config.early_stopping:
        cut = validation_cut(np.zeros(n_cells, dtype=int), groups, seed, config.validation_size)
    if (~cut).sum() < 3:
        cut[:] = False
    parts: Sequence[np.ndarray] = [np.flatnonzero(~cut), np.flatnonzero(cut), np.empty(0, dtype=int)]
    model.train(
        max_epochs=config.max_epochs,
        batch_size=batch_size(config.batch_size, len(parts[0])),
        early_stopping=bool(cut.any()),
        early_stopping_patience=config.patience,
        datasplitter_kwargs={"external_indexing": parts},
        **trainer_options(device),
    )
