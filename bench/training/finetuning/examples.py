"""Labelled cells, a batch at a time: in training mixed anew in each epoch, in validation always the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.data.cells.batch import Draw
from bench.data.cells.orders import Random
from bench.training.finetuning.classifier import Labelled

Reader = Callable[[Draw], Any]
"""Makes a batch of cells by their positions, see `bench.training.learner.Backbone.reader`."""

TOGETHER = 8
"""Batches whose cells are sorted by length among each other, at most: on real blood cells up to a third less padding.
Of few batches it is an eighth, or the same cells would always come together."""


@dataclass(frozen=True)
class Examples:
    """Some cells, with what they are to be named."""

    read: Reader
    cells: np.ndarray
    """int64 (n,) their positions, to the reader."""
    codes: np.ndarray
    """int64 (n,) numbers of their classes."""
    lengths: np.ndarray
    """int64 (n,) how many genes they have: cells with about as many go through a model together."""

    def __getitem__(self, chosen: np.ndarray) -> Examples:
        """Those of a bool (n,)."""
        return Examples(self.read, self.cells[chosen], self.codes[chosen], self.lengths[chosen])

    def batch(self, rows: np.ndarray, epoch: int = 0, repeats: np.ndarray | None = None) -> Labelled:
        """Some of them, by their places among the examples."""
        draw = Draw(self.cells[rows], epoch, repeats)
        return Labelled(self.read(draw), torch.from_numpy(self.codes[rows]), torch.from_numpy(draw.cells))


class Watched:
    """All of them, once and always alike."""

    def __init__(self, examples: Examples, batch_size: int) -> None:
        self._examples = examples
        self._batches = pieces(np.argsort(examples.lengths, kind="stable"), batch_size)

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Labelled]:
        return (self._examples.batch(rows) for rows in self._batches)


class Learned:
    """All of them in each epoch, in another order; of few cells an epoch takes several passes.

    Parameters
    ----------
    batch_size
        Most cells of a batch; none is much smaller than the others.
    least
        Batches of an epoch, at least.
    seed
        Of the order.
    """

    def __init__(self, examples: Examples, batch_size: int, *, least: int, seed: int) -> None:
        self._examples, self._batch_size, self._seed = examples, batch_size, seed
        self._order = Random(len(examples.cells), seed)
        self._batches = -(-len(examples.cells) // batch_size)
        self.passes = -(-least // self._batches)
        self.epoch = 0

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self.passes * self._batches

    def __iter__(self) -> Iterator[Labelled]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        for number in range(self.passes):
            for rows in self._mixed(epoch * self.passes + number):
                repeats = np.full(len(rows), number) if self.passes > 1 else None
                yield self._examples.batch(rows, epoch, repeats)

    def _mixed(self, number: int) -> list[np.ndarray]:
        """Rows of the batches of one pass over all cells, in random order."""
        dealt = pieces(self._order(number, 0, len(self._examples.cells)), self._batch_size)
        together = max(1, min(TOGETHER, len(dealt) // TOGETHER))
        groups = (dealt[start : start + together] for start in range(0, len(dealt), together))
        batches = [batch for group in groups for batch in self._sorted(group)]
        return [batches[place] for place in Random(len(batches), self._seed)(number, 0, len(batches))]

    def _sorted(self, batches: Sequence[np.ndarray]) -> list[np.ndarray]:
        """As many batches of the same sizes, of the same rows by length."""
        rows = np.concatenate(batches)
        rows = rows[np.argsort(self._examples.lengths[rows], kind="stable")]
        return np.split(rows, np.cumsum([len(batch) for batch in batches])[:-1])


def pieces(values: np.ndarray, most: int) -> list[np.ndarray]:
    """Values in their order, in as few pieces of at most so many as it takes, all about equally long."""
    return np.array_split(values, -(-len(values) // most)) if len(values) else []


def of_vectors(vectors: Tensor) -> Reader:
    """A reader of vectors (n, width) that were computed once, for what does not change."""
    return lambda draw: vectors[torch.from_numpy(draw.cells)]
