"""Batches of labelled cells: every cell as often as the others, mixed anew in each epoch, alike for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.training.finetuning.classifier import Labelled
from bench.training.finetuning.examples import Examples, Learned, Watched, pieces

SIZES = st.integers(1, 200)


def examples(n: int) -> Examples:
    """Cells that are called 1000 and up, of one class each; read as the draw itself."""
    lengths = np.random.default_rng(n).integers(1, 50, n)
    return Examples(lambda draw: draw, np.arange(1000, 1000 + n), np.arange(n), lengths)


def cells(batches: list[Labelled]) -> np.ndarray:
    return np.concatenate([batch.cells.numpy() for batch in batches])


@settings(deadline=None)  # the first call compiles
@given(SIZES, st.integers(1, 64), st.integers(1, 12), st.integers(0, 5))
def test_an_epoch_has_every_cell_equally_often(n: int, size: int, least: int, seed: int) -> None:
    learned = Learned(examples(n), size, least=least, seed=seed)
    epoch = list(learned)
    assert len(epoch) == len(learned) >= least
    assert (np.bincount(cells(epoch) - 1000) == learned.passes).all()
    sizes = [len(batch.codes) for batch in epoch]
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    assert all((batch.codes == batch.cells - 1000).all() for batch in epoch)


@settings(deadline=None)  # the first call compiles
@given(st.integers(20, 200), st.integers(0, 5))
def test_epochs_differ_and_come_again_with_the_seed(n: int, seed: int) -> None:
    one, other, third = (Learned(examples(n), 7, least=1, seed=s) for s in (seed, seed, seed + 1))
    first, second = list(one), list(one)
    np.testing.assert_array_equal(cells(first), cells(list(other)))
    assert (cells(first) != cells(second)).any()
    assert (cells(first) != cells(list(third))).any()


@settings(deadline=None)  # the first call compiles
@given(st.integers(1, 20), st.integers(1, 5))
def test_a_cell_that_comes_again_in_an_epoch_is_read_anew(n: int, seed: int) -> None:
    drawn: list[Any] = [batch.inputs for batch in Learned(examples(n), 32, least=3, seed=seed)]
    asked = {
        (cell, draw.epoch, repeat) for draw in drawn for cell, repeat in zip(draw.cells, draw.repeats, strict=True)
    }
    assert len(asked) == 3 * n


@settings(deadline=None)  # the first call compiles
@given(SIZES, st.integers(1, 64))
def test_what_is_watched_is_read_alike_every_time(n: int, size: int) -> None:
    watched = Watched(examples(n), size)
    first, second = list(watched), list(watched)
    np.testing.assert_array_equal(cells(first), cells(second))
    assert sorted(cells(first)) == list(range(1000, 1000 + n))
    assert len(first) == len(watched)
    assert {(batch.inputs.epoch, batch.inputs.repeats) for batch in first} == {(0, None)}


def test_cells_with_as_many_genes_go_together() -> None:
    own = examples(1000)
    longest = [own.lengths[batch.codes.numpy()].max() for batch in Learned(own, 20, least=1, seed=0)]
    at_random = [own.lengths[rows].max() for rows in pieces(np.random.default_rng(0).permutation(1000), 20)]
    assert np.mean(longest) < 0.75 * np.mean(at_random)
