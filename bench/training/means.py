"""Means of losses over batches, each weighed by how much was scored in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from bench.training.losses import Losses

Reduce = Callable[[Tensor], Tensor]
"""Sums a tensor over all processes."""

TOTAL = "total"


class Means:
    """Losses are added batch by batch, on their device and without waiting for it, and read now and then."""

    def __init__(self) -> None:
        self._weights: Mapping[str, float] = {}
        self._sums: Tensor | None = None
        """float64 (2, parts): sums of losses, and how many were scored."""

    def add(self, losses: Losses) -> None:
        """Take a batch into account."""
        counts = torch.stack(list(losses.counts.values())).double()
        sums = torch.stack([values(losses) * counts, counts])
        self._weights = losses.weights
        self._sums = sums if self._sums is None else self._sums + sums

    def read(self, everywhere: Reduce) -> dict[str, float]:
        """Means since the last reading, over all processes, and of a total; of what was scored nowhere, nothing.

        Where nothing was scored there is no total either: 0 would be the best loss of all.

        Every process has to ask.
        """
        if self._sums is None:
            return {}
        sums, counts = everywhere(self._sums).tolist()
        self._sums = None
        return _told(self._weights, sums, counts)

    def state(self, everywhere: Reduce) -> dict[str, Any]:
        """What was added so far by all processes, for a checkpoint. Every process has to ask."""
        sums = None if self._sums is None else everywhere(self._sums).cpu()
        return {"weights": dict(self._weights), "sums": sums}

    def load(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from there; in one process, as it holds what all have added."""
        self._weights, sums = state["weights"], state["sums"]
        self._sums = None if sums is None else sums.to(device)


def values(losses: Losses) -> Tensor:
    """float64 (parts,) of a batch, without gradients."""
    return torch.stack([part.detach().double() for part in losses.parts.values()])


def _told(weights: Mapping[str, float], sums: list[float], counts: list[float]) -> dict[str, float]:
    means = {name: s / n for name, s, n in zip(weights, sums, counts, strict=True) if n}
    return {TOTAL: sum(weights[name] * mean for name, mean in means.items()), **means} if means else {}
