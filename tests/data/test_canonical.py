"""Canonical data: counts found or refused with the reason, everything that was changed said."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bench.data import canonical
from bench.data.files import describe
from bench.errors import BadInput
from bench.specs import DatasetSpec

pytestmark = pytest.mark.filterwarnings("ignore:.*names are not unique:UserWarning")  # repeated names are the subject


def spec(**changes: Any) -> DatasetSpec:
    return DatasetSpec(**{"name": "toy", "summary": "", "target": "none:none", **changes})


def cells(counts: Any = None, **parts: Any) -> ad.AnnData:
    """Six cells x four genes, every count different from zero."""
    counts = np.arange(1, 25, dtype=np.float32).reshape(6, 4) if counts is None else counts
    n, m = counts.shape
    parts.setdefault("obs", pd.DataFrame(index=[f"c{k}" for k in range(n)]))
    parts.setdefault("var", pd.DataFrame(index=[f"g{k}" for k in range(m)]))
    return ad.AnnData(counts, **parts)


def labelled(labels: list[Any]) -> ad.AnnData:
    return cells(obs=pd.DataFrame({"ct": pd.Series(labels, dtype=object).to_numpy()}, index=list("abcdef")))


COUNTS = np.arange(1, 25, dtype=np.float32).reshape(6, 4)
LOGGED = np.log1p(COUNTS)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "u2"])
def test_counts_of_any_form_become_csr_float32(form: Any, dtype: str) -> None:
    data = canonical.canonicalise(cells(form(COUNTS.astype(dtype))), spec())
    assert isinstance(data.X, sparse.csr_matrix)
    assert data.X.dtype == np.float32
    assert data.X.has_sorted_indices
    np.testing.assert_array_equal(data.X.toarray(), COUNTS)


def test_the_source_is_not_changed_and_not_shared() -> None:
    raw = cells(sparse.csr_matrix(COUNTS))
    data = canonical.canonicalise(raw, spec())
    data.X.data[:] = 0
    np.testing.assert_array_equal(raw.X.toarray(), COUNTS)


def test_csc_is_converted_with_a_notice() -> None:
    assert "converted CSC to CSR." in canonical.canonicalise(cells(sparse.csc_matrix(COUNTS)), spec()).uns["notices"]


def test_counts_are_looked_for_in_x_then_counts_then_other_layers_then_raw() -> None:
    doubled = {"counts": 2 * COUNTS, "umi": 3 * COUNTS}
    assert canonical.canonicalise(cells(COUNTS, layers=doubled), spec()).X[0, 0] == 1
    assert canonical.canonicalise(cells(LOGGED, layers=doubled), spec()).X[0, 0] == 2
    found = canonical.canonicalise(cells(LOGGED, layers={"counts": LOGGED, "umi": 3 * COUNTS}), spec())
    assert found.X[0, 0] == 3
    assert "counts taken from 'umi': X holds no integers." in found.uns["notices"]


def test_raw_counts_bring_their_own_genes() -> None:
    frozen = cells(COUNTS)
    data = frozen[:, ["g1", "g3"]].copy()
    data.X = np.log1p(data.X)
    data.raw = frozen
    found = canonical.canonicalise(data, spec())
    assert list(found.var_names) == ["g0", "g1", "g2", "g3"]
    assert found.X[0, 0] == 1


@pytest.mark.parametrize(("layer", "first"), [("X", 1), ("umi", 3), ("raw", 1)])
def test_a_named_layer_is_used_even_if_another_holds_integers(layer: str, first: int) -> None:
    data = cells(COUNTS, layers={"umi": 3 * COUNTS})
    data.raw = cells(COUNTS)
    assert canonical.canonicalise(data, spec(layer=layer)).X[0, 0] == first


def test_several_integer_layers_are_for_the_user_to_choose() -> None:
    with pytest.raises(BadInput, match=r"several layers hold integers .*'spliced', 'unspliced'.* --layer"):
        canonical.canonicalise(cells(LOGGED, layers={"spliced": COUNTS, "unspliced": COUNTS}), spec())


@pytest.mark.parametrize("layer", ["", "X"])
def test_normalised_values_are_refused_with_their_range(layer: str) -> None:
    with pytest.raises(BadInput, match=r"X is not integer counts \(min 0.6931, max 3.219, 100% .* --layer"):
        canonical.canonicalise(cells(LOGGED), spec(layer=layer))


def test_text_is_not_counts() -> None:
    with pytest.raises(BadInput, match=r"X holds object, not numbers"):
        canonical.canonicalise(cells(COUNTS.astype(str).astype(object)), spec())


@pytest.mark.parametrize(
    ("value", "words"), [(-3, "1 negative"), (np.nan, "1 NaN or inf"), (np.inf, "1 NaN or inf"), (1e12, "1 too large")]
)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_a_value_that_cannot_be_a_count_is_located(value: float, words: str, form: Any) -> None:
    values = COUNTS.astype(float)
    values[4, 2] = value
    with pytest.raises(BadInput, match=rf"X has {words}.*first: cell 'c4', gene 'g2'"):
        canonical.canonicalise(cells(form(values)), spec())


def test_empty_cells_are_dropped_with_a_notice_or_refused_under_strict() -> None:
    counts = COUNTS.copy()
    counts[[1, 3]] = 0
    data = canonical.canonicalise(cells(counts), spec())
    assert list(data.obs_names) == ["c0", "c2", "c4", "c5"]
    assert "2 cells have no counts (first: 'c1'); dropped." in data.uns["notices"]
    with pytest.raises(BadInput, match=r"2 cells have no counts"):
        canonical.canonicalise(cells(counts), spec(options={"strict": True}))


def test_data_without_a_cell_left_is_refused() -> None:
    with pytest.raises(BadInput, match=r"empty after filtering: 0 of 6 cells left"):
        canonical.canonicalise(cells(0 * COUNTS), spec())
    with pytest.raises(BadInput, match=r"is empty: 0 cells x 4 genes"):
        canonical.canonicalise(cells(COUNTS)[:0].copy(), spec())


def test_genes_without_counts_stay_and_are_counted() -> None:
    counts = COUNTS.copy()
    counts[:, 1] = 0
    data = canonical.canonicalise(cells(counts), spec())
    assert data.n_vars == 4
    assert "1 genes have no counts in any cell; kept." in data.uns["notices"]


def test_repeated_gene_names_are_refused_summed_or_reduced_to_the_first() -> None:
    raw = cells(var=pd.DataFrame(index=["a", "b", "a", "c"]))
    with pytest.raises(BadInput, match=r"1 duplicate gene names .first: 'a'.*duplicate_genes=sum"):
        canonical.canonicalise(raw, spec())
    summed = canonical.canonicalise(raw, spec(options={"duplicate_genes": "sum"}))
    first = canonical.canonicalise(raw, spec(options={"duplicate_genes": "first"}))
    assert list(summed.var_names) == list(first.var_names) == ["a", "b", "c"]
    assert summed.X[0].toarray().tolist() == [[1 + 3, 2, 4]]
    assert first.X[0].toarray().tolist() == [[1, 2, 4]]


def test_repeated_cell_names_are_made_unique_with_a_notice() -> None:
    data = canonical.canonicalise(cells(obs=pd.DataFrame(index=["a", "a", "a-1", "b", "b", "c"])), spec())
    assert list(data.obs_names) == ["a", "a-2", "a-1", "b", "b-1", "c"]
    assert "2 repeated cell names made unique (first: 'a')." in data.uns["notices"]


def test_only_roles_enter_obs_under_their_names() -> None:
    obs = pd.DataFrame({"ct": list("xyxyxy"), "lane": [1, 1, 2, 2, 3, 3], "secret": 0}, index=list("abcdef"))
    data = canonical.canonicalise(cells(obs=obs), spec(roles={"cell_type": "ct", "batch": "lane"}))
    assert list(data.obs) == ["cell_type", "batch"]
    assert data.obs["batch"].tolist() == ["1", "1", "2", "2", "3", "3"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([101.0, 107.0, np.nan, 101.0, 1.5, 2.0], ["101", "107", None, "101", "1.5", "2"]),
        ([True, False] * 3, ["True", "False"] * 3),
        (["x", None, np.nan, "nan", " ", "y"], ["x", None, None, None, None, "y"]),
    ],
)
def test_labels_become_text_and_missing_ones_stay_missing(values: list, expected: list) -> None:
    data = canonical.canonicalise(labelled(values), spec(roles={"donor": "ct"}))
    assert [None if pd.isna(v) else v for v in data.obs["donor"]] == expected


def test_categories_are_read_by_their_values() -> None:
    raw = cells(obs=pd.DataFrame({"ct": pd.Categorical(["b", "a", None] * 2, ["z", "b", "a"])}, index=list("abcdef")))
    data = canonical.canonicalise(raw, spec(roles={"batch": "ct"}))
    assert data.obs["batch"].dtype == object
    assert data.obs["batch"].fillna("?").tolist() == ["b", "a", "?"] * 2


@pytest.mark.parametrize("odd", [7, ("x", "y"), ["x"]])
def test_a_column_of_mixed_values_is_refused_with_the_first_row(odd: Any) -> None:
    with pytest.raises(BadInput, match=r"'ct' has mixed or unsupported values"):
        canonical.canonicalise(labelled(["x", "y", "x", odd, "x", "y"]), spec(roles={"cell_type": "ct"}))


def test_the_first_row_of_another_kind_is_named() -> None:
    with pytest.raises(BadInput, match=r"int, str; first bad row 3"):
        canonical.canonicalise(labelled(["x", "y", "x", 7, "x", 7]), spec(roles={"cell_type": "ct"}))


def test_a_missing_column_names_the_nearest() -> None:
    raw = cells(obs=pd.DataFrame({"celltype": list("xyxyxy")}, index=list("abcdef")))
    with pytest.raises(BadInput, match=r"'cell_typ'.*Did you mean 'celltype'"):
        canonical.canonicalise(raw, spec(roles={"cell_type": "cell_typ"}))


def test_unlabelled_cells_are_refused_dropped_or_kept() -> None:
    raw = labelled(["x", None, "y", "x", None, "y"])
    roles = {"cell_type": "ct"}
    with pytest.raises(BadInput, match=r"cell_type is missing for 2 cells; use --data-set unlabelled=drop"):
        canonical.canonicalise(raw, spec(roles=roles))
    data = canonical.canonicalise(raw, spec(roles=roles, options={"unlabelled": "drop"}))
    assert list(data.obs_names) == ["a", "c", "d", "f"]
    kept = canonical.canonicalise(raw, spec(roles=roles, options={"unlabelled": "keep"}))
    assert kept.obs["cell_type"].isna().tolist() == [False, True, False, False, True, False]
    assert "2 cells without cell_type kept, never scored." in kept.uns["notices"]
    with pytest.raises(BadInput, match=r"0 of 6 cells left"):
        canonical.canonicalise(labelled([None] * 6), spec(roles=roles, options={"unlabelled": "drop"}))


def test_symbols_and_ensembl_ids_are_found_by_column_or_by_look() -> None:
    ids = [f"ENSG0000000000{k}.{k + 1}" for k in range(4)]
    by_index = canonical.canonicalise(cells(var=pd.DataFrame({"feature_name": list("ABCD")}, index=ids)), spec())
    assert by_index.var["gene_symbol"].tolist() == list("ABCD")
    assert by_index.var["ensembl_id"].tolist() == [i.split(".")[0] for i in ids]
    assert "versions taken off 4 Ensembl ids." in by_index.uns["notices"]
    by_column = canonical.canonicalise(cells(var=pd.DataFrame({"gene_ids": ids}, index=list("ABCD"))), spec())
    assert by_column.var["gene_symbol"].tolist() == list("ABCD")
    assert by_column.var["ensembl_id"].tolist() == by_index.var["ensembl_id"].tolist()


def test_a_missing_ensembl_id_is_empty_and_never_a_duplicate() -> None:
    var = pd.DataFrame({"ensembl_id": ["ENSG00000000001", "", None, "nan"]}, index=list("ABCD"))
    data = canonical.canonicalise(cells(var=var), spec())
    assert data.var["ensembl_id"].tolist() == ["ENSG00000000001", "", "", ""]


def test_genes_that_go_by_their_id_for_want_of_a_symbol_have_it_as_id() -> None:
    data = canonical.canonicalise(cells(var=pd.DataFrame(index=["A", "B", "ENSG00000000003.2", "D"])), spec())
    assert data.var["ensembl_id"].tolist() == ["", "", "ENSG00000000003", ""]
    assert "1 gene names are Ensembl ids and are used as such." in data.uns["notices"]


def test_a_column_of_other_ids_is_no_ensembl_column() -> None:
    data = canonical.canonicalise(
        cells(var=pd.DataFrame({"gene_id": ["1", "2", "3", "4"]}, index=list("ABCD"))), spec()
    )
    assert data.var["ensembl_id"].tolist() == [""] * 4


def test_gene_key_chooses_the_names() -> None:
    var = pd.DataFrame({"alias": ["P", "Q", None, "R"]}, index=list("ABCD"))
    data = canonical.canonicalise(cells(var=var), spec(options={"gene_key": "alias"}))
    assert list(data.var_names) == ["P", "Q", "C", "R"] == data.var["gene_symbol"].tolist()
    with pytest.raises(BadInput, match=r"'alia'.*Did you mean 'alias'"):
        canonical.canonicalise(cells(var=var), spec(options={"gene_key": "alia"}))


@pytest.mark.parametrize("column", ["feature_type", "feature_types"])
def test_features_get_the_words_of_10x(column: str) -> None:
    var = pd.DataFrame({column: ["GEX", "ADT", "ATAC", None]}, index=list("ABCD"))
    kinds = canonical.canonicalise(cells(var=var), spec()).var["feature_types"].tolist()
    assert kinds == ["Gene Expression", "Antibody Capture", "Peaks", "Gene Expression"]


def test_a_biotype_is_no_modality() -> None:
    var = pd.DataFrame({"feature_type": ["protein_coding", "lncRNA"] * 2}, index=list("ABCD"))
    assert set(canonical.canonicalise(cells(var=var), spec()).var["feature_types"]) == {"Gene Expression"}


def test_a_kind_of_feature_is_text_that_can_be_printed() -> None:
    var = pd.DataFrame({"feature_types": ["GEX", "GEX", "\x1b", "GEX"]}, index=list("ABCD"))
    with pytest.raises(BadInput, match=r"feature type '\\x1b' \(position 2\) holds control characters"):
        canonical.canonicalise(cells(var=var), spec())


def test_a_gene_and_an_antibody_of_one_name_are_no_duplicates() -> None:
    var = pd.DataFrame({"feature_types": ["GEX", "GEX", "ADT", "ADT"]}, index=["CD3", "CD4", "CD4", "CD8"])
    data = canonical.canonicalise(cells(var=var), spec())
    assert list(data.var_names) == ["CD3", "CD4", "CD4 (Antibody Capture)", "CD8"]


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "x" * 201])
def test_names_that_no_table_can_show_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match=r"rename it"):
        canonical.canonicalise(cells(var=pd.DataFrame(index=[name, "b", "c", "d"])), spec())


def test_notices_of_a_loader_are_kept_and_first() -> None:
    raw = cells(uns={"notices": ["made of two files."]})
    assert canonical.canonicalise(raw, spec(roles={})).uns["notices"] == ["made of two files."]


def test_an_embedding_of_the_file_comes_with_canonical_names(tmp_path: Any) -> None:
    counts = COUNTS.copy()
    counts[1] = 0
    raw = cells(counts, obs=pd.DataFrame(index=["a", "b", "a2", "c", "d", "e"]))
    raw.obsm["X_mine"] = np.arange(12, dtype=float).reshape(6, 2)
    raw.obs_names = ["a", "b", "a", "c", "d", "e"]
    path = tmp_path / "x.h5ad"
    raw.write_h5ad(path)
    own = describe(path, obs={})
    names, values = canonical.load_embedding(own, "X_mine")
    assert list(names) == ["a", "b", "a-1", "c", "d", "e"]
    assert values.dtype == np.float32
    assert set(canonical.load(own).obs_names) <= set(names)
    assert "X_mine" not in canonical.load(own).obsm
    with pytest.raises(BadInput, match=r"'X_min'.*Did you mean 'X_mine'"):
        canonical.load_embedding(own, "X_min")


def test_a_file_that_changed_since_it_was_planned_is_refused(tmp_path: Any) -> None:
    from dataclasses import replace

    from bench.data.identity import content_sha256

    path = tmp_path / "x.h5ad"
    cells().write_h5ad(path)
    planned = describe(path, obs={})
    planned = replace(planned, sha256=content_sha256(planned))
    assert canonical.load(planned).shape == (6, 4)
    cells(2 * COUNTS).write_h5ad(path)
    with pytest.raises(BadInput, match=r"not the file it was"):
        canonical.load(planned)


def test_a_loader_is_given_only_what_it_knows() -> None:
    wrong = spec(target="bench.data.files:load_h5ad", params={"path": "x.h5ad", "colour": "red"})
    with pytest.raises(BadInput, match=r"colour"):
        canonical.load(wrong)
