"""Cells to train on, to validate on and to test on: no group is on two sides, and the same parts are found again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.config import build
from bench.data.cells import division
from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset
from bench.data.cells.division import PARTS
from bench.data.cells.options import PartsConfig
from bench.data.cells.parts import NOTE, Parts, divide
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput

Make = Callable[..., CellDataset]


@pytest.fixture
def dataset(written: Callable[..., Path]) -> Make:
    """Files of cells, each by its columns of `obs` (`dataset({"donor": [...]}, ...)`) or by how many they are."""

    def make(*files: Mapping[str, list[object]] | int) -> CellDataset:
        stores = []
        for number, file in enumerate(files):
            obs = pd.DataFrame(index=range(file)) if isinstance(file, int) else pd.DataFrame(dict(file))
            obs.index = pd.Index([f"c{k}" for k in range(len(obs))])
            matrix = np.ones((len(obs), 2), dtype="f4")
            matrix[0] = number + 1
            stores.append(store_of(written(matrix, name=f"f{number}", obs=obs)))
        return CellDataset(stores, Vocabulary.of(stores))

    return make


def sides(parts: Parts) -> list[np.ndarray]:
    return [parts.train, parts.val, parts.test]


def named(data: CellDataset, cells: np.ndarray) -> set[tuple[str, int]]:
    """File and row of cells."""
    files = np.searchsorted(data.starts, cells, side="right") - 1
    return {(data.stores[file].name, int(cell - data.starts[file])) for file, cell in zip(files, cells, strict=True)}


def require_partition(parts: Parts, n: int) -> None:
    np.testing.assert_array_equal(np.sort(np.concatenate(sides(parts))), np.arange(n))
    assert all((np.diff(side) > 0).all() and side.dtype == np.int64 for side in sides(parts))


def test_a_donor_is_never_on_two_sides(dataset: Make) -> None:
    donors = [f"d{k % 10}" for k in range(200)]
    parts = divide(dataset({"donor": donors, "batch": ["x", "y"] * 100}), PartsConfig())
    require_partition(parts, 200)
    assert parts.by == "donor"
    found = [{donors[cell] for cell in side} for side in sides(parts)]
    assert sum(map(len, found)) == 10
    assert [len(side) for side in sides(parts)] == [160, 20, 20]
    assert {part: set(names) for part, names in parts.groups.items()} == {"val": found[1], "test": found[2]}


def test_without_several_donors_batches_are_kept_together(dataset: Make) -> None:
    data = dataset({"donor": ["d"] * 40, "batch": [f"b{k // 4}" for k in range(40)]})
    assert divide(data, PartsConfig()).by == "batch"


def test_what_a_file_does_not_say_does_not_divide_the_others(dataset: Make) -> None:
    """Its cells could be on any side."""
    named = {"donor": [f"d{k % 4}" for k in range(40)], "batch": [f"b{k % 5}" for k in range(40)]}
    parts = divide(dataset(named, {"batch": ["x"] * 20}), PartsConfig())
    require_partition(parts, 60)
    assert parts.by == "batch"


def test_without_groups_in_them_files_are_kept_together(dataset: Make) -> None:
    parts = divide(dataset(30, 30, 40), PartsConfig())
    require_partition(parts, 100)
    assert parts.by == "store"
    assert sorted(map(len, sides(parts))) == [30, 30, 40]


def test_without_groups_cells_are_drawn_at_random_and_that_is_said(dataset: Make) -> None:
    parts = divide(dataset(200), PartsConfig(val=0.2, test=0.1))
    require_partition(parts, 200)
    assert [len(side) for side in sides(parts)] == [140, 40, 20]
    assert parts.by == "cells"
    assert "at random" in parts.notices[0]
    assert (np.diff(parts.val) > 1).any()


def test_any_column_can_be_kept_together(dataset: Make) -> None:
    study = [f"s{k % 5}" for k in range(100)]
    parts = divide(dataset({"study": study, "donor": [f"d{k % 7}" for k in range(100)]}), PartsConfig(by="study"))
    found = [{study[cell] for cell in side} for side in sides(parts)]
    assert [len(names) for names in found] == [3, 1, 1]
    assert parts.notices == ()


def test_parts_that_are_far_from_what_was_asked_are_told_of(dataset: Make) -> None:
    parts = divide(dataset({"donor": ["a"] * 50 + ["b"] * 40 + ["c"] * 10}), PartsConfig())
    assert parts.notices == ("val has 40 % of the cells, not 10 %: groups of parts.by=donor are few or unequal.",)


def test_a_donor_of_two_files_is_on_one_side(dataset: Make) -> None:
    donors = [f"d{k % 6}" for k in range(60)]
    parts = divide(dataset({"donor": donors}, {"donor": donors[::-1]}), PartsConfig())
    every = donors + donors[::-1]
    found = [{every[cell] for cell in side} for side in sides(parts)]
    assert sum(map(len, found)) == 6


def test_another_seed_divides_otherwise_and_the_same_alike(dataset: Make) -> None:
    data = dataset({"donor": [f"d{k % 20}" for k in range(100)]})
    first, again, other = (divide(data, PartsConfig(seed=seed)) for seed in (0, 0, 1))
    assert first.groups == again.groups != other.groups
    assert first.identity == again.identity != other.identity


@pytest.mark.parametrize("by", ["donor", "store", "cells"])
def test_where_a_cell_goes_does_not_depend_on_the_order_of_the_files(dataset: Make, by: str) -> None:
    data = dataset(*({"donor": [f"d{k % 9}" for k in range(n)]} for n in (40, 50, 60)))
    turned = CellDataset(data.stores[::-1], data.vocabulary)
    first, second = ([named(of, side) for side in sides(divide(of, PartsConfig(by=by)))] for of in (data, turned))
    assert first == second


def test_blocks_that_are_read_one_by_one_make_no_difference(
    dataset: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    columns = [{"donor": [f"d{k % 9}" for k in range(n)]} for n in (50, 30, 20)]
    data = dataset(*columns)
    for by in ("donor", "store", "cells"):
        whole = divide(data, PartsConfig(by=by), tmp_path / by)
        with monkeypatch.context() as patch:
            patch.setattr(division, "_CHUNK", 7)
            pieces = divide(data, PartsConfig(by=by), tmp_path / f"{by}-pieces")
        for one, other in zip(sides(whole), sides(pieces), strict=True):
            np.testing.assert_array_equal(one, other)


@given(
    sizes=st.lists(st.integers(1, 1000), min_size=3, max_size=40),
    val=st.floats(0.01, 0.4),
    test=st.floats(0.01, 0.4),
    seed=st.integers(0, 5),
)
def test_every_part_gets_a_group_and_about_its_share(sizes: list[int], val: float, test: float, seed: int) -> None:
    cells = np.array(sizes)
    part = division._dealt(cells, np.arange(len(cells)), "donor", PartsConfig("donor", val, test, seed))
    shares = [cells[part == number].sum() / cells.sum() for number in range(3)]
    assert min(shares) > 0
    off = cells.max() / cells.sum()
    assert shares[2] <= test + off
    assert shares[1] <= val + off


def test_parts_are_kept_and_read_again(dataset: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset({"donor": [f"d{k % 9}" for k in range(50)]})
    first = divide(data, PartsConfig(), tmp_path / "parts")
    monkeypatch.setattr("bench.data.cells.parts.division", None)  # nothing is divided again
    again = divide(data, PartsConfig(), tmp_path / "parts")
    assert first.identity == again.identity
    assert first.groups == again.groups
    for one, other in zip(sides(first), sides(again), strict=True):
        np.testing.assert_array_equal(one, other)
        assert not one.flags.writeable
    note = json.loads((tmp_path / "parts" / NOTE).read_text())
    assert note["how"]["by"] == "donor"
    assert sorted(p.name for p in tmp_path.iterdir() if "parts" in p.name) == ["parts"]


def test_parts_are_the_same_whether_the_column_is_asked_for_or_found(dataset: Make) -> None:
    data = dataset({"donor": [f"d{k % 9}" for k in range(50)]})
    assert divide(data, PartsConfig()).identity == divide(data, PartsConfig(by="donor")).identity


def test_two_processes_may_divide_at_once(dataset: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(60)

    def slowly(*given: object) -> division.Division:
        with monkeypatch.context() as patch:
            patch.setattr("bench.data.cells.parts.division", division.division)
            divide(data, PartsConfig(), tmp_path / "parts")  # the other one
        return division.division(data, PartsConfig(by="cells"))

    monkeypatch.setattr("bench.data.cells.parts.division", slowly)
    require_partition(divide(data, PartsConfig(), tmp_path / "parts"), 60)


def test_parts_of_other_files_or_made_otherwise_are_refused(dataset: Make, tmp_path: Path) -> None:
    divide(dataset(30, 30, 40), PartsConfig(), tmp_path / "parts")
    for data, config, what in (
        (dataset(30, 30, 41), PartsConfig(), "stores"),
        (dataset(30, 30, 40), PartsConfig(seed=1), "seed"),
        (dataset(30, 30, 40), PartsConfig(val=0.2), "val"),
    ):
        with pytest.raises(BadInput, match=f"holds parts made with other {what};"):
            divide(data, config, tmp_path / "parts")


@pytest.mark.parametrize("damage", ["note", "shorter", "gone"])
def test_damaged_parts_are_refused(dataset: Make, tmp_path: Path, damage: str) -> None:
    data = dataset(60)
    divide(data, PartsConfig(), tmp_path / "parts")
    if damage == "note":
        (tmp_path / "parts" / NOTE).write_text("{")
    elif damage == "shorter":
        np.save(tmp_path / "parts" / "train.npy", np.arange(3))
    else:
        (tmp_path / "parts" / "val.npy").unlink()
    with pytest.raises(BadInput, match="holds no parts that can be read"):
        divide(data, PartsConfig(), tmp_path / "parts")


def test_cells_without_a_group_are_refused(dataset: Make, tmp_path: Path) -> None:
    data = dataset({"donor": ["a", "b", "c"]}, {"donor": ["a", None, "c"]})
    with pytest.raises(BadInput, match=r"donor is missing for cells of f1 \(first: row 1\), .*parts\.by=store"):
        divide(data, PartsConfig(), tmp_path / "parts")
    assert not [path for path in tmp_path.rglob("*") if "parts" in path.name]


def test_a_file_without_the_column_is_refused(dataset: Make) -> None:
    with pytest.raises(BadInput, match="donor is missing for cells of f1"):
        divide(dataset({"donor": ["a", "b", "c"]}, 3), PartsConfig(by="donor"))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (PartsConfig(), "parts.by=donor: 2 groups cannot be divided into 3 parts; set parts.val=0 or parts.test=0"),
        (PartsConfig(by="store"), "parts.by=store: 1 file cannot be divided into 3 parts"),
        (PartsConfig(by="donro"), "parts.by=donro: unknown column of obs: 'donro'. Did you mean 'donor'"),
        (PartsConfig(by="cells"), "4 cells are too few to be divided: none is left for val, test"),
    ],
)
def test_too_few_groups_or_cells_are_refused(dataset: Make, config: PartsConfig, text: str) -> None:
    with pytest.raises(BadInput, match=text):
        divide(dataset({"donor": ["a", "a", "b", "b"]}), config)


def test_two_groups_make_two_parts(dataset: Make) -> None:
    parts = divide(dataset({"donor": ["a", "a", "b", "b"]}), PartsConfig(test=0))
    assert [len(side) for side in sides(parts)] == [2, 2, 0]


def test_shares_that_leave_nothing_are_refused() -> None:
    with pytest.raises(BadInput, match="leave nothing to train on"):
        build(PartsConfig, {"val": 0.5, "test": 0.5}, "parts")


def test_real_donors_are_on_one_side(shared: Path) -> None:
    store = store_of(shared / "data" / "pbmc_kang_ifnb_2donors.h5ad")
    data = CellDataset([store], Vocabulary.of([store]), ("donor",))
    parts = divide(data, PartsConfig(test=0))
    require_partition(parts, store.n_cells)
    assert not set(data.codes("donor", parts.train)) & set(data.codes("donor", parts.val))
    assert PARTS == ("train", "val", "test")
