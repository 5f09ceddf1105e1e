"""One list of genes for many files: which names it holds, and where a file's genes are in it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.data.cells.convert import store_of
from bench.data.cells.store import CellStore
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput

Make = Callable[..., CellStore]


@pytest.fixture
def store(written: Callable[..., Path]) -> Make:
    """A store of a cell with a count of each gene, named so: `store("x", symbol=[...], ensembl=[...])`."""

    def make(name: str, symbol: Sequence[str] | None = None, ensembl: Sequence[str] | None = None) -> CellStore:
        index = list(symbol or ensembl or ())
        unique = [f"{gene}-{k}" if gene in index[:k] else gene for k, gene in enumerate(index)]
        columns = {"gene_symbol": symbol, "ensembl_id": ensembl}
        var = pd.DataFrame({c: list(v) for c, v in columns.items() if v is not None}, index=unique)
        return store_of(written(np.ones((1, len(index)), dtype="f4"), name=name, var=var))

    return make


def ids(*numbers: int) -> list[str]:
    return [f"ENSG{number:011d}" for number in numbers]


def test_genes_go_by_ensembl_ids_where_every_file_has_them(store: Make) -> None:
    a = store("a", symbol=["CD4", "CD8A"], ensembl=ids(2, 1))
    b = store("b", ensembl=ids(3, 1))
    vocabulary = Vocabulary.of([a, b])
    assert vocabulary == Vocabulary("ensembl", tuple(ids(1, 2, 3)))
    np.testing.assert_array_equal(vocabulary.remap(a), [1, 0])
    np.testing.assert_array_equal(vocabulary.remap(b), [2, 0])
    assert vocabulary.remap(b).dtype == np.int32


def test_else_by_symbols(store: Make) -> None:
    a = store("a", symbol=["CD4", "CD8A"], ensembl=ids(2, 1))
    b = store("b", symbol=["CD8A", "MS4A1"])
    assert Vocabulary.of([a, b]) == Vocabulary("symbol", ("CD4", "CD8A", "MS4A1"))
    assert Vocabulary.of([a, b], genes="shared") == Vocabulary("symbol", ("CD8A",))


def test_names_of_the_other_kind_are_kept_where_they_are_of_one_gene(store: Make, tmp_path: Path) -> None:
    a = store("a", symbol=["CD4", "TBCE", "TBCE", "OLD"], ensembl=ids(1, 2, 3, 4))
    b = store("b", symbol=["CD4", "ANEW", "MS4A1"], ensembl=ids(1, 4, 5))
    for stores in ([a, b], [b, a]):
        assert Vocabulary.of(stores).others == ("CD4", "", "", "ANEW", "MS4A1")
    vocabulary = Vocabulary.of([a, b])
    vocabulary.write(tmp_path / "v.parquet")
    assert Vocabulary.read(tmp_path / "v.parquet").others == vocabulary.others
    assert vocabulary.by_kind["symbol"] == {"CD4", "ANEW", "MS4A1"}
    assert vocabulary.at(np.array([4, 0])) == Vocabulary("ensembl", tuple(ids(5, 1)))
    assert vocabulary.at(np.array([4, 0])).others == ("MS4A1", "CD4")


def test_a_file_without_names_of_the_kind_is_read_by_the_other(store: Make) -> None:
    vocabulary = Vocabulary.of([store("a", symbol=["CD4", "CD8A", "CD3E"], ensembl=ids(3, 1, 2))])
    x = store("x", symbol=["CD8A", "ODD", "CD8A", "CD4"])
    np.testing.assert_array_equal(vocabulary.remap(x), [0, -1, -1, 2])
    assert vocabulary.notices([x]) == [
        "x: 1 gene left out that share a name (first: 'CD8A').",
        "x: 1 gene left out that are not in the vocabulary.",
    ]


def test_other_names_are_one_for_each_gene() -> None:
    with pytest.raises(BadInput, match="2 genes has 1 other names"):
        Vocabulary("symbol", ("a", "b"), ("x",))
    with pytest.raises(BadInput, match="'x' 2 times"):
        Vocabulary("symbol", ("a", "b"), ("x", "x"))


def test_the_order_of_the_files_does_not_matter(store: Make) -> None:
    a, b = store("a", symbol=["CD4", "CD8A"]), store("b", symbol=["CD8A", "MS4A1"])
    assert Vocabulary.of([a, b]).sha256 == Vocabulary.of([b, a]).sha256


def test_files_named_by_different_kinds_are_refused(store: Make) -> None:
    with pytest.raises(
        BadInput, match=r"b\.h5ad names its genes by Ensembl ids alone and a\.h5ad by symbols alone; .*--map-genes"
    ):
        Vocabulary.of([store("a", symbol=["CD4", "CD8A"]), store("b", ensembl=ids(1, 2))])


@pytest.mark.parametrize("names", [["CD4", "CD8A", "MS4A1", *ids(1, 2)], ["1", "2", "3"], ["chr1:1000-2000"]])
def test_a_file_that_names_genes_in_no_one_way_is_refused(store: Make, names: list[str]) -> None:
    with pytest.raises(BadInput, match=r"x\.h5ad names its genes neither .* the first is .* bench data prepare"):
        Vocabulary.of([store("x", symbol=names)])


def test_of_genes_that_share_a_name_the_first_is_kept_and_that_is_said(store: Make) -> None:
    x = store("x", symbol=["CD4", "TBCE", "TBCE", "CD8A"])
    vocabulary = Vocabulary.of([x])
    np.testing.assert_array_equal(vocabulary.remap(x), [0, 2, -1, 1])
    assert vocabulary.notices([x]) == ["x: 1 gene left out that share a name (first: 'TBCE')."]


def test_genes_without_a_name_of_the_kind_are_left_out_and_that_is_said(store: Make) -> None:
    x = store("x", symbol=list("ABCDE"), ensembl=[*ids(5, 4, 3, 2), ""])
    vocabulary = Vocabulary.of([x])
    np.testing.assert_array_equal(vocabulary.remap(x), [3, 2, 1, 0, -1])
    assert vocabulary.notices([x]) == ["x: 1 gene left out that have no name among Ensembl ids."]


def test_a_file_that_shares_no_gene_with_the_others_is_noticed(store: Make) -> None:
    human, more = store("human", symbol=["CD4", "CD8A", "MS4A1"]), store("more", symbol=["CD4", "CD8A"])
    mouse = store("mouse", symbol=["Cd4", "Cd8a", "Ms4a1"])
    stores = [human, more, mouse]
    (notice,) = Vocabulary.of(stores).notices(stores)
    assert notice.startswith("mouse: 0 of 3 genes are in any other file")


def test_files_without_a_common_gene_share_none(store: Make) -> None:
    with pytest.raises(BadInput, match="no gene is in all of 2 files"):
        Vocabulary.of([store("a", symbol=["CD4"]), store("b", symbol=["Cd4"])], genes="shared")


def test_a_file_of_other_genes_than_a_given_vocabulary_is_refused(store: Make) -> None:
    vocabulary = Vocabulary("symbol", ("CD4", "CD8A", "MS4A1", "NKG7"))
    with pytest.raises(BadInput, match=r"only 0 of 3 genes \(first: 'Cd4'\) are among the 4 of the vocabulary"):
        vocabulary.remap(store("mouse", symbol=["Cd4", "Cd8a", "Ms4a1"]))


def test_a_panel_fits_a_vocabulary_of_all_genes_and_all_genes_one_of_a_panel(store: Make) -> None:
    genes = [f"G{k}" for k in range(100)]
    whole, panel = store("whole", symbol=genes), store("panel", symbol=genes[40:45])
    np.testing.assert_array_equal(Vocabulary("symbol", tuple(genes)).remap(panel), range(40, 45))
    table = Vocabulary("symbol", tuple(genes[40:45])).remap(whole)
    np.testing.assert_array_equal(table[40:45], range(5))
    assert (np.delete(table, range(40, 45)) == -1).all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(names=st.lists(st.sampled_from([f"G{k}" for k in range(30)]), min_size=1, max_size=20), data=st.data())
def test_a_position_is_that_of_the_name_and_comes_once(store: Make, names: list[str], data: st.DataObject) -> None:
    given_names = data.draw(st.permutations(sorted(set(names) | {"CD4"})))
    vocabulary = Vocabulary("symbol", tuple(given_names))
    table = vocabulary.remap(store("x", symbol=names))
    assert sorted(table[table >= 0]) == sorted(vocabulary.names.index(name) for name in set(names))
    assert all(vocabulary.names[place] == name for place, name in zip(table, names, strict=True) if place >= 0)


def test_a_vocabulary_is_written_read_and_pickled_as_it_is(tmp_path: Path) -> None:
    vocabulary = Vocabulary("symbol", ("b", "a", "NA", "nan"))
    vocabulary.write(tmp_path / "v.parquet")
    for same in (Vocabulary.read(tmp_path / "v.parquet"), pickle.loads(pickle.dumps(vocabulary))):
        assert same == vocabulary
        assert same.sha256 == vocabulary.sha256
    assert vocabulary.sha256 != Vocabulary("symbol", ("a", "b", "NA", "nan")).sha256
    assert vocabulary.sha256 != Vocabulary("ensembl", vocabulary.names).sha256


@pytest.mark.parametrize("content", [b"", b"PAR1", None])
def test_a_file_that_is_no_vocabulary_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "v.parquet"
    if content is None:
        pd.DataFrame({"genes": ["CD4"]}).to_parquet(path)
    else:
        path.write_bytes(content)
    with pytest.raises(BadInput, match="vocabulary"):
        Vocabulary.read(path)


def test_a_missing_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read the vocabulary .*v\.parquet"):
        Vocabulary.read(tmp_path / "v.parquet")


@pytest.mark.parametrize(
    ("names", "text"), [(("A", "B", "A"), "'A' 2 times"), (("A", ""), "without a name"), ((), "no genes")]
)
def test_names_that_are_no_vocabulary_are_refused(names: tuple[str, ...], text: str) -> None:
    with pytest.raises(BadInput, match=text):
        Vocabulary("symbol", names)


def opened(shared: Path, *names: str) -> list[CellStore]:
    return [store_of(shared / "data" / f"{name}.h5ad") for name in names]


def test_a_position_in_real_files_is_that_of_the_id(shared: Path) -> None:
    stores = opened(shared, "pbmc68k_reduced_counts", "pbmc_kang_ifnb_2donors")
    vocabulary = Vocabulary.of(stores)
    assert vocabulary.kind == "ensembl"
    for one in stores:
        table = vocabulary.remap(one)
        kept = np.flatnonzero(table >= 0)
        assert [vocabulary.names[table[k]] for k in kept] == one.genes["ensembl_id"].iloc[kept].tolist()
        assert len(kept) > 0.9 * one.n_genes


def test_human_and_mouse_files_are_noticed(shared: Path) -> None:
    stores = opened(shared, "pbmc68k_reduced_counts", "pancreas_endocrinogenesis")
    vocabulary = Vocabulary.of(stores)
    assert vocabulary.kind == "symbol"  # the mouse file has no ids
    assert all("in any other file" in notice for notice in vocabulary.notices(stores))
