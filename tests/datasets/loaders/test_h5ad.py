"""Public `.h5ad` files that need one step more."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from bench.data import canonical
from bench.errors import BadInput
from bench.specs import DatasetSpec
from bench_datasets.loaders import h5ad

LOADERS = "bench_datasets.loaders.h5ad"


def write(path: Path, n: int = 6, **obs: list) -> str:
    counts = np.random.default_rng(0).poisson(2, (n, 4)).astype(np.float32) + 1
    path.parent.mkdir(parents=True, exist_ok=True)
    index = [f"c{k}" for k in range(n)]
    ad.AnnData(counts, obs=pd.DataFrame(obs, index=index), var=pd.DataFrame(index=list("ABCD"))).write_h5ad(path)
    return str(path)


def test_the_one_file_that_fits_is_taken_from_an_archive(tmp_path: Path) -> None:
    write(tmp_path / "data" / "datasets" / "PBMC_12k.h5ad", n=5)
    write(tmp_path / "data" / "datasets" / "pancreas_scib.h5ad", n=6)
    assert h5ad.load_member(str(tmp_path), "pbmc*12k*").n_obs == 5
    assert h5ad.load_member(str(tmp_path), "pancreas_scib.h5ad").n_obs == 6


@pytest.mark.parametrize("member", ["pbmc3k", "p*"])
def test_other_patterns_list_what_there_is(tmp_path: Path, member: str) -> None:
    write(tmp_path / "pbmc_12k.h5ad")
    write(tmp_path / "pancreas.h5ad")
    with pytest.raises(BadInput, match=r"there are: pancreas.h5ad, pbmc_12k.h5ad.*--data-set member="):
        h5ad.load_member(str(tmp_path), member)


def test_unperturbed_cells_are_called_control(tmp_path: Path) -> None:
    path = write(tmp_path / "kang.h5ad", label=["ctrl", "stim", "ctrl", "stim", "ctrl", "stim"])
    data = h5ad.load_perturbed(path, "label", "ctrl")
    assert list(data.obs["perturbation"]) == ["control", "stim"] * 3


def test_guides_of_one_gene_are_one_perturbation_and_unassigned_cells_none(tmp_path: Path) -> None:
    guides = ["SPI1_pDS255", "SPI1_pDS256", "62(mod)_pBA581", "Gal4-4(mod)_pBA582", "*", "IRE1_only_pBA571"]
    path = write(tmp_path / "adamson.h5ad", perturbation=pd.Categorical(guides))
    params = {"column": "perturbation", "controls": "62(mod),63(mod),Gal4-4(mod)", "separator": "_", "unassigned": "*"}
    data = h5ad.load_perturbed(path, **params)
    assert data.obs["perturbation"].fillna("?").tolist() == ["SPI1", "SPI1", "control", "control", "?", "IRE1"]
    roles = {"perturbation": "perturbation"}
    spec = DatasetSpec("x", "a screen", f"{LOADERS}:load_perturbed", params={"path": path, **params}, roles=roles)
    assert canonical.load(spec).obs["perturbation"].isna().sum() == 1


def test_a_screen_without_the_column_or_without_controls_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.h5ad", label=["a"] * 6)
    with pytest.raises(BadInput, match=r"unknown obs column of x.h5ad: 'lable'. Did you mean 'label'"):
        h5ad.load_perturbed(path, "lable", "ctrl")
    with pytest.raises(BadInput, match="no cell has ctrl or DMSO"):
        h5ad.load_perturbed(path, "label", "ctrl,DMSO")


def test_donors_from_a_number_on(tmp_path: Path) -> None:
    path = write(tmp_path / "atlas.h5ad", donor_id=["TSP1", "TSP2", "TSP17", "TSP21", "TSP2", "TSP30"])
    assert h5ad.load_donors(path, 1).n_obs == 6
    newer = h5ad.load_donors(path, 16)
    assert list(newer.obs["donor_id"]) == ["TSP17", "TSP21", "TSP30"]
    assert newer.uns["notices"] == ["3 cells of donors before number 16 left out."]
    with pytest.raises(BadInput, match=r"no donor from 31 on \(the last is 30\)"):
        h5ad.load_donors(path, 31)
    with pytest.raises(BadInput, match="1 cells have a donor_id without a number"):
        h5ad.load_donors(write(tmp_path / "y.h5ad", donor_id=["TSP1"] * 5 + ["pooled"]), 1)


def test_antibodies_in_a_table_become_features(tmp_path: Path) -> None:
    path = tmp_path / "cite.h5ad"
    data = ad.read_h5ad(write(path))
    proteins = pd.DataFrame(np.arange(12).reshape(6, 2), index=data.obs_names, columns=["CD3", "A"])
    data.obsm["protein_counts"] = proteins
    data.write_h5ad(path)
    spec = DatasetSpec(
        "x", "a CITE set", f"{LOADERS}:load_protein", params={"path": str(path), "key": "protein_counts"}
    )
    found = canonical.load(spec)
    antibodies = found[:, found.var["feature_types"] == "Antibody Capture"]
    assert list(antibodies.var_names) == ["CD3", "A (Antibody Capture)"]
    assert np.array_equal(antibodies.X.toarray(), proteins.to_numpy())
    with pytest.raises(BadInput, match=r"obsm\['adt'\] is no table"):
        h5ad.load_protein(str(path), "adt")
