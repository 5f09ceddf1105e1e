"""Batches of a data module without an end, and how long the training waited for them.

To Lightning a training is then one long epoch: steps, validations and checkpoints are counted through, nothing happens
at the end of a pass over the data, and no step adds up fewer batches than the others. Which pass it is only the data
know.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from lightning.pytorch import LightningDataModule

from bench.errors import BadInput

ENDLESS = 10**12
"""Batches of a stream: more than anybody will train. With a length Lightning does not take a batch before its time."""


class Stream:
    """A loader begun again whenever it ends."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.waited = 0.0
        """Seconds for batches so far."""
        self.asked = time.perf_counter()
        """When the last batch was asked for."""
        self.epoch = 0
        """Of the last batch, from 0, where the loader has a sampler that counts them."""

    def __len__(self) -> int:
        return ENDLESS

    def __iter__(self) -> Iterator[Any]:
        batches = self._batches()
        while True:
            self.asked = time.perf_counter()
            self.epoch = getattr(getattr(self.loader, "sampler", None), "epoch", 0)
            batch = next(batches)
            self.waited += time.perf_counter() - self.asked
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Nothing: where the data stand is in the state of their module."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing."""

    @property
    def _iterator(self) -> Any:
        """Of the loader: by this name Lightning ends worker processes."""
        return getattr(self.loader, "_iterator", None)

    @_iterator.setter
    def _iterator(self, iterator: None) -> None:
        self.loader._iterator = iterator

    def _batches(self) -> Iterator[Any]:
        while True:
            passed = 0
            for passed, batch in enumerate(self.loader, start=1):  # noqa: B007 - used after the loop
                yield batch
            if not passed:
                raise BadInput("there is not one batch of training cells; give more, or lower data.batch_size.")


class Streamed(LightningDataModule):
    """A data module of which training never comes to the end of an epoch."""

    def __init__(self, data: LightningDataModule) -> None:
        super().__init__()
        self.data: Any = data
        self.stream = Stream(())

    def prepare_data(self) -> None:
        """As the module does."""
        self.data.trainer = self.trainer
        self.data.prepare_data()

    def setup(self, stage: str | None = None) -> None:
        """As the module does."""
        self.data.trainer = self.trainer
        self.data.setup(stage)

    def train_dataloader(self) -> Stream:
        """Its training batches, again and again."""
        self.stream = Stream(self.data.train_dataloader())
        return self.stream

    def val_dataloader(self) -> Any:
        """Its validation batches."""
        return self.data.val_dataloader()

    def state_dict(self) -> dict[str, Any]:
        """Its own."""
        return self.data.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Its own."""
        self.data.load_state_dict(state_dict)
