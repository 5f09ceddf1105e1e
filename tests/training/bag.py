"""A backbone of a few lines, as another model's authors would write one: what fine-tuning asks of it is all it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import anndata as ad
import numpy as np
import torch
from torch import Tensor, nn

from bench.data.cells.batch import Draw

PARTS, WIDTH = 3, 16


class Bag(nn.Module):
    """Log counts of known genes, then three parts that normalise over the batch and drop out, as few models should."""

    width = WIDTH

    def __init__(self, genes: Sequence[str], seed: int = 0) -> None:
        super().__init__()
        self.genes = list(genes)
        widths = [len(self.genes), *[WIDTH] * PARTS]
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.network = nn.ModuleList(_part(*pair) for pair in pairwise(widths))
            with torch.no_grad():
                for _ in range(30):  # running means, as if it had seen cells
                    self.embed(torch.poisson(torch.full((128, len(self.genes)), 0.5)).log1p())
        self.eval()

    @classmethod
    def of(cls, cells: ad.AnnData) -> Bag:
        """Knows the genes of these cells."""
        return cls(sorted(cells.var_names))

    def layers(self) -> list[nn.Module]:
        """Its parts."""
        return list(self.network)

    def reader(self, cells: ad.AnnData) -> Callable[[Draw], Tensor]:
        """Float (B, genes)."""
        matrix: Any = cells.X
        places = cells.var_names.get_indexer(self.genes)

        def read(draw: Draw) -> Tensor:
            counts = matrix[draw.cells].toarray()[:, places] * (places >= 0)
            return torch.from_numpy(np.log1p(counts).astype(np.float32))

        return read

    def embed(self, batch: Tensor) -> Tensor:
        """(B, width)."""
        for part in self.network:
            batch = part(batch)
        return batch


def _part(width: int, out: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, out), nn.BatchNorm1d(out), nn.GELU(), nn.Dropout(0.1))
