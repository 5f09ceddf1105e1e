"""Batches for a model, one after the other, and where to go on after a stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import torch
from torch.utils.data import DataLoader

from bench.data.cells.batch import Cells
from bench.data.cells.dataset import CellDataset
from bench.data.cells.samplers import CellSampler


class CellLoader:
    """Batches of a dataset, as a sampler orders them.

    They are the same for any number of workers. `state_dict` counts what was handed out: what workers have prepared
    beyond it is prepared again after resuming.

    Parameters
    ----------
    collate
        Makes a batch of cells; it must be a function of them alone, as those of `bench.data.cells.recipe` are.
    workers
        Processes that prepare batches; 0: this one does.
    pin_memory
        Put batches into page-locked memory, from where a GPU copies faster.
    start
        How workers are started, `"fork"` or `"spawn"`; None: as Python does on this system.
    """

    def __init__(
        self,
        dataset: CellDataset,
        sampler: CellSampler,
        collate: Callable[[Cells], Any],
        *,
        workers: int = 0,
        pin_memory: bool = False,
        start: str | None = None,
    ) -> None:
        self.dataset, self.sampler = dataset, sampler
        self.batch_sampler = sampler  # Lightning looks for it by both names
        self._loader = DataLoader(
            dataset,
            batch_sampler=cast(Any, sampler),  # PyTorch's types know lists of numbers only, its code takes anything
            collate_fn=cast(Any, collate),
            num_workers=workers,
            pin_memory=pin_memory,
            persistent_workers=workers > 0,
            multiprocessing_context=start if workers else None,
            generator=torch.Generator(),  # else each epoch would draw from the generator that the model draws from
        )

    def __len__(self) -> int:
        """Batches of a whole epoch, also where this one is resumed in the middle."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        """The rest of the epoch: all of it but after resuming, or where an epoch was left early."""
        for batch in self._loader:
            self.sampler.advance()
            yield batch

    @property
    def _iterator(self) -> Any:
        """Workers that wait for the next epoch: Lightning ends them by this name when it is done.

        Left to the garbage collector they would be waited for, 5 seconds each.
        """
        return self._loader._iterator

    @_iterator.setter
    def _iterator(self, iterator: None) -> None:
        self._loader._iterator = iterator

    def state_dict(self) -> dict[str, Any]:
        """Where the epoch stands after the last batch that was handed out."""
        return self.sampler.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the batch after that; see `CellSampler.load_state_dict`."""
        self.sampler.load_state_dict(state)
