"""Cells come out of stores as they are in the files: in the order asked for, in one vocabulary, in any process."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from bench.data.cells.batch import Cells, Draw
from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset
from bench.data.cells.store import CellStore
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput


def rows_of(cells: Cells, n_genes: int) -> np.ndarray:
    """Dense counts (n, n_genes)."""
    shape = len(cells), n_genes
    return sparse.csr_matrix((cells.counts, cells.genes, cells.offsets), shape=shape).toarray()


def counts_of(path: Path, vocabulary: Vocabulary) -> np.ndarray:
    """The same of a whole file, by the names of its genes."""
    adata = ad.read_h5ad(path)
    frame = pd.DataFrame(np.asarray(adata.to_df()), columns=adata.var_names)
    return frame.reindex(columns=list(vocabulary.names), fill_value=0).to_numpy()


@pytest.fixture
def two_files(written: Callable[..., Path]) -> tuple[Path, Path]:
    """30 and 50 cells with 3 of 12 genes in common, in another order; `donor` is in both, `day` in the first."""
    rng = np.random.default_rng(0)
    files = []
    for name, n, genes in (("first", 30, range(12)), ("second", 50, range(20, 8, -1))):
        counts = rng.poisson(1.0, (n, 12)).astype(np.float32)
        counts[:, 0] += 1
        obs = pd.DataFrame({"donor": rng.choice(["anna", "ben", "carl"], n)}, index=[f"{name}{k}" for k in range(n)])
        if name == "first":
            obs["day"] = rng.choice(["2", "5"], n)
        else:
            obs["donor"] = rng.choice(["ben", "dora", "nan"], n)
        var = pd.DataFrame(index=[f"GENE{k}" for k in genes])
        files.append(written(sparse.csr_matrix(counts), name=name, obs=obs, var=var))
    return files[0], files[1]


@pytest.fixture
def stores(two_files: tuple[Path, Path]) -> list[CellStore]:
    return [store_of(path) for path in two_files]


@pytest.fixture
def dataset(stores: list[CellStore]) -> CellDataset:
    return CellDataset(stores, Vocabulary.of(stores), ("donor", "day"))


def test_cells_of_all_stores_come_in_the_order_asked_for(dataset: CellDataset, two_files: tuple[Path, Path]) -> None:
    expected = np.concatenate([counts_of(path, dataset.vocabulary) for path in two_files])
    assert len(dataset) == len(expected) == 80
    asked = np.random.default_rng(1).permutation(80)
    cells = dataset.__getitems__(asked)
    assert np.array_equal(rows_of(cells, len(dataset.vocabulary)), expected[asked])
    assert np.array_equal(cells.totals, expected[asked].sum(axis=1))
    assert (cells.cells == asked).all()
    assert (cells.counts > 0).all()


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(st.integers(0, 79), max_size=40))
def test_any_cells_any_number_of_times(dataset: CellDataset, asked: list[int]) -> None:
    cells = dataset.__getitems__(asked)
    n = len(dataset.vocabulary)
    alone = [rows_of(dataset[cell], n)[0] for cell in asked]
    assert np.array_equal(rows_of(cells, n), np.array(alone).reshape(len(asked), n))
    for cell, key, codes in zip(asked, cells.keys, cells.codes["donor"], strict=True):
        assert (dataset[cell].keys[0], dataset[cell].codes["donor"][0]) == (key, codes)


def test_genes_outside_the_vocabulary_are_left_out_but_counted(
    stores: list[CellStore], two_files: tuple[Path, Path]
) -> None:
    shared = Vocabulary.of(stores, genes="shared")
    dataset = CellDataset(stores, shared)
    assert len(shared.names) == 3
    cells = dataset.__getitems__(np.arange(80)[::-1])
    expected = np.concatenate([counts_of(path, shared) for path in two_files])
    assert np.array_equal(rows_of(cells, 3), expected[::-1])
    whole = np.concatenate([np.asarray(ad.read_h5ad(path).X.sum(axis=1)).ravel() for path in two_files])
    assert np.array_equal(cells.totals, whole[::-1])
    assert np.array_equal(dataset.lengths(np.arange(30)), np.diff(stores[0].indptr))


def test_categories_are_those_of_all_stores(dataset: CellDataset, two_files: tuple[Path, Path]) -> None:
    assert dataset.categories == {"donor": ("anna", "ben", "carl", "dora"), "day": ("2", "5")}
    told = [ad.read_h5ad(path).obs["donor"] for path in two_files]
    words = [*dataset.categories["donor"], "nan"]
    cells = dataset.__getitems__(np.arange(80))
    assert [words[code] for code in cells.codes["donor"]] == [*told[0], *told[1]]
    assert np.array_equal(dataset.codes("donor", np.array([79, 3])), cells.codes["donor"][[79, 3]])


def test_a_column_that_one_store_lacks_is_missing_there_and_told(dataset: CellDataset) -> None:
    codes = dataset.codes("day", np.arange(80))
    assert (codes[:30] >= 0).all()
    assert (codes[30:] == -1).all()
    assert dataset.notices == ("second has no obs column 'day': it counts as missing for its 50 cells.",)


def test_a_column_that_no_store_has_is_refused(stores: list[CellStore]) -> None:
    with pytest.raises(BadInput, match=r"unknown column of obs: 'dnor'. Did you mean 'donor'\?"):
        CellDataset(stores, Vocabulary.of(stores), ("dnor",))


def test_a_column_that_says_nothing_of_any_cell_is_refused(written: Callable[..., Path]) -> None:
    counts, names = sparse.csr_matrix(np.eye(3, dtype=np.float32)), pd.DataFrame(index=["CD4", "CD8A", "ACTB"])
    obs = pd.DataFrame({"cell_type": pd.Categorical([None] * 3, ["B", "T"])}, index=["a", "b", "c"])
    stores = [store_of(written(counts, obs=obs, var=names))]
    with pytest.raises(BadInput, match="obs column 'cell_type' is missing for every cell; name another one"):
        CellDataset(stores, Vocabulary.of(stores), ("cell_type",))
    given = CellDataset(stores, Vocabulary.of(stores), ("cell_type",), {"cell_type": ["B", "T"]})
    assert given.codes("cell_type", np.arange(3)).tolist() == [-1, -1, -1]


def test_categories_that_a_model_has_learned_are_kept(stores: list[CellStore]) -> None:
    learned = {"donor": ("dora", "zoe", "anna"), "sex": ("female", "male")}
    dataset = CellDataset(stores, Vocabulary.of(stores), ("donor", "sex"), learned)
    assert dataset.categories == learned
    told = np.concatenate([store.obs["donor"].astype(object).fillna("nan") for store in stores])
    expected = [{"dora": 0, "anna": 2}.get(word, -1) for word in told]
    assert dataset.codes("donor", np.arange(80)).tolist() == expected
    assert (dataset.codes("sex", np.arange(80)) == -1).all()
    assert "first: donor ben, carl not known, which counts as missing." in dataset.notices


def test_keys_tell_epochs_cells_and_repeats_apart(dataset: CellDataset) -> None:
    cells = np.arange(80)
    keys = [dataset.__getitems__(Draw(cells, epoch, np.full(80, time))).keys for epoch in (0, 1) for time in (0, 1)]
    assert len(set(np.concatenate(keys))) == 320
    assert np.array_equal(dataset.__getitems__(Draw(cells[::-1])).keys, keys[0][::-1])


def test_a_dataset_is_sent_to_another_process_without_its_cells(dataset: CellDataset) -> None:
    before = dataset.__getitems__(np.arange(80))  # opens every array
    sent = pickle.dumps(dataset)
    assert len(sent) < 10_000
    after = pickle.loads(sent).__getitems__(np.arange(80))
    assert np.array_equal(after.genes, before.genes)
    assert np.array_equal(after.counts, before.counts)


def test_tables_of_stores_with_the_same_genes_are_sent_once(stores: list[CellStore]) -> None:
    many = CellDataset([stores[0]] * 50, Vocabulary.of(stores))
    assert len({id(part.genes) for part in many._parts}) == 1
    assert np.array_equal(many[30 * 17 + 3].counts, many[3].counts)


def test_a_cell_that_is_not_there_is_an_error(dataset: CellDataset) -> None:
    for wrong in (-1, 80):
        with pytest.raises(IndexError, match="80 cells"):
            dataset[wrong]


def damaged(store: CellStore, name: str, change: Callable[[np.ndarray], None]) -> CellStore:
    """The store with changed numbers, which opening it does not see."""
    folder = store.path.with_name(f"damaged-{name.replace('/', '-')}")
    shutil.copytree(store.path, folder)
    array = np.load(folder / name)
    change(array)
    np.save(folder / name, array)
    return CellStore.of_content(folder, store.source)


def put(value: int, at: int) -> Callable[[np.ndarray], None]:
    def change(array: np.ndarray) -> None:
        array[at] = value

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("indptr.npy", put(2**40, 10)),
        ("indptr.npy", put(-5, 10)),
        ("indptr.npy", put(0, 11)),
        ("indices.npy", put(60_000, 40)),
        ("codes/0.npy", put(77, 10)),
        ("codes/0.npy", put(-9, 10)),
    ],
)
def test_a_damaged_store_is_refused_where_it_is_read(
    stores: list[CellStore], name: str, change: Callable[[np.ndarray], None]
) -> None:
    store = damaged(stores[0], name, change)
    dataset = CellDataset([store], Vocabulary.of(stores), ("donor",))
    with pytest.raises(BadInput, match=r"is damaged .* remove that folder"):
        dataset.__getitems__(np.arange(30))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.integers(1, 29), min_size=1, max_size=5), value=st.integers(-(2**63), 2**63 - 1))
def test_whatever_row_ends_say_nothing_is_read_outside(stores: list[CellStore], places: list[int], value: int) -> None:
    store = CellStore.of_content(stores[0].path, stores[0].source)
    ends = store.indptr.copy()
    ends[places] = value
    store.__dict__["indptr"] = ends
    dataset = CellDataset([store], Vocabulary.of(stores))
    try:
        cells = dataset.__getitems__(np.arange(30))
    except BadInput:
        return
    assert cells.offsets[-1] == len(cells.genes) <= 30 * store.n_genes
