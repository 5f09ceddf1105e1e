"""Data for a training with Lightning: from names of files to batches, resumable, with the same cells on every side."""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule
from lightning.pytorch.trainer.states import TrainerFn

from bench.data.cache import cache_dir
from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset, Previous
from bench.data.cells.loader import CellLoader
from bench.data.cells.options import CollatorConfig, DataConfig, PartsConfig
from bench.data.cells.orders import AsStored, Blocks, Buckets, Order, Random, Weighted
from bench.data.cells.origin import Origin
from bench.data.cells.parts import Parts, divide
from bench.data.cells.previous import EarlierCell, EarlierMean, Lineages
from bench.data.cells.progress import note
from bench.data.cells.recipe import Collate, Recipe, Tokens
from bench.data.cells.samplers import CellSampler
from bench.data.cells.sources import locate
from bench.data.cells.statistics import FORMAT, GeneStatistics
from bench.data.cells.store import CellStore
from bench.data.cells.vocabulary import Vocabulary
from bench.environment import first_process
from bench.errors import BadInput
from bench.wording import listed


class CellDataModule(LightningDataModule):
    """Loaders of the training, validation and test cells of some files, and of all their cells to predict.

    What depends on data is learned from the training cells alone. Validation and test are the same every time, their
    corruption included. A training goes on where its checkpoint was written: with the same cells, in the same order,
    corrupted in the same way, on any number of devices that makes the same steps.

    Parameters
    ----------
    data
        Files, folders, globs, URLs, stores: see `bench.data.cells.sources.locate`.
    config
        What is made of a cell: of tokens, or another recipe.
    options
        Which cells come when.
    parts
        How cells are divided.
    seed
        Of the order of cells and of all that is done to them, from 0.
    vocabulary
        Genes in the order in which a model knows them; None: those of the data.
    statistics
        What a model was told of them in training; None: learned from the training cells, where the config needs it.
    categories
        Column of `obs` -> what its codes stand for, to a model; None: those of the data.

    Raises
    ------
    BadInput
        If options contradict each other; from `setup`, if data are refused or lack what is asked of them.
    """

    def __init__(
        self,
        data: Sequence[str | Path],
        config: CollatorConfig | Recipe | None = None,
        options: DataConfig | None = None,
        parts: PartsConfig | None = None,
        *,
        seed: int = 0,
        vocabulary: Vocabulary | None = None,
        statistics: GeneStatistics | None = None,
        categories: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        self.data, self.seed = [str(name) for name in data], seed
        self.config, self.options = config or CollatorConfig(), options or DataConfig()
        self.recipe: Recipe = Tokens(self.config) if isinstance(self.config, CollatorConfig) else self.config
        self._parts_config, self._vocabulary, self._categories = parts or PartsConfig(), vocabulary, categories
        self.statistics = statistics
        if isinstance(self.config, CollatorConfig) and self.config.previous:
            _require_previous_may_be_seen(self.config, self.options)
        self._resumed: Mapping[str, Any] | None = None
        self._training: CellLoader | None = None

    def prepare_data(self) -> None:
        """Fetch and convert files and learn from them, once per machine; other processes find that in the cache."""
        self.setup(None if self.trainer is None else self.trainer.state.fn)

    def setup(self, stage: str | None = None) -> None:
        """Open the files and divide their cells, the latter but to predict; a second time nothing is left to do."""
        if not hasattr(self, "dataset"):
            self._open()
        if stage != TrainerFn.PREDICTING and not hasattr(self, "parts"):
            self.parts: Parts = divide(self.dataset, self._parts_config)
            self.statistics = self.statistics or self._learned()
            self._tell(self.parts.notices)
        self.collator: Collate = self._collate(self.recipe)

    def train_dataloader(self) -> CellLoader:
        """Training cells in the order of the options' sampler, another one in each epoch."""
        order = _order(self.options, self.dataset, self.parts.train, self.seed, self._world)
        self._training = self._loader(order, self.parts.train)
        if self._resumed is not None:
            self._training.load_state_dict(self._resumed)
            self._resumed = None
        return self._training

    def val_dataloader(self) -> CellLoader | list[CellLoader]:
        """Validation cells, mixed: losses that compare the cells of a batch mean the same as in training."""
        return self._mixed(self.parts.val)

    def test_dataloader(self) -> CellLoader | list[CellLoader]:
        """Test cells, likewise."""
        return self._mixed(self.parts.test)

    def predict_dataloader(self) -> CellLoader:
        """All cells as they are stored, none of their counts hidden, thinned or changed."""
        collate = self._collate(self.recipe.plain())
        return self._loader(AsStored(len(self.dataset)), None, complete=True, collate=collate)

    def state_dict(self) -> dict[str, Any]:
        """Where training stands, and what the data are."""
        training = None if self._training is None else self._training.state_dict()
        return {"training": training, "origin": self._origin.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where a checkpoint was written; where it is only evaluated, the files may be others.

        Raises
        ------
        BadInput
            If genes or categories are others, or, in training, the files or how they are divided.
        """
        self._origin.require_known(state_dict["origin"])
        if self.trainer is None or self.trainer.state.fn == TrainerFn.FITTING:
            self._origin.require_same(state_dict["origin"])
            self._resumed = state_dict["training"]

    @property
    def _origin(self) -> Origin:
        return Origin.of(self.dataset, getattr(self, "parts", None), self.recipe.columns)

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer is not None else 0

    @property
    def _world(self) -> int:
        return self.trainer.world_size if self.trainer is not None else 1

    def _open(self) -> None:
        stores = stores_of(self.data, self.options.layer)
        self.vocabulary = self._vocabulary or Vocabulary.of(stores, self.options.genes)
        self.dataset = CellDataset(stores, self.vocabulary, self._columns(), self._categories)
        of_stores = [f"{store.name}: {text}" for store in stores for text in store.notices]
        self._tell([*of_stores, *self.vocabulary.notices(stores), *self.dataset.notices])

    def _tell(self, notices: Sequence[str]) -> None:
        """Say once what was changed or left out."""
        for text in notices if first_process() else ():  # it may be before a trainer knows its rank
            note(text)

    def _columns(self) -> list[str]:
        """All that is asked of `obs`, each once."""
        options = self.options
        asked = [*self.recipe.columns, *([options.weight_by] if options.weight_by else [])]
        asked += [options.time, *options.lineage] if self.recipe.previous else []
        return list(dict.fromkeys(asked))

    def _learned(self) -> GeneStatistics | None:
        """Statistics of the training cells where the recipe needs them, kept in the cache."""
        if not self.recipe.needs_statistics:
            return None
        name = hashlib.sha256(f"{FORMAT} {self.parts.identity} {self.vocabulary.sha256}".encode()).hexdigest()
        path = cache_dir() / "statistics" / f"{name}.parquet"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            GeneStatistics.of(self.dataset, self.parts.train).write(path)
        return GeneStatistics.read(path, self.vocabulary)

    def _mixed(self, cells: np.ndarray) -> CellLoader | list[CellLoader]:
        """No loader where there are no cells."""
        among = np.concatenate([self.parts.train, cells]) if self.recipe.previous else cells
        return self._loader(Random(cells, self.seed), among, complete=True) if len(cells) else []

    def _collate(self, recipe: Recipe) -> Collate:
        """What makes batches of our dataset."""
        train = self.parts.train if hasattr(self, "parts") else None
        return recipe.collator(self.dataset, train, self.statistics, self.seed)

    def _loader(
        self, order: Order, among: np.ndarray | None, complete: bool = False, collate: Collate | None = None
    ) -> CellLoader:
        """A loader for this process; earlier cells are among some (None: all)."""
        dataset = self.dataset.preceded_by(self._earlier(among)) if self.recipe.previous else self.dataset
        sampler = CellSampler(order, self.options.batch_size, rank=self._rank, world=self._world, complete=complete)
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return CellLoader(dataset, sampler, collate or self.collator, workers=self.options.workers, pin_memory=on_gpu)

    def _earlier(self, among: np.ndarray | None) -> Previous:
        options = self.options
        order = options.time_order or None
        lineages = Lineages(self.dataset, options.time, options.lineage, order=order, among=among)
        if options.previous == "mean":
            return EarlierMean(self.dataset, lineages)
        return EarlierCell(self.dataset, lineages, self.seed)


def stores_of(data: Sequence[str | Path], layer: str = "") -> list[CellStore]:
    """The stores of some names, converted where they have not been.

    Parameters
    ----------
    data
        See `CellDataModule`.
    layer
        Where the counts are in files; empty: found by inspection.
    """
    _allow_open_files()
    return [_store(path, layer) for path in locate(data)]


def _require_previous_may_be_seen(config: CollatorConfig, options: DataConfig) -> None:
    """Refuse earlier cells that cannot be made, or that would tell what is to be learned."""
    thinned = sorted({config.corruption, config.view} & {"mcv", "binomial"})
    if options.previous == "mean" and thinned:
        text = f"{listed(thinned)} thins whole counts, which those of previous=mean are not"
        raise BadInput(f"{text}; choose previous=cell, or another corruption and view.")
    told = sorted({options.time, *options.lineage} & set(config.labels))
    if told:
        text = f"column {told[0]!r} decides which earlier cell the model sees, and would be told by it"
        raise BadInput(f"{text}; take it out of the labels, or do without previous.")


def _allow_open_files() -> None:
    """As many as the system lets us: each store keeps some open for its memory maps, and 1,024 is a common limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _store(path: Path, layer: str) -> CellStore:
    return CellStore.open(path) if path.is_dir() else store_of(path, layer=layer)


def _order(options: DataConfig, dataset: CellDataset, cells: np.ndarray, seed: int, world: int) -> Order:
    """Where training cells come in an epoch."""
    if options.sampler == "block":
        return Blocks(cells, seed, block=options.block, buffer=options.buffer)
    if options.sampler == "weighted":
        codes = dataset.codes(options.weight_by, cells)
        return Weighted(cells, seed, codes=codes, scaler=options.scaler)
    if options.sampler == "bucket":
        return Buckets(cells, seed, lengths=dataset.lengths, batch=options.batch_size * world)
    return Random(cells, seed)
