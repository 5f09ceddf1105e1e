"""Describing a user's file: roles, layers and options are settled before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bench.data import canonical
from bench.data.files import describe
from bench.errors import BadInput


@pytest.fixture
def path(tmp_path: Path) -> Path:
    obs = pd.DataFrame({"celltype": list("aabb"), "batch": list("xyxy")}, index=list("1234"))
    var = pd.DataFrame(
        {"feature_types": ["Gene Expression", "Gene Expression", "Antibody Capture"], "alias": list("uvw")},
        index=["CD3E", "CD4", "CD19"],
    )
    counts = sparse.csr_matrix(np.arange(12, dtype=np.float32).reshape(4, 3))
    data = ad.AnnData(counts, obs=obs, var=var, layers={"counts": counts})
    data.uns["bench_source"] = {"study": "Doe 2020,\n GSE1", "organism": "human"}
    file = tmp_path / "my cells (v1).h5ad"
    data.write_h5ad(file)
    return file


def test_columns_named_like_a_role_are_taken_and_others_when_asked(path: Path) -> None:
    assert describe(path, obs={}).roles == {"batch": "batch"}
    assert describe(path, obs={"cell_type": "celltype"}).roles == {"cell_type": "celltype", "batch": "batch"}


def test_an_empty_column_takes_a_role_away(path: Path) -> None:
    assert describe(path, obs={"batch": ""}).roles == {}


def test_what_the_file_says_about_itself(path: Path) -> None:
    spec = describe(path, obs={}, layer="counts")
    assert spec.name == "my-cells-v1"
    assert (spec.n_obs, spec.study, spec.species, spec.layer) == (4, "Doe 2020, GSE1", "human", "counts")
    assert spec.modalities == {"Gene Expression", "Antibody Capture"}
    assert Path(spec.params["path"]) == path
    assert Path(spec.params["path"]).is_absolute()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"obs": {"cell_type": "cell_typ"}}, ["unknown obs column", "'cell_typ'", "Did you mean 'celltype'", "batch"]),
        ({"obs": {"celltype": "celltype"}}, ["unknown role 'celltype'", "cell_type"]),
        ({"obs": {}, "layer": "count"}, ["'count'", "Did you mean 'counts'"]),
        ({"obs": {}, "options": {"duplicate_gene": "sum"}}, ["'duplicate_gene'", "duplicate_genes"]),
        ({"obs": {}, "options": {"duplicate_genes": "mean"}}, ["'mean' is not one of error, sum, first"]),
        ({"obs": {}, "options": {"gene_key": "allias"}}, ["'allias'", "Did you mean 'alias'"]),
    ],
)
def test_a_name_the_file_does_not_have_is_refused_with_those_it_has(path: Path, arguments: dict, words: list) -> None:
    with pytest.raises(BadInput) as refused:
        describe(path, **arguments)
    for word in words:
        assert word in str(refused.value)


def test_options_are_typed_and_only_those_given_are_kept(path: Path) -> None:
    assert describe(path, obs={}, options={"strict": "yes"}).options == {"strict": True}


def test_the_old_format_that_scanpy_ships_is_read() -> None:
    from bench_datasets.plugin import bench_datasets

    spec = describe(bench_datasets()[0].params["path"], obs={"cell_type": "bulk_labels"})
    assert spec.n_obs == 700
    assert spec.roles == {"cell_type": "bulk_labels"}


def test_tables_of_nullable_strings_are_read(path: Path) -> None:
    data = ad.read_h5ad(path)
    data.obs.index = pd.Index(data.obs.index, dtype="string")
    data.var["feature_types"] = pd.array(["GEX", "GEX", "ADT"], dtype="string")
    with ad.settings.override(allow_write_nullable_strings=True):
        data.write_h5ad(path)
    spec = describe(path, obs={})
    assert spec.n_obs == 4
    assert spec.modalities == {"Gene Expression", "Antibody Capture"}
    assert canonical.load(spec).obs_names.tolist() == list("1234")


def test_describing_a_file_imports_nothing_heavy(path: Path) -> None:
    code = (
        "import sys; from bench.data import files, safety, options, identity, sets;"
        f"s = files.describe({str(path)!r}, obs={{}}); identity.dataset_identity(s);"
        "print([m for m in ('anndata', 'pandas', 'scanpy', 'sklearn', 'torch', 'scipy') if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert shown.stdout.strip() == "[]"
