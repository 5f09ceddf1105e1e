"""Batches of cells from an order: which come next on which device, and where to go on after a stop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from bench.data.cells.batch import Draw
from bench.data.cells.orders import Order
from bench.errors import BadInput
from bench.wording import counted


class CellSampler(Sampler[Draw]):
    """Batches of an order, the share of one of several ranks.

    A step takes the next `batch_size` times `world` cells of the order, whatever their ranks: two ranks with batches
    of 32 see in a step what one with batches of 64 sees. Every rank has the same number of batches. In training,
    cells left over at the end of an epoch are dropped: others in the next, the order being another one.

    Parameters
    ----------
    order
        Where cells come in an epoch.
    batch_size
        Cells of a batch of one rank.
    rank, world
        Which of how many ranks this is.
    complete
        For validation and prediction: every cell comes, and every pass is alike, its randomness included. The last
        batch is shared out evenly; where it has fewer cells than there are ranks, some are given to two of them.

    Raises
    ------
    BadInput
        If there are no cells, or too few for a step.
    """

    def __init__(self, order: Order, batch_size: int, *, rank: int = 0, world: int = 1, complete: bool = False) -> None:
        self.order, self.rank, self.world, self.complete = order, rank, world, complete
        self.width = batch_size * world
        """Cells of a step, those of all ranks."""
        self.epoch = 0
        self.consumed = 0
        """Cells of the epoch, of all ranks, that were used."""
        if order.n < (1 if complete else self.width):
            have, each = counted(order.n, "cell"), f"data.batch_size={batch_size}"
            where = f" on each of {world} devices" if world > 1 else ""
            raise BadInput(f"{have} are too few for one batch of {each}{where}; give more cells, or lower it.")

    def __len__(self) -> int:
        """Batches of a rank in a whole epoch."""
        return -(-self.order.n // self.width) if self.complete else self.order.n // self.width

    def __iter__(self) -> Iterator[Draw]:
        """Batches from where the epoch stands to its end; what is prefetched is not counted as used (see `advance`)."""
        epoch = self.epoch
        for start in range(self.consumed, len(self) * self.width, self.width):
            begin, end = self._share(start)
            cells = self.order(epoch, begin, end)
            yield Draw(cells, epoch, np.arange(begin, end) if self.order.repeating else None)

    def advance(self) -> None:
        """Count a batch as used; after the last one of an epoch, the next epoch stands at its beginning.

        A complete pass is not gone on with: Lightning looks at a few batches of validation before it trains.
        """
        if self.complete:
            return
        self.consumed += self.width
        if self.consumed >= len(self) * self.width:
            self.epoch, self.consumed = self.epoch + 1, 0

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of another epoch; stay where we are in this one (called by Lightning)."""
        if epoch != self.epoch and not self.complete:
            self.epoch, self.consumed = epoch, 0

    def state_dict(self) -> dict[str, Any]:
        """Where the epoch stands and what the order depends on; the same on every rank."""
        return {"epoch": self.epoch, "consumed": self.consumed, "cells": self.order.n, "order": self.order.words}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another sampler stood, whatever its number of ranks.

        Raises
        ------
        BadInput
            If that one had other cells or another order, or stopped where none of our batches begins.
        """
        ours = self.state_dict()
        for what in ("cells", "order"):
            if state[what] != ours[what]:
                text = f"the checkpoint was made with {what}: {state[what]}, and now it is {ours[what]}"
                raise BadInput(f"{text}; resume with the same data, sampler and seed, or begin anew.")
        if state["consumed"] % self.width:
            text = f"the checkpoint was made after {counted(state['consumed'], 'cell')} of an epoch"
            raise BadInput(f"{text}, no whole number of steps of {self.width}; resume with the same cells per step.")
        self.epoch, self.consumed = state["epoch"], state["consumed"]

    def _share(self, start: int) -> tuple[int, int]:
        """Places of this rank in the step that begins at `start`."""
        n = min(self.width, self.order.n - start)
        if n < self.world:
            return start + self.rank % n, start + self.rank % n + 1
        return start + n * self.rank // self.world, start + n * (self.rank + 1) // self.world
