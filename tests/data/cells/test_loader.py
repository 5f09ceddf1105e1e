"""Batches are the same for any number of workers, however they are started, and after a stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from bench.data.cells.batch import CellBatch
from bench.data.cells.collate import Collator
from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset
from bench.data.cells.loader import CellLoader
from bench.data.cells.options import CollatorConfig
from bench.data.cells.orders import AsStored, Random, Weighted
from bench.data.cells.samplers import CellSampler
from bench.data.cells.vocabulary import Vocabulary


@pytest.fixture
def dataset(written: Callable[..., Path]) -> CellDataset:
    """90 cells of two files."""
    rng = np.random.default_rng(0)
    stores = []
    for name, n in (("first", 50), ("second", 40)):
        counts = rng.poisson(0.8, (n, 40)).astype(np.float32)
        counts[:, 0] += 1
        obs = pd.DataFrame({"cell_type": rng.choice(["B", "T"], n)}, index=[f"{name}{k}" for k in range(n)])
        var = pd.DataFrame(index=[f"GENE{k}" for k in range(40)])
        stores.append(store_of(written(sparse.csr_matrix(counts), name=name, obs=obs, var=var)))
    return CellDataset(stores, Vocabulary.of(stores), ("cell_type",))


def loader(dataset: CellDataset, sampler: CellSampler | None = None, **options: Any) -> CellLoader:
    collate = Collator(CollatorConfig(length=16, labels=("cell_type",)), len(dataset.vocabulary), seed=5)
    return CellLoader(dataset, sampler or CellSampler(Random(len(dataset), 1), 8), collate, **options)


def tensors(value: Any) -> list[torch.Tensor]:
    """All tensors of a batch."""
    if isinstance(value, torch.Tensor):
        return [value]
    if is_dataclass(value):
        return [tensor for f in fields(value) for tensor in tensors(getattr(value, f.name))]
    return [tensor for key in sorted(value) for tensor in tensors(value[key])] if isinstance(value, dict) else []


def same(first: Sequence[CellBatch], second: Sequence[CellBatch]) -> bool:
    """Whether all tensors are the same to the last bit."""
    ours, theirs = ([tensor for batch in batches for tensor in tensors(batch)] for batches in (first, second))
    return bool(ours) and all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def taken(source: CellLoader, n: int) -> list[CellBatch]:
    """The next n batches, over as many epochs as that takes."""
    found: list[CellBatch] = []
    while len(found) < n:
        for batch in source:
            found.append(batch)
            if len(found) == n:
                break
    return found


def test_an_epoch_has_every_cell_that_fills_a_batch(dataset: CellDataset) -> None:
    batches = list(loader(dataset))
    assert len(batches) == len(loader(dataset)) == 11
    assert len({int(cell) for batch in batches for cell in batch.cells}) == 88
    assert all(batch.targets.labels["cell_type"].shape == (8,) for batch in batches)


def test_epochs_differ_in_order_and_corruption_but_not_between_runs(dataset: CellDataset) -> None:
    once, again = loader(dataset), loader(dataset)
    first, second = list(once), list(once)
    assert same(first + second, list(again) + list(again))
    assert not same(first, second)


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_change_nothing(dataset: CellDataset, start: str) -> None:
    alone, helped = loader(dataset), loader(dataset, workers=2, start=start)
    assert same(taken(alone, 25), taken(helped, 25))
    assert alone.state_dict() == helped.state_dict()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("used", [3, 11, 14])
def test_what_was_handed_out_is_counted_not_what_was_prepared(dataset: CellDataset, workers: int, used: int) -> None:
    expected = taken(loader(dataset), 24)
    stopped = loader(dataset, workers=workers)
    taken(stopped, used)
    resumed = loader(dataset)
    resumed.load_state_dict(stopped.state_dict())
    assert len(resumed) == 11
    assert same(taken(resumed, 24 - used), expected[used:])


def test_an_epoch_that_was_left_early_goes_on(dataset: CellDataset) -> None:
    expected = taken(loader(dataset), 22)
    left = loader(dataset, workers=1)
    assert same(taken(left, 5) + taken(left, 17), expected)


def test_two_ranks_see_together_what_one_sees(dataset: CellDataset) -> None:
    one = list(loader(dataset, CellSampler(Random(90, 1), 8)))
    ranks = [list(loader(dataset, CellSampler(Random(90, 1), 4, rank=rank, world=2))) for rank in (0, 1)]
    for whole, *parts in zip(one, *ranks, strict=True):
        for tensor, *shares in zip(*map(tensors, (whole, *parts)), strict=True):
            assert torch.equal(tensor, torch.cat(shares))


def test_the_seed_of_the_model_is_left_alone(dataset: CellDataset) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    taken(loader(dataset), 25)
    assert torch.equal(torch.rand(3), expected)


def test_validation_is_the_same_every_time(dataset: CellDataset) -> None:
    validation = loader(dataset, CellSampler(AsStored(90), 8, complete=True))
    tried, first, second = taken(validation, 3), list(validation), list(validation)
    assert len(first) == 12
    assert same(first[:3], tried)
    assert same(first, second)


def test_a_cell_drawn_twice_is_corrupted_in_two_ways(dataset: CellDataset) -> None:
    order = Weighted(90, 0, codes=dataset.codes("cell_type", np.arange(90)))
    batches = list(loader(dataset, CellSampler(order, 9)))
    cells = torch.cat([batch.cells for batch in batches])
    hidden = torch.cat([batch.inputs.hidden for batch in batches])
    repeated = [(cells == cell).nonzero().ravel() for cell in cells.unique() if (cells == cell).sum() > 1]
    assert repeated
    assert any(not torch.equal(hidden[places[0]], hidden[places[1]]) for places in repeated)
