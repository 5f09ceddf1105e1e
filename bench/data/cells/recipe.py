"""What a data module makes of cells: tokens for a transformer, or a column per gene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from bench.data.cells import choose, express
from bench.data.cells.batch import Cells
from bench.data.cells.collate import Collator
from bench.data.cells.dataset import CellDataset
from bench.data.cells.dense import STORE, DenseCollator
from bench.data.cells.options import CollatorConfig, PanelConfig
from bench.data.cells.panel import chosen
from bench.data.cells.statistics import GeneStatistics
from bench.errors import BadInput

Collate = Callable[[Cells], Any]
"""Makes a batch, of which `cells` are the positions in the dataset: a function of the cells alone, not of what was
done before, so that workers and resuming change nothing."""


class Recipe(Protocol):
    """What is asked of the data, and what makes batches of them."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of `obs` that come with the cells; what their codes stand for is part of what a model learns."""
        ...

    @property
    def previous(self) -> bool:
        """Whether cells come with that of the previous time point."""
        ...

    @property
    def needs_statistics(self) -> bool:
        """Whether something of the genes in the training cells must be known."""
        ...

    def collator(
        self, dataset: CellDataset, train: np.ndarray | None, statistics: GeneStatistics | None, seed: int
    ) -> Collate:
        """What makes batches of a dataset, of which some cells (int64 positions; None: not known) are trained on."""
        ...

    def plain(self) -> Recipe:
        """The same with nothing hidden, thinned or changed, for prediction."""
        ...


@dataclass(frozen=True)
class Tokens:
    """`bench.data.cells.batch.CellBatch`: some genes of each cell."""

    config: CollatorConfig

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that the model sees, then those it learns to name."""
        return (*self.config.covariates, *self.config.labels)

    @property
    def previous(self) -> bool:
        """As the configuration says."""
        return self.config.previous

    @property
    def needs_statistics(self) -> bool:
        """Where genes are chosen, or their values told, by what they are like."""
        return self.config.genes in choose.NEED_STATISTICS or self.config.expression in express.NEED_STATISTICS

    def collator(
        self, dataset: CellDataset, train: np.ndarray | None, statistics: GeneStatistics | None, seed: int
    ) -> Collator:
        """See `Recipe`."""
        return Collator(self.config, len(dataset.vocabulary), seed, statistics)

    def plain(self) -> Tokens:
        """See `Recipe`."""
        return Tokens(replace(self.config, corruption="none", view="none", hide="value", mask_mix=False))


@dataclass(frozen=True)
class Dense:
    """`bench.data.cells.dense.DenseBatch`: the same genes of each cell."""

    panel: PanelConfig | np.ndarray
    """How genes are chosen, or int64 (G,) positions in the vocabulary."""
    batch: str = ""
    """The column of `obs` that comes with the cells, or `STORE`; empty: none."""
    masked: tuple[float, float] = (0.0, 0.0)
    """Least and largest share of masked genes."""

    previous = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column, if it is one of `obs`."""
        return (self.batch,) if self.batch not in ("", STORE) else ()

    @property
    def needs_statistics(self) -> bool:
        """Where genes are to be chosen."""
        return isinstance(self.panel, PanelConfig)

    def collator(
        self, dataset: CellDataset, train: np.ndarray | None, statistics: GeneStatistics | None, seed: int
    ) -> DenseCollator:
        """See `Recipe`."""
        panel = self.panel
        if isinstance(panel, PanelConfig):
            if statistics is None or train is None:
                raise BadInput("a panel is chosen by genes of training cells; to predict, give the panel itself.")
            panel = chosen(dataset, train, statistics, panel)
        return DenseCollator(dataset, panel, (self.batch,) if self.batch else (), self.masked, seed)

    def plain(self) -> Dense:
        """See `Recipe`."""
        return replace(self, masked=(0.0, 0.0))
