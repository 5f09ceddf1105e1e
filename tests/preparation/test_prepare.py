"""`bench.preparation.prepare`: what the file holds that comes out, and what is said about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from scipy import sparse
from tests.data.test_canonical_property import OPTIONS, sources
from tests.preparation.conftest import SYMBOLS, source

from bench.data import canonical, files
from bench.data.identity import file_sha256
from bench.errors import BadInput
from bench.preparation import prepare as module
from bench.preparation.options import Options
from bench.preparation.prepare import prepare, prepared
from bench.preparation.report import Report
from bench.specs import ROLES, DatasetSpec

Write = Callable[[ad.AnnData], Path]


def make(
    data: ad.AnnData, write: Write, *, roles: dict[str, str] | None = None, **options: Any
) -> tuple[ad.AnnData, Report]:
    """Prepare a file of these data, by default without the filter on genes that so few genes cannot pass."""
    path = write(data)
    data_set = options.pop("data_set", None)
    out = path.with_name("out.h5ad")
    report = prepare(path, out, Options(**{"min_genes": 0, **options}), obs=roles, data_set=data_set)
    return ad.read_h5ad(out), report


def test_the_file_has_counts_and_says_what_was_done(write: Write) -> None:
    result, report = make(source(), write, roles={"cell_type": "annotation"})
    assert isinstance(result.X, sparse.csr_matrix)
    assert result.X.dtype == np.float32
    assert (result.X != source().X).nnz == 0
    assert list(result.obs) == [
        "cell_type", "batch", "annotation", "age",
        "n_genes_by_counts", "total_counts", "total_counts_mt", "pct_counts_mt",
    ]  # fmt: skip
    assert list(result.var) == ["gene_symbol", "ensembl_id", "feature_types", "biotype"]
    kept = json.loads(result.uns["bench_prepare"])
    assert kept == json.loads(json.dumps(report.document()))
    assert kept["source"] == "source.h5ad"
    assert kept["source_sha256"] == file_sha256(files.describe(write(source()), obs={}).params["path"])
    assert kept["versions"]["scanpy"] == version("scanpy")


def test_bench_takes_the_file_at_once(write: Write) -> None:
    path = write(source())
    prepare(path, path.with_name("out.h5ad"), Options(min_genes=0), obs={"cell_type": "annotation"})
    spec = files.describe(path.with_name("out.h5ad"), obs={})
    data = canonical.load(spec)
    assert data.shape == source().shape
    assert spec.roles == {"cell_type": "cell_type", "batch": "batch"}
    assert spec.study == "source"  # a file made of another holds cells of the same study


def test_the_same_command_writes_the_same_data(write: Write) -> None:
    first, _ = make(source(), write, map_genes="ensembl")
    second, _ = make(source(), write, map_genes="ensembl")
    assert first.uns["bench_prepare"] == second.uns["bench_prepare"]
    pd.testing.assert_frame_equal(first.obs, second.obs)
    pd.testing.assert_frame_equal(first.var, second.var)


def test_quality_is_scanpy_s(write: Write) -> None:
    result, _ = make(source(), write)
    expected = source()
    expected.var["mt"] = expected.var_names.str.startswith("MT-")
    sc.pp.calculate_qc_metrics(expected, qc_vars=["mt"], percent_top=None, log1p=False, inplace=True)
    for column in ("n_genes_by_counts", "total_counts", "total_counts_mt", "pct_counts_mt"):
        np.testing.assert_array_equal(result.obs[column], expected.obs[column])


def test_filters_keep_what_scanpy_keeps(write: Write) -> None:
    data = source()
    data.X[:20, 5:] = 0
    data.X[3:, 4] = 0
    data.X.eliminate_zeros()
    result, report = make(data, write, min_genes=10, min_counts=50, min_cells=5)
    sc.pp.filter_cells(data, min_genes=10)
    sc.pp.filter_cells(data, min_counts=50)
    sc.pp.filter_genes(data, min_cells=5)
    assert list(result.obs_names) == list(data.obs_names)
    assert list(result.var_names) == list(data.var_names)
    assert report.cells == (60, data.n_obs)


def test_a_cell_is_booked_under_the_first_filter_it_fails(write: Write) -> None:
    data = source()
    data.X[0, :] = 0
    data.X[1, 1:] = 0
    data.X[1, 0] = 1
    data.X[2, 30] = 999
    data.X.eliminate_zeros()
    _, report = make(data, write, min_counts=5, min_genes=3, max_percent_mt=50.0)
    removed = {step.step: (step.cells_removed, step.first) for step in report.steps if step.cells_removed}
    assert removed == {
        "empty cells": (1, ("cell0",)),
        "--min-counts": (1, ("cell1",)),
        "--max-percent-mt": (1, ("cell2",)),
    }
    assert report.steps[-1].cells == report.cells[1] == 57


def test_a_step_that_drops_nothing_is_told_too(write: Write) -> None:
    _, report = make(source(), write)
    assert [(step.step, step.cells_removed + step.features_removed) for step in report.steps] == [
        ("empty cells", 0), ("--min-genes", 0), ("--min-cells", 0),
    ]  # fmt: skip


def test_the_default_is_not_applied_where_it_would_drop_most_cells(write: Write) -> None:
    with pytest.raises(BadInput, match=r"60 of 60 cells have fewer than 200 genes.*--min-genes 0"):
        make(source(), write, min_genes=None)
    result, _ = make(source(), write, min_genes=20)
    assert result.n_obs > 50


def test_mitochondrial_genes_must_be_known_to_filter_by_them(write: Write) -> None:
    without = source()[:, :20].copy()
    with pytest.raises(BadInput, match="no mitochondrial gene is known"):
        make(without, write, max_percent_mt=5.0)
    result, report = make(without, write)
    assert "pct_counts_mt" not in result.obs
    assert any("no pct_counts_mt" in notice for notice in report.notices)


def test_ids_alone_are_enough_to_find_mitochondrial_genes(write: Write) -> None:
    data = source()
    data.var = pd.DataFrame(index=list(SYMBOLS.values()))
    result, _ = make(data, write, map_genes="symbol")
    assert list(result.var_names) == list(SYMBOLS)
    by_symbol, _ = make(source(), write)
    np.testing.assert_array_equal(result.obs["pct_counts_mt"], by_symbol.obs["pct_counts_mt"])


def test_genes_are_mapped_and_the_rest_reported(write: Write) -> None:
    data = source()
    names = ["gene1", "ALIAS", "ENSG00000000003.7", *list(SYMBOLS)[3:]]
    data.var = pd.DataFrame(index=names)
    result, report = make(data, write, map_genes="ensembl")
    assert list(result.var_names[:4]) == ["ENSG00000000001", "ALIAS", "ENSG00000000003", "ENSG00000000004"]
    assert list(result.var["gene_symbol"][:3]) == ["GENE1", "ALIAS", "GENE3"]
    assert list(result.var["ensembl_id"][:2]) == ["ENSG00000000001", ""]
    assert list(result.var["biotype"][:4]) == ["protein_coding", "", "protein_coding", "lncRNA"]
    assert report.mapping["recased"] == 1
    assert report.mapping["examples"]["unknown"] == ["ALIAS"]
    assert report.gene_table["species"] == "human"
    dropped, again = make(data, write, map_genes="ensembl", drop_unmapped=True)
    assert "ALIAS" not in dropped.var_names
    assert next(s for s in again.steps if s.step == "--drop-unmapped").first == ("ALIAS",)


def test_genes_keep_their_names_unless_asked(write: Write) -> None:
    data = source()
    data.var_names = [name.lower() for name in data.var_names]
    result, report = make(data, write)
    assert list(result.var_names) == [name.lower() for name in SYMBOLS]
    assert set(result.var["biotype"]) == {""}
    assert report.mapping == {}


def test_a_name_that_is_another_gene_s_by_now_is_given_up(write: Write) -> None:
    """A retired id whose old symbol another gene has taken over must not be added to that gene."""
    data = source()
    ids = ["ENSG00000000099", *list(SYMBOLS.values())[1:]]
    data.var = pd.DataFrame({"ensembl_id": ids}, index=["GENE2", *[f"old{k}" for k in range(1, len(ids))]])
    result, report = make(data, write, map_genes="symbol")
    assert list(result.var_names[:2]) == ["ENSG00000000099", "GENE2"]
    assert result.n_vars == len(ids)
    assert report.mapping["retired"] == 1


def test_names_of_one_gene_are_settled_as_chosen(write: Write) -> None:
    data = source()
    data.var = pd.DataFrame(index=["GENE1", "gene1", *list(SYMBOLS)[2:]])
    with pytest.raises(BadInput, match=r"1 duplicate gene names .*duplicate_genes=sum"):
        make(data, write, map_genes="symbol")
    summed, report = make(data, write, map_genes="symbol", data_set={"duplicate_genes": "sum"})
    first, _ = make(data, write, map_genes="symbol", data_set={"duplicate_genes": "first"})
    assert summed.n_vars == first.n_vars == data.n_vars - 1
    assert summed[:, "GENE1"].X.sum() == data.X[:, :2].sum()
    assert first[:, "GENE1"].X.sum() == data.X[:, 0].sum()
    assert next(s for s in report.steps if s.step == "duplicate genes").features_removed == 1


def test_biotypes_are_those_of_the_table(write: Write) -> None:
    result, _ = make(source(), write, biotype=("protein_coding",))
    assert set(result.var["biotype"]) == {"protein_coding"}
    assert "GENE2" not in result.var_names
    with pytest.raises(BadInput, match=r"unknown biotype 'protein-coding'.*Did you mean 'protein_coding'"):
        make(source(), write, biotype=("protein-coding",))


def test_genes_of_another_species_are_refused(write: Write) -> None:
    data = source()
    data.var = pd.DataFrame(index=[name.capitalize() for name in SYMBOLS])
    with pytest.raises(BadInput, match=r"only once case is ignored.*is it --species mouse"):
        make(data, write, map_genes="symbol", species="human")
    data.var = pd.DataFrame(index=[f"nothing{k}" for k in range(len(SYMBOLS))])
    with pytest.raises(BadInput, match=r"none of its genes .*is in the human gene table"):
        make(data, write, map_genes="symbol", species="human")


def test_a_species_that_nothing_tells_must_be_said(write: Write) -> None:
    data = source()
    data.var = pd.DataFrame(index=[f"{k} ?" for k in range(len(SYMBOLS))])
    with pytest.raises(BadInput, match="say --species human or --species mouse"):
        make(data, write, map_genes="symbol")


def test_other_features_are_kept_and_not_filtered_by(write: Write) -> None:
    data = source()
    data.var["feature_types"] = ["Antibody Capture"] * 10 + ["Gene Expression"] * 22
    data.X[:, 0] = 0
    data.X[0, 12:] = 0
    data.X.eliminate_zeros()
    result, report = make(
        data, write, min_genes=5, biotype=("protein_coding",), map_genes="ensembl", drop_unmapped=True
    )
    assert list(result.var_names[:10]) == list(SYMBOLS)[:10]
    assert "cell0" not in result.obs_names
    assert report.features["Antibody Capture"] == (10, 10)
    assert result.obs["n_genes_by_counts"].max() <= 22


def test_columns_named_like_a_role_give_way(write: Write) -> None:
    data = source()
    data.obs["cell_type"] = "unsure"
    data.obs["donor"] = 7
    result, report = make(data, write, roles={"cell_type": "annotation", "donor": ""})
    assert list(result.obs["cell_type"][:2]) == ["T", "B"]
    assert set(result.obs["original_cell_type"]) == {"unsure"}
    assert set(result.obs["original_donor"]) == {7}
    assert "donor" not in result.obs
    assert any("original_cell_type, original_donor" in notice for notice in report.notices)


def test_columns_without_a_role_can_be_left_out(write: Write) -> None:
    result, report = make(source(), write, keep_obs=False)
    assert list(result.obs)[:2] == ["batch", "n_genes_by_counts"]
    assert any("left out: annotation, age" in notice for notice in report.notices)


def test_unlabelled_cells_are_dropped_when_asked(write: Write) -> None:
    data = source()
    data.obs["cell_type"] = data.obs["annotation"].astype(object).where(np.arange(60) > 9)
    with pytest.raises(BadInput, match="cell_type is missing for 10 cells"):
        make(data, write)
    result, report = make(data, write, data_set={"unlabelled": "drop"})
    assert result.n_obs == 50
    assert next(s for s in report.steps if s.step == "unlabelled").cells_removed == 10


def test_labels_are_the_same_after_a_second_reading(write: Write) -> None:
    """A huge number would be a label of 300 digits, which no file is allowed to hold."""
    data = source()
    data.obs["donor"] = np.resize([7.0, 1.5, 1e300], 60)
    result, _ = make(data, write)
    assert set(result.obs["donor"]) == {"7", "1.5", "1e+300"}
    again, _ = make(result, write)
    assert list(again.obs["donor"]) == list(result.obs["donor"])


def test_a_role_that_has_to_be_asked_for_keeps_its_name(write: Write) -> None:
    data = source()
    data.obs["split"] = np.resize(["train", "test"], 60)
    plain, _ = make(data, write)
    assert set(plain.obs["split"]) == {"train", "test"}
    asked, report = make(data, write, roles={"split": "batch"})
    assert set(asked.obs["split"]) == {"a", "b"}
    assert set(asked.obs["original_split"]) == {"train", "test"}
    assert report.options["obs"]["split"] == "batch"


def test_embeddings_stay_and_what_is_left_out_is_said(write: Write) -> None:
    data = source()
    data.X[0, :] = 0
    data.X.eliminate_zeros()
    data.obsm["X_umap"] = np.arange(120, dtype=np.float32).reshape(60, 2)
    data.layers["spliced"] = data.X.copy()
    result, report = make(data, write)
    np.testing.assert_array_equal(result.obsm["X_umap"], data.obsm["X_umap"][1:])
    assert not result.layers
    assert "left out: layers spliced." in report.notices


def test_counts_may_stand_anywhere(write: Write) -> None:
    data = source()
    data.layers["counts"] = data.X.copy()
    data.X = data.X.multiply(0.37).tocsr()
    result, report = make(data, write)
    assert report.counts == "counts"
    assert (result.X != source().X).nnz == 0


def test_what_is_no_counts_is_refused(write: Write) -> None:
    data = source()
    data.X = data.X.multiply(0.37).tocsr()
    with pytest.raises(BadInput, match="not integer counts"):
        make(data, write)


def test_nothing_left_is_an_error_that_names_the_steps(write: Write) -> None:
    with pytest.raises(BadInput, match=r"0 of 60 cells .*--min-counts dropped 60 \(total_counts below 100000\)"):
        make(source(), write, min_counts=100_000)
    with pytest.raises(BadInput, match=r"0 of 32 features left .*--min-cells dropped 32"):
        make(source(), write, min_cells=61)


def test_a_report_alone_writes_nothing(write: Write) -> None:
    path = write(source())
    report = prepare(path, None, Options(min_genes=0))
    assert report.cells == (60, 60)
    assert sorted(p.name for p in path.parent.glob("*.h5ad")) == ["source.h5ad"]


def test_a_file_that_cannot_be_written_leaves_what_was_there(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(source())
    out = path.with_name("out.h5ad")
    out.write_bytes(b"before")

    def full(self: ad.AnnData, target: Path, **_: Any) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ad.AnnData, "write_h5ad", full)
    with pytest.raises(BadInput, match=r"cannot be written: No space left on device\."):
        prepare(path, out, Options(min_genes=0))
    assert out.read_bytes() == b"before"
    assert sorted(p.name for p in path.parent.iterdir() if p.is_file()) == ["out.h5ad", "source.h5ad"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop_unmapped": True}, "--drop-unmapped drops what --map-genes could not name"),
        ({"max_genes": 100}, "--max-genes 100 is below --min-genes 200"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Options(**options)


SETTLED = {"duplicate_genes": "sum", "unlabelled": "drop"}
CHOICES = st.fixed_dictionaries(
    {"min_genes": st.integers(0, 2), "min_cells": st.integers(0, 2)},
    optional={
        "max_genes": st.integers(2, 4),
        "min_counts": st.integers(0, 5),
        "max_percent_mt": st.floats(0, 100),
        "species": st.sampled_from(["human", "human", "mouse"]),
        "map_genes": st.sampled_from(["symbol", "ensembl"]),
        "biotype": st.sampled_from([(), ("protein_coding",)]),
        "keep_obs": st.booleans(),
    },
)


@st.composite
def known_sources(draw: st.DrawFn) -> ad.AnnData:
    """Sources of the canonical property, often with genes the tables know and columns of any kind."""
    data = draw(sources())
    if draw(st.booleans()):
        names = st.sampled_from([*SYMBOLS, *SYMBOLS.values(), "gene1", "MT-ND1", "x"])
        data.var_names = draw(st.lists(names, min_size=data.n_vars, max_size=data.n_vars))
    if draw(st.booleans()):
        values = st.one_of(st.none(), st.text(max_size=3), st.floats(), st.lists(st.integers(), max_size=1))
        column = np.empty(data.n_obs, dtype=object)
        column[:] = draw(st.lists(values, min_size=data.n_obs, max_size=data.n_obs))
        data.obs[draw(st.one_of(st.text(max_size=5), st.sampled_from(["a/b", "_index", "age", "total_counts"])))] = (
            column
        )
    return data


@pytest.mark.filterwarnings("ignore")
@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(raw=known_sources(), choices=CHOICES, options=st.one_of(OPTIONS, st.just(SETTLED), st.just(SETTLED)))
def test_any_data_become_a_file_that_bench_takes_or_are_refused(
    tmp_path: Path, raw: ad.AnnData, choices: dict[str, Any], options: dict[str, Any]
) -> None:
    out = tmp_path / "out.h5ad"
    roles = {role: role for role in raw.obs if role in ROLES}
    try:
        result, report = prepared(raw, DatasetSpec("x", "", "a:b", roles=roles, options=options), Options(**choices))
        module._write(result, out)
    except BadInput:
        event("refused")
        return
    event("written")
    data = canonical.load(files.describe(out, obs={role: role for role in roles}))
    assert data.shape == result.shape == (report.cells[1], result.n_vars)
    assert (data.X != result.X).nnz == 0
    assert list(data.var_names) == list(result.var_names)
    assert list(data.var["ensembl_id"]) == list(result.var["ensembl_id"])
    assert set(data.obs) == set(roles)
    assert report.cells[0] - sum(step.cells_removed for step in report.steps) == report.cells[1]
    with h5py.File(out) as file:
        assert json.loads(file["uns/bench_prepare"][()])["cells"] == list(report.cells)
