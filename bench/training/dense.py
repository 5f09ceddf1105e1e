"""What models with an input for each gene share when they are trained: their data, and what their folder says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bench.config import as_dict
from bench.data.cells.dense import STORE
from bench.data.cells.module import CellDataModule
from bench.data.cells.panel import notices
from bench.data.cells.progress import note
from bench.data.cells.recipe import Dense
from bench.training.command import Training
from bench.training.folder import Card
from bench.training.panel import PANEL, written


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
