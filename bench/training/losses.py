"""What a training learns from a batch: named losses, and how they are weighed against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Losses:
    """Losses of a batch; what is scored nowhere in it is 0, with a gradient that is 0."""

    parts: Mapping[str, Tensor]
    """Name, such as `pretext` or `label/COLUMN` -> float (), mean over what was scored."""
    counts: Mapping[str, Tensor]
    """For each part, int64 (): how many were scored, by which means of several batches or devices are to be weighed.
    On the batch's device, since to look at a number costs a wait for the GPU."""
    weights: Mapping[str, float]
    """For each part, its weight in the total."""

    @property
    def total(self) -> Tensor:
        """Float (), the weighted sum."""
        return torch.stack([self.weights[name] * part for name, part in self.parts.items()]).sum()
