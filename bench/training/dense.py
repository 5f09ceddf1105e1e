"""What models with an input for each gene share: their data, what their folder says of their genes, how they embed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.config import as_dict
from bench.data.cells.dense import STORE, DenseBatch
from bench.data.cells.module import CellDataModule
from bench.data.cells.panel import batches, notices
from bench.data.cells.progress import note, watched
from bench.data.cells.recipe import Dense
from bench.data.cells.vocabulary import Vocabulary
from bench.data.modalities import GENE_EXPRESSION
from bench.training.command import Training
from bench.training.folder import Card, read_state
from bench.training.panel import PANEL, written
from bench.weights.matching import match

if TYPE_CHECKING:
    import anndata as ad


class PanelData(NamedTuple):
    """Cells to learn from, as a model reads them that has an input for each gene."""

    module: CellDataModule
    """Set up."""
    genes: np.ndarray
    """int64 (G,) positions in the vocabulary of the data of those that the model reads, in its order."""
    categories: Mapping[str, tuple[str, ...]]
    """Of the column of `obs` that comes with the cells, or of `STORE`: the files."""


def prepared(training: Training, *, batch: str = "", masked: tuple[float, float] = (0.0, 0.0)) -> PanelData:
    """Open the data of a training with the sections `panel`, `data` and `parts`, divide them, choose genes.

    Parameters
    ----------
    batch, masked
        See `bench.data.cells.recipe.Dense`.

    Raises
    ------
    BadInput
        If data are refused, or share no genes.
    """
    panel, config = training.config["panel"], training.config
    module = CellDataModule(
        training.data, Dense(panel, batch, masked), config["data"], config["parts"], seed=training.seed
    )
    module.setup()
    genes: np.ndarray = module.collator.panel  # type: ignore[attr-defined]
    for text in notices(genes, panel):
        note(text)
    files = {STORE: tuple(store.name for store in module.dataset.stores)} if batch == STORE else {}
    columns = {column: module.dataset.categories[column] for column in module.recipe.columns}
    return PanelData(module, genes, {**columns, **files})


def card(training: Training, data: PanelData, version: str, **extra: Any) -> Card:
    """What the folder of the trained model will say of it; its vocabulary is that of the data, of which it reads some.

    Parameters
    ----------
    extra
        Further facts, JSON-ready.
    """
    return Card(
        model=training.model,
        version=version,
        verb=training.verb,
        seed=training.seed,
        config={name: as_dict(options) for name, options in training.config.items()},
        vocabulary=data.module.vocabulary,
        categories=data.categories,
        extra={PANEL: written(data.genes), **extra},
    )


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
