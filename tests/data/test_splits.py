"""Splits: whole groups on one side, every cell asked about once, the same on every machine."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.splits import (
    GROUP_FOLDS,
    cell_folds,
    group_folds,
    group_role,
    held_out,
    random_keys,
    rank_within,
    stratified_fraction,
    stratified_subsample,
)
from bench.errors import BadInput

labels_of_cells = st.lists(st.sampled_from(["B", "NK", "T"]), min_size=1, max_size=60).map(np.array)
seeds = st.integers(0, 2**32 - 1)


def named(n: int) -> np.ndarray:
    return np.array([f"cell{i}" for i in range(n)])


@given(st.lists(st.integers(0, 30), min_size=2, max_size=200).filter(lambda g: len(set(g)) > 1), seeds)
def test_each_group_is_held_out_by_exactly_one_fold(numbers: list[int], seed: int) -> None:
    groups = np.array([f"d{n}" for n in numbers])
    folds = group_folds(groups, "donor")
    held = [name for fold in folds for name in held_out(groups, "donor", fold, seed)]
    assert sorted(held) == sorted(set(groups))


@given(st.integers(2, 10))
def test_up_to_ten_groups_are_left_out_one_by_one(n: int) -> None:
    groups = np.array([f"d{i}" for i in range(n)])
    assert group_folds(groups, "donor") == [f"donor=d{i}" for i in sorted(range(n), key=str)]


def test_more_groups_are_gathered_into_folds_of_similar_size() -> None:
    groups = np.repeat([f"d{i}" for i in range(20)], 50)
    folds = group_folds(groups, "donor")
    assert folds == [f"donor-fold-{i}" for i in range(1, GROUP_FOLDS + 1)]
    assert {len(held_out(groups, "donor", fold, 0)) for fold in folds} == {4}


@given(seeds)
def test_folds_depend_on_data_and_seed_alone(seed: int) -> None:
    groups = np.repeat([f"d{i}" for i in range(12)], 3)
    shuffled = np.random.default_rng(seed).permutation(groups)
    for fold in group_folds(groups, "donor"):
        assert held_out(groups, "donor", fold, seed) == held_out(shuffled, "donor", fold, seed)


def test_an_unknown_fold_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="Did you mean 'donor=1015'"):
        held_out(np.array(["1015", "2088"]), "donor", "donor=115", 0)


def test_donors_come_before_batches_and_one_group_is_none() -> None:
    assert group_role(pd.DataFrame({"batch": ["x", "y"], "donor": ["1", "2"]})) == "donor"
    assert group_role(pd.DataFrame({"batch": ["x", "y"], "donor": ["1", "1"]})) == "batch"
    assert group_role(pd.DataFrame({"batch": ["x", "x"]})) is None


def test_cells_without_a_group_are_refused() -> None:
    with pytest.raises(BadInput, match="donor is missing for 1 cells"):
        group_role(pd.DataFrame({"donor": ["1", "2", None]}))


@given(labels_of_cells, seeds, st.integers(2, 5))
def test_random_folds_spread_every_label_evenly(labels: np.ndarray, seed: int, n_folds: int) -> None:
    fold = cell_folds(labels, named(len(labels)), n_folds, seed)
    assert set(fold) <= set(range(n_folds))
    for name in set(labels):
        sizes = np.bincount(fold[labels == name], minlength=n_folds)
        assert sizes.max() - sizes.min() <= 1


@given(labels_of_cells, seeds)
def test_ranks_number_the_cells_of_each_label(labels: np.ndarray, seed: int) -> None:
    rank = rank_within(labels, named(len(labels)), seed)
    for name in set(labels):
        assert sorted(rank[labels == name]) == list(range((labels == name).sum()))


@given(labels_of_cells, seeds)
def test_choices_follow_the_cell_not_its_place(labels: np.ndarray, seed: int) -> None:
    names = named(len(labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    assert (rank_within(labels, names, seed)[order] == rank_within(labels[order], names[order], seed)).all()
    assert (random_keys(names, seed)[order] == random_keys(names[order], seed)).all()


@given(labels_of_cells, seeds, st.floats(0.05, 0.9))
def test_a_fraction_of_every_label_is_chosen(labels: np.ndarray, seed: int, fraction: float) -> None:
    mask = stratified_fraction(labels, named(len(labels)), fraction, seed)
    for name in set(labels):
        size = (labels == name).sum()
        assert abs(mask[labels == name].sum() - max(1, fraction * size)) <= 0.5 + 1e-9


@given(labels_of_cells, seeds, st.integers(0, 80))
def test_a_subsample_keeps_every_label_and_its_share(labels: np.ndarray, seed: int, n: int) -> None:
    rows = stratified_subsample(labels, named(len(labels)), n, seed)
    assert len(set(rows)) == len(rows)
    assert (np.diff(rows) > 0).all()
    if n == 0 or n >= len(labels):
        assert len(rows) == len(labels)
    else:
        assert n <= len(rows) <= max(n, len(set(labels)) + n)
        for name in set(labels):
            share = n * (labels == name).mean()
            assert max(1, np.floor(share)) <= (labels[rows] == name).sum() <= max(1, np.ceil(share))
