"""Boosted trees on real cells."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from bench_xgboost import plugin
from bench_xgboost.model import ROUNDS_UNWATCHED, XGBoostModel
from bench_xgboost.plugin import XGBoostConfig, bench_models

from bench.catalogue import catalogue
from bench.data import canonical
from bench.errors import BadInput
from bench.specs import Cap, load_target

SHORT = {"max_rounds": 30}


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    """700 blood cells that come with bench; do not change them."""
    return canonical.load(catalogue().dataset("pbmc68k"))


@pytest.fixture(scope="module")
def train_cells(cells: ad.AnnData) -> ad.AnnData:
    return cells[::2].copy()


@pytest.fixture(scope="module")
def asked_cells(cells: ad.AnnData) -> ad.AnnData:
    return cells[1::2].copy()


def fitted(cells: ad.AnnData, seed: int = 0, **options: Any) -> XGBoostModel:
    model = XGBoostModel(XGBoostConfig(**{**SHORT, **options}), weights=None, seed=seed, device="cpu")
    model.fit(cells)
    return model


def accuracy(predicted: pd.DataFrame, cells: ad.AnnData) -> float:
    return float((predicted.idxmax(axis=1) == cells.obs["cell_type"]).mean())


def test_types_are_recognised(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    predicted = fitted(train_cells, max_rounds=500).predict(asked_cells)
    assert list(predicted.index) == list(asked_cells.obs_names)
    assert list(predicted.columns) == sorted(train_cells.obs["cell_type"].unique())
    np.testing.assert_allclose(predicted.sum(axis=1), 1)
    assert accuracy(predicted, asked_cells) > 0.7  # the majority type is 34 % of the cells


def test_same_seed_same_bits(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    first, again = (fitted(train_cells, seed=5).predict(asked_cells) for _ in range(2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert not first.equals(fitted(train_cells, seed=6).predict(asked_cells))


def test_it_stops_early_and_answers_with_the_best_round(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    model = fitted(train_cells, max_rounds=500, patience=3)
    rounds = model._booster.num_boosted_rounds()
    assert 1 < rounds < 200
    assert accuracy(fitted(train_cells, max_rounds=1).predict(asked_cells), asked_cells) < accuracy(
        model.predict(asked_cells), asked_cells
    )


def test_validation_holds_out_whole_groups(train_cells: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = train_cells.copy()
    cells.obs["group"] = [f"d{number % 5}" for number in range(cells.n_obs)]
    cuts: list[np.ndarray] = []
    real = XGBoostModel._train
    monkeypatch.setattr(XGBoostModel, "_train", lambda s, v, c, cut: cuts.append(cut) or real(s, v, c, cut))
    fitted(cells)
    groups = cells.obs["group"].to_numpy()
    assert len(set(groups[cuts[0]])) == 1


def test_one_cell_per_type_is_enough(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    """Nothing can be spared for validation then."""
    shots = train_cells[~train_cells.obs["cell_type"].duplicated().to_numpy()].copy()
    model = fitted(shots, max_rounds=500)
    assert model._booster.num_boosted_rounds() == ROUNDS_UNWATCHED
    assert model.predict(asked_cells).shape == (asked_cells.n_obs, shots.n_obs)


def test_one_type_is_certain(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    given = train_cells[train_cells.obs["cell_type"] == "Dendritic"].copy()
    predicted = fitted(given).predict(asked_cells)
    assert list(predicted.columns) == ["Dendritic"]
    assert (predicted == 1).all().all()


def test_rows_and_genes_are_joined_by_name(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    model = fitted(train_cells)
    whole = model.predict(asked_cells)
    rng = np.random.default_rng(0)
    order, genes = rng.permutation(asked_cells.n_obs)[:60], rng.permutation(asked_cells.n_vars)
    pd.testing.assert_frame_equal(model.predict(asked_cells[order]), whole.iloc[order], atol=1e-6)
    pd.testing.assert_frame_equal(model.predict(asked_cells[:, genes].copy()), whole, atol=1e-6)
    with pytest.raises(BadInput, match="genes the model was fitted on are not in these cells"):
        model.predict(asked_cells[:, 300:].copy())


def test_zero_genes_means_all(train_cells: ad.AnnData) -> None:
    assert len(fitted(train_cells, n_genes=0)._genes) == train_cells.n_vars
    assert len(fitted(train_cells, n_genes=100)._genes) == 100


def test_unlabelled_cells_are_no_class(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    labels = train_cells.obs["cell_type"].to_numpy().astype(object)
    labels[np.arange(train_cells.n_obs) % 3 > 0] = None
    given = train_cells.copy()
    given.obs["cell_type"] = labels
    predicted = fitted(given).predict(asked_cells)
    assert list(predicted.columns) == sorted({label for label in labels if label is not None})
    assert accuracy(predicted, asked_cells) > 0.6


def test_no_labels_are_refused(train_cells: ad.AnnData) -> None:
    cells = train_cells.copy()
    cells.obs["cell_type"] = None
    with pytest.raises(BadInput, match="missing for all training cells"):
        fitted(cells)
    cells.obs = pd.DataFrame(index=cells.obs_names)
    with pytest.raises(BadInput, match="no column 'cell_type'"):
        fitted(cells)


def test_input_is_left_alone_and_nothing_is_said(train_cells: ad.AnnData, capfd: pytest.CaptureFixture[str]) -> None:
    cells = train_cells.copy()
    fitted(cells).predict(cells)
    counts: Any = cells.X
    assert (counts != train_cells.X).nnz == 0
    pd.testing.assert_frame_equal(cells.obs, train_cells.obs)
    assert capfd.readouterr() == ("", "")


def test_either_distribution_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: set[str] = set()

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return "3.2.0"

    monkeypatch.setattr(plugin.metadata, "version", version)
    assert bench_models()[0].requires == ("xgboost-cpu>=2.1",)
    installed.add("xgboost")
    assert bench_models()[0].requires == ("xgboost>=2.1",)


def test_spec_is_what_the_class_does() -> None:
    (spec,) = bench_models()
    assert load_target(spec.target) is XGBoostModel
    assert spec.gives == {Cap.PREDICTS_LABELS}
    assert spec.fits == "labels"


def test_plugin_module_is_light() -> None:
    heavy = "{'numpy', 'pandas', 'anndata', 'sklearn', 'xgboost'}"
    code = f"import sys; sys.path[:] = {sys.path!r}; import bench_xgboost.plugin; print(*({heavy} & {{*sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
