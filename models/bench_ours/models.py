"""`ours` as a model of the benchmark: cells in, vectors out; nothing is learned from the cells it is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench.data.cells.batch import Draw
from bench.data.cells.progress import watched
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput
from bench_ours.backbone import OursBackbone, Reading
from bench_ours.presets import preset

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

    from bench.capabilities import Weights
    from bench_ours.plugin import OursConfig, ReadingConfig

UNTRAINED_SIZE = "tiny"


class Ours:
    """The network of a trained folder, or, untrained, one of a size that knows whatever genes it is given.

    Of a cell with more genes than there are tokens, which become tokens is a function of the seed and the cell's
    counts, so that a cell has the same vector in any company.
    """

    def __init__(self, config: OursConfig, *, weights: Weights, seed: int, device: str) -> None:
        self._config, self._seed, self._device = config, seed, device
        self._reading = Reading(config.pooling, config.length)
        self._trained: OursBackbone | None = None
        if isinstance(weights, Path):
            require_no_size(config, weights)
            self._trained = OursBackbone.of_folder(weights, seed=seed, reading=self._reading).eval().to(device)

    def fit(self, cells: ad.AnnData) -> None:
        """Nothing: what it knows it has from its weights."""

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, width); raises `BadInput` where hardly a gene is known."""
        backbone = self._trained or self._untrained(Vocabulary.of_genes(cells.var))
        return embedded(backbone, cells, self._config.batch_size, self._device)

    def embed_genes(self, ids: Sequence[str]) -> pd.DataFrame:
        """Return float32 (genes, width); genes the model does not know are left out."""
        names = tuple(dict.fromkeys(name for name in ids if name))
        return (self._trained or self._untrained(Vocabulary("symbol", names))).of_genes(names)

    def _untrained(self, vocabulary: Vocabulary) -> OursBackbone:
        chosen = preset(self._config.size or UNTRAINED_SIZE)
        backbone = OursBackbone.untrained(
            chosen.architecture, chosen.objective, vocabulary, seed=self._seed, reading=self._reading
        )
        return backbone.eval().to(self._device)


def embedded(backbone: OursBackbone, cells: ad.AnnData, batch_size: int, device: str) -> np.ndarray:
    """Vectors of canonical cells, float32 (n, width).

    Cells with about as many genes go through the network together, longest first: there is little padding, none
    among those that have more genes than there are tokens, and what does not fit into memory does not fit at once.

    Parameters
    ----------
    backbone
        In the mode of prediction, on `device`.
    batch_size
        Cells at once, at most.
    """
    of = backbone.in_memory(cells)
    order = np.argsort(-np.minimum(of.lengths, backbone.length), kind="stable")
    vectors = np.empty((len(order), backbone.width), dtype=np.float32)
    pieces = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    with torch.inference_mode():
        for piece in watched(pieces, "embedding cells", len(order), len):
            batch = backbone.batch(of(Draw(piece))).to(device)
            vectors[piece] = backbone.embed(batch).float().cpu().numpy()
    return vectors


def require_no_size(config: ReadingConfig, weights: Path) -> None:
    """Refuse a size beside weights, which have one."""
    if config.size:
        raise BadInput(f"size={config.size} is of an untrained model; {weights} has its own, leave size out.")
