"""Every order is a function of seed and epoch: whole, seekable, and as random as it says."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.data.cells.chance import key, permuted, shuffled, uniform
from bench.data.cells.orders import AsStored, Blocks, Buckets, Order, Random, Weighted

MAKERS: dict[str, Callable[..., Order]] = {
    "as stored": AsStored,
    "random": Random,
    "blocks": lambda cells, seed: Blocks(cells, seed, block=4, buffer=12),
    "buckets": lambda cells, seed: Buckets(cells, seed, lengths=lambda at: at % 7, batch=3),
}


@settings(deadline=None, max_examples=60)
@given(size=st.integers(1, 3000), number=st.integers(0, 2**32))
def test_a_permutation_holds_every_number_once(size: int, number: int) -> None:
    assert np.array_equal(np.sort(shuffled(0, size, size, key(number))), np.arange(size))


def test_a_permutation_of_billions_is_had_at_once_and_in_bounds() -> None:
    size = 5_000_000_019
    some = permuted(np.array([0, 1, size - 1]), size, key(1))
    assert len(set(some)) == 3
    assert ((some >= 0) & (some < size)).all()


def test_small_permutations_are_equally_likely() -> None:
    seen = np.array([shuffled(0, 4, 4, key(number)) for number in range(4800)])
    _, counts = np.unique(seen, axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("size", [5, 64, 1000])
def test_a_cell_comes_anywhere_and_after_any_other_one(size: int) -> None:
    orders = np.array([shuffled(0, size, size, key(number)) for number in range(40_000 // size)])
    tenth = orders[:, : max(1, size // 5)]
    counts = np.bincount(tenth.ravel(), minlength=size)
    assert stats.chisquare(counts).pvalue > 1e-4
    steps = np.diff(orders, axis=1) % size  # of a random order any step but 0 is equally likely
    assert stats.chisquare(np.bincount(steps.ravel(), minlength=size)[1:]).pvalue > 1e-4


def test_keys_tell_numbers_and_how_many_they_are_apart() -> None:
    numbers = [(), (0,), (0, 0), (0, 0, 0), (1, 0), (0, 1), (2**40,), (256, 1)]
    keys = {key(*some) for some in numbers}
    assert len(keys) == len(numbers)
    assert all(0 <= one < 2**63 for one in keys)


def test_uniform_numbers_are_uniform_and_of_their_number_alone() -> None:
    numbers = uniform(np.arange(20_000), key(5))
    assert stats.kstest(numbers, "uniform").pvalue > 1e-4
    assert uniform(np.array([17]), key(5))[0] == numbers[17]
    assert abs(np.corrcoef(numbers, uniform(np.arange(20_000), key(6)))[0, 1]) < 0.03


@settings(deadline=None, max_examples=40)
@given(name=st.sampled_from(sorted(MAKERS)), n=st.integers(1, 500), seed=st.integers(0, 99), epoch=st.integers(0, 9))
def test_an_epoch_holds_every_cell_once_and_is_read_in_any_parts(name: str, n: int, seed: int, epoch: int) -> None:
    order = MAKERS[name](n, seed)
    whole = order(epoch, 0, n)
    assert np.array_equal(np.sort(whole), np.arange(n))
    rng = np.random.default_rng(seed)
    cuts = [0, *np.sort(rng.integers(0, n + 1, 4)).tolist(), n]
    again = MAKERS[name](n, seed)
    parts = [again(epoch, start, stop) for start, stop in pairwise(cuts) if start < stop]
    assert np.array_equal(np.concatenate(parts), whole)
    assert whole.dtype == np.int64


@pytest.mark.parametrize("name", ["random", "blocks", "buckets"])
def test_another_seed_or_epoch_is_another_order(name: str) -> None:
    orders = [MAKERS[name](500, seed)(epoch, 0, 500) for seed in (0, 1) for epoch in (0, 1)]
    assert len({order.tobytes() for order in orders}) == 4


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_an_order_of_some_cells_is_of_those(name: str) -> None:
    some = np.arange(10, 400, 3)
    assert np.array_equal(np.sort(MAKERS[name](some, 2)(1, 0, len(some))), some)


def test_cells_may_be_a_memory_map(tmp_path) -> None:
    np.save(tmp_path / "train.npy", np.arange(5, 50, dtype=np.int32))
    order = Random(np.load(tmp_path / "train.npy", mmap_mode="r"), 0)
    assert np.array_equal(np.sort(order(0, 0, 45)), np.arange(5, 50))
    assert order(0, 0, 45).dtype == np.int64


def test_blocks_keep_neighbours_in_one_buffer_and_mix_it() -> None:
    order = Blocks(10_000, 0, block=100, buffer=1000)
    cells = order(0, 0, 1000)
    neighbours = np.diff(np.sort(cells)) == 1
    assert neighbours.mean() > 0.98  # ten blocks of a hundred
    assert np.mean(np.abs(np.diff(cells)) == 1) < 0.02
    assert len(np.unique(cells // 100)) >= 10


def test_what_blocks_leave_over_differs_between_epochs() -> None:
    order = Blocks(1050, 0, block=100, buffer=100)
    last = [frozenset(order(epoch, 1000, 1050)) for epoch in range(5)]
    assert len(set(last)) == 5


def test_buckets_hold_cells_of_similar_length() -> None:
    lengths = np.random.default_rng(0).integers(200, 6000, 20_000)
    order = Buckets(20_000, 0, lengths=lambda at: lengths[at], batch=20)
    batches = lengths[order(0, 0, 20_000)].reshape(-1, 20)
    assert np.ptp(batches, axis=1).mean() < 0.15 * np.ptp(lengths)
    assert abs(stats.spearmanr(batches.mean(axis=1), np.arange(1000)).statistic) < 0.1  # not from long to short


def test_rare_categories_are_drawn_as_their_weight_says() -> None:
    codes = np.repeat([0, 1, 2, -1], [9000, 900, 90, 10])
    order = Weighted(len(codes), 0, codes=codes, scaler=50)
    drawn = codes[np.concatenate([order(epoch, 0, len(codes)) for epoch in range(3)])]
    counts = np.array([9000, 900, 90, 10])
    expected = counts * 50 / (50 + counts)
    found = np.array([(drawn == code).sum() for code in (0, 1, 2, -1)])
    assert stats.chisquare(found, expected / expected.sum() * found.sum()).pvalue > 1e-4


def test_cells_of_a_category_are_drawn_alike_and_again() -> None:
    order = Weighted(60, 0, codes=np.repeat([0, 1], 30), scaler=10)
    drawn = np.concatenate([order(epoch, 0, 60) for epoch in range(200)])
    assert stats.chisquare(np.bincount(drawn, minlength=60)).pvalue > 1e-4
    assert len(set(order(0, 0, 60))) < 60


def test_a_weighted_epoch_is_read_in_any_parts_and_of_some_cells() -> None:
    some = np.arange(100, 160)
    order = Weighted(some, 3, codes=np.arange(60) % 5, scaler=10)
    whole = order(1, 0, 60)
    assert np.array_equal(np.concatenate([order(1, 0, 7), order(1, 7, 60)]), whole)
    assert set(whole) <= set(some)
