"""The shipped cells: counts recovered exactly, and a batch effect that is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from bench.data import canonical
from bench.data.files import load_h5ad
from bench.data.identity import cells_hash, dataset_identity
from bench.errors import BadInput
from bench.specs import DatasetSpec
from bench_datasets import pbmc68k
from bench_datasets.plugin import bench_datasets

SPECS = {spec.name: spec for spec in bench_datasets()}


def semisimulated(**params: float) -> DatasetSpec:
    spec = SPECS["pbmc68k-semisim"]
    return replace(spec, params={**spec.params, **params})


def test_counts_are_integers_of_700_labelled_cells() -> None:
    data = canonical.load(SPECS["pbmc68k"])
    assert data.shape == (700, 765)
    assert list(data.obs) == ["cell_type"]
    assert data.obs["cell_type"].nunique() == 10


def test_recovered_counts_are_those_of_the_independent_recovery(shared: Path) -> None:
    other = ad.read_h5ad(shared / "data" / "pbmc68k_reduced_counts.h5ad")
    data = canonical.load(SPECS["pbmc68k"])
    assert list(data.obs_names) == list(other.obs_names)
    assert list(data.var_names) == list(other.var_names)
    assert (data.X != other.X).nnz == 0
    assert data.obs["cell_type"].tolist() == other.obs["cell_type"].tolist()


def test_the_residual_is_far_from_that_of_wrong_totals() -> None:
    shipped = load_h5ad(SPECS["pbmc68k"].params["path"])
    totals = shipped.obs["n_counts"].to_numpy()
    assert pbmc68k.recovered(shipped.raw.X, totals)[1] < pbmc68k.TOLERANCE
    assert pbmc68k.recovered(shipped.raw.X, totals + 7)[1] > 3 * pbmc68k.TOLERANCE


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.h5ad"
    ad.AnnData(np.ones((3, 3), dtype=np.float32)).write_h5ad(path)
    with pytest.raises(BadInput, match="not the file scanpy ships"):
        pbmc68k.load(str(path))


def test_halves_are_disjoint_real_cells_of_which_only_b_is_thinned() -> None:
    whole, halved = canonical.load(SPECS["pbmc68k"]), canonical.load(SPECS["pbmc68k-semisim"])
    in_b = (halved.obs["batch"] == "b").to_numpy()
    assert list(halved.obs_names) == list(whole.obs_names)
    assert in_b.sum() == 350
    assert (halved.X[~in_b] != whole.X[~in_b]).nnz == 0
    assert (whole.X - halved.X).min() >= 0
    assert halved.X[in_b].sum() < 0.8 * whole.X[in_b].sum()


def test_strength_zero_changes_nothing_and_more_removes_more() -> None:
    whole = canonical.load(SPECS["pbmc68k"])
    assert (canonical.load(semisimulated(strength=0.0)).X != whole.X).nnz == 0
    sums = [canonical.load(semisimulated(strength=strength)).X.sum() for strength in (0.0, 0.25, 0.5, 1.0)]
    assert sums == sorted(sums, reverse=True)
    assert len(set(sums)) == 4


def test_the_effect_is_gene_wise_and_not_depth_alone() -> None:
    halved = canonical.load(SPECS["pbmc68k-semisim"])
    in_b = (halved.obs["batch"] == "b").to_numpy()
    share = np.vstack([np.asarray(halved.X[part].sum(axis=0)).ravel() for part in (~in_b, in_b)]) + 1.0
    ratio = np.log((share / share.sum(axis=1, keepdims=True))[1] / (share / share.sum(axis=1, keepdims=True))[0])
    plain = canonical.load(semisimulated(strength=0.0))
    chance = np.vstack([np.asarray(plain.X[part].sum(axis=0)).ravel() for part in (~in_b, in_b)]) + 1.0
    assert ratio.std() > 2 * np.log(chance[1] / chance[0]).std()


def test_the_seed_decides_everything() -> None:
    first, again, other = (canonical.load(semisimulated(seed=seed)) for seed in (3, 3, 4))
    assert cells_hash(first, ["batch"]) == cells_hash(again, ["batch"]) != cells_hash(other, ["batch"])


def test_parameters_are_part_of_the_identity() -> None:
    specs = [SPECS["pbmc68k"], SPECS["pbmc68k-semisim"], semisimulated(seed=1), semisimulated(strength=0.1)]
    assert len({dataset_identity(spec) for spec in specs}) == 4


def test_a_negative_strength_is_refused() -> None:
    with pytest.raises(BadInput, match="strength"):
        canonical.load(semisimulated(strength=-1.0))
