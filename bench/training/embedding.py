"""Running a network of a trained folder that has an input for each gene: made, filled, and shown cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from bench.data.cells.dense import DenseBatch
from bench.data.cells.panel import batches
from bench.data.cells.progress import watched
from bench.data.cells.vocabulary import Vocabulary
from bench.data.modalities import GENE_EXPRESSION
from bench.training.folder import read_state
from bench.weights.matching import match

if TYPE_CHECKING:
    import anndata as ad


def seeded(seed: int, make: Callable[[], Any]) -> Any:
    """What is made with torch's random numbers of a seed; those of whoever asks go on as if nothing had been drawn."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return make()


def loaded(folder: Path, make: Callable[[], Any]) -> Any:
    """A network with the weights of a trained folder.

    Parameters
    ----------
    make
        Makes the network, of whatever weights. It is called without memory for them: what a stranger's folder asks for
        is compared with what is there before anything is made of it.

    Raises
    ------
    BadInput
        If the weights are missing, damaged or not those of the network.
    """
    with torch.device("meta"):
        network = make()
    state = read_state(folder)
    match(state, {name: tensor.shape for name, tensor in network.state_dict().items()}, f"weights {folder}")
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in state.items()}, assign=True)
    return network


def panel_of_cells(cells: ad.AnnData) -> Vocabulary:
    """All genes of canonical cells, for a model that is to compare with and has never seen any: see `of_genes`."""
    return Vocabulary.of_genes(cells.var[cells.var["feature_types"] == GENE_EXPRESSION])


def embedded(
    cells: ad.AnnData, panel: Vocabulary, embed: Callable[[DenseBatch], Tensor], size: int, device: str
) -> np.ndarray:
    """Vectors of canonical cells, float32 (n, width), in their order.

    Parameters
    ----------
    panel
        The genes of the model, in its order.
    embed
        From a batch on `device` to float (B, width).
    size
        Of a batch.

    Raises
    ------
    BadInput
        If hardly a gene is there.
    """
    found: list[np.ndarray] = []
    with torch.inference_mode():
        for batch in watched(batches(cells, panel, size), "embedding cells", cells.n_obs, lambda b: len(b.cells)):
            found.append(embed(batch.to(device)).float().cpu().numpy())
    return np.concatenate(found)
