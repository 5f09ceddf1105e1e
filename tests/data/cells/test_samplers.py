"""Batches: the same steps for any number of ranks, the same number of batches on each, exact after a stop."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.cells.orders import AsStored, Random, Weighted
from bench.data.cells.samplers import CellSampler
from bench.errors import BadInput


def cells_of(sampler: CellSampler) -> list[list[int]]:
    return [draw.cells.tolist() for draw in sampler]


def test_ranks_share_what_one_rank_would_see_in_a_step() -> None:
    one = cells_of(CellSampler(Random(103, 1), 8))
    first, second = (cells_of(CellSampler(Random(103, 1), 4, rank=rank, world=2)) for rank in (0, 1))
    assert [a + b for a, b in zip(first, second, strict=True)] == one


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_every_rank_has_the_same_number_of_full_batches(world: int) -> None:
    samplers = [CellSampler(Random(103, 1), 4, rank=rank, world=world) for rank in range(world)]
    batches = [cells_of(sampler) for sampler in samplers]
    assert {len(rank) for rank in batches} == {len(samplers[0])} == {103 // (4 * world)}
    assert {len(batch) for rank in batches for batch in rank} == {4}
    seen = [cell for rank in batches for batch in rank for cell in batch]
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [1, 4, 41, 42, 43, 60])
def test_validation_sees_every_cell_on_some_rank(n: int, world: int) -> None:
    samplers = [CellSampler(AsStored(n), 4, rank=rank, world=world, complete=True) for rank in range(world)]
    batches = [cells_of(sampler) for sampler in samplers]
    assert {len(rank) for rank in batches} == {len(samplers[0])}
    assert all(len(batch) for rank in batches for batch in rank)
    seen = [cell for rank in batches for batch in rank for cell in batch]
    assert set(seen) == set(range(n))
    assert len(seen) - n < world


def test_epochs_follow_each_other_and_validation_stays_in_the_first() -> None:
    training, validation = CellSampler(Random(10), 5), CellSampler(AsStored(10), 5, complete=True)
    for sampler in (training, validation):
        for _ in range(3):
            sampler.advance()
    assert training.state_dict()["epoch"] == 1
    assert training.state_dict()["consumed"] == 5
    assert {draw.epoch for draw in training} == {1}
    validation.set_epoch(7)
    assert {draw.epoch for draw in validation} == {0}


def test_going_to_the_epoch_that_runs_keeps_its_place() -> None:
    sampler = CellSampler(Random(10), 5)
    sampler.advance()
    sampler.set_epoch(0)
    assert sampler.consumed == 5
    sampler.set_epoch(2)
    assert (sampler.epoch, sampler.consumed) == (2, 0)


@pytest.mark.parametrize("used", [0, 1, 5, 11, 12, 25])
@pytest.mark.parametrize("world", [1, 2])
def test_a_resumed_sampler_goes_on_with_the_same_cells(used: int, world: int) -> None:
    def endless(sampler: CellSampler, n: int) -> list[list[int]]:
        found: list[list[int]] = []
        while len(found) < n:
            for draw in sampler:
                found.append(draw.cells.tolist())
                sampler.advance()
                if len(found) == n:
                    break
        return found

    before = CellSampler(Random(100, 3), 8 // world, world=world)
    expected = endless(CellSampler(Random(100, 3), 8 // world, world=world), 40)
    assert endless(before, used) == expected[:used]
    after = CellSampler(Random(100, 3), 8 // world, world=world)
    after.load_state_dict(before.state_dict())
    assert endless(after, 40 - used) == expected[used:]


def test_two_ranks_go_on_where_one_stopped() -> None:
    one = CellSampler(Random(100, 3), 8)
    one.advance()
    rest = [CellSampler(Random(100, 3), 4, rank=rank, world=2) for rank in (0, 1)]
    for sampler in rest:
        sampler.load_state_dict(one.state_dict())
    assert [a + b for a, b in zip(*map(cells_of, rest), strict=True)] == cells_of(one)


def test_repeated_draws_of_a_cell_are_told_apart() -> None:
    draws = list(CellSampler(Weighted(20, 0, codes=np.zeros(20, dtype=int)), 5))
    repeats = np.concatenate([draw.repeats for draw in draws])
    assert len(set(repeats)) == 20
    assert next(iter(CellSampler(Random(20), 5))).repeats is None


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (CellSampler(Random(99, 3), 8), "cells: 100, and now it is 99"),
        (CellSampler(Random(100, 4), 8), "seed 3, and now it is Random, seed 4"),
        (CellSampler(AsStored(100, 3), 8), "Random, seed 3"),
        (CellSampler(Random(100, 3), 5), "after 8 cells of an epoch, no whole number of steps of 5"),
    ],
)
def test_another_order_or_step_is_not_resumed(other: CellSampler, words: str) -> None:
    sampler = CellSampler(Random(100, 3), 8)
    sampler.advance()
    with pytest.raises(BadInput, match=words):
        other.load_state_dict(sampler.state_dict())


def test_too_few_cells_for_a_step_are_refused() -> None:
    with pytest.raises(BadInput, match=r"7 cells are too few for one batch of data\.batch_size=4 on each of 2 devices"):
        CellSampler(Random(7), 4, world=2)
    with pytest.raises(BadInput, match="0 cells are too few"):
        CellSampler(AsStored(0), 4, complete=True)
