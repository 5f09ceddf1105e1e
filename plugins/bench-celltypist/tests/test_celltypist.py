"""CellTypist trained on real cells."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from bench_celltypist.model import CellTypistModel
from bench_celltypist.plugin import CellTypistConfig, bench_models
from bench_celltypist.training import OneVsRest, train
from sklearn.linear_model import LogisticRegression

from bench.catalogue import catalogue
from bench.data import canonical
from bench.data.features import lognorm
from bench.errors import BadInput
from bench.specs import Cap, load_target


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


def fitted(cells: ad.AnnData, seed: int = 0, **options: Any) -> CellTypistModel:
    model = CellTypistModel(CellTypistConfig(**options), weights=None, seed=seed, device="cpu")
    model.fit(cells)
    return model


def accuracy(predicted: pd.DataFrame, cells: ad.AnnData) -> float:
    return float((predicted.idxmax(axis=1) == cells.obs["cell_type"]).mean())


def test_types_are_recognised(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    predicted = fitted(train_cells).predict(asked_cells)
    assert list(predicted.index) == list(asked_cells.obs_names)
    assert list(predicted.columns) == sorted(train_cells.obs["cell_type"].unique())
    np.testing.assert_allclose(predicted.sum(axis=1), 1)
    assert accuracy(predicted, asked_cells) > 0.7  # the majority type is 34 % of the cells


def test_best_match_is_the_one_celltypist_itself_annotates(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    model = fitted(train_cells)
    import celltypist

    query = ad.AnnData(
        lognorm(asked_cells.X), var=asked_cells.var.copy(), obs=pd.DataFrame(index=asked_cells.obs_names)
    )
    annotated = celltypist.annotate(query, model._model)
    assert list(annotated.predicted_labels["predicted_labels"]) == list(model.predict(asked_cells).idxmax(axis=1))
    shares = annotated.probability_matrix.div(annotated.probability_matrix.sum(axis=1), axis=0)
    np.testing.assert_allclose(model.predict(asked_cells)[shares.columns], shares, atol=1e-5)


def test_each_class_is_a_binary_problem_of_its_own(train_cells: ad.AnnData) -> None:
    values, labels = lognorm(train_cells.X).toarray()[:, :50], train_cells.obs["cell_type"].to_numpy(dtype=str)
    joint = OneVsRest(max_iter=1000).fit(values, labels)
    alone = LogisticRegression(max_iter=1000).fit(values, labels == joint.classes_[3])
    np.testing.assert_allclose(joint.decision_function(values)[:, 3], alone.decision_function(values), rtol=1e-4)


def test_two_types_are_one_problem(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    two = train_cells.obs["cell_type"].value_counts().index[:2]
    given = train_cells[train_cells.obs["cell_type"].isin(two)].copy()
    asked = asked_cells[asked_cells.obs["cell_type"].isin(two)].copy()
    predicted = fitted(given).predict(asked)
    assert list(predicted.columns) == sorted(two)
    assert accuracy(predicted, asked) > 0.8  # the larger is 67 % of the cells, and the two are kin


def test_one_type_is_certain(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    given = train_cells[train_cells.obs["cell_type"] == "Dendritic"].copy()
    predicted = fitted(given).predict(asked_cells)
    assert list(predicted.columns) == ["Dendritic"]
    assert (predicted == 1).all().all()


@pytest.mark.parametrize("options", [{}, {"feature_selection": True, "top_genes": 20}], ids=["plain", "selection"])
def test_same_seed_same_bits(options: dict, train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    first, again = (fitted(train_cells, seed=5, **options).predict(asked_cells) for _ in range(2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)


def test_rows_and_genes_are_joined_by_name(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    model = fitted(train_cells)
    whole = model.predict(asked_cells)
    rng = np.random.default_rng(0)
    order, genes = rng.permutation(asked_cells.n_obs)[:60], rng.permutation(asked_cells.n_vars)
    pd.testing.assert_frame_equal(model.predict(asked_cells[order]), whole.iloc[order], atol=1e-6)
    pd.testing.assert_frame_equal(model.predict(asked_cells[:, genes].copy()), whole, atol=1e-5)
    with pytest.raises(BadInput, match="genes the model was fitted on are not in these cells"):
        model.predict(asked_cells[:, 300:].copy())


def test_unlabelled_cells_are_no_class_and_not_learned_from(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    labels = train_cells.obs["cell_type"].to_numpy().astype(object)
    labels[np.arange(train_cells.n_obs) % 3 > 0] = None
    given = train_cells.copy()
    given.obs["cell_type"] = labels
    bare = train_cells[::3].copy()
    pd.testing.assert_frame_equal(fitted(given).predict(asked_cells), fitted(bare).predict(asked_cells))


def test_no_labels_are_refused(train_cells: ad.AnnData) -> None:
    cells = train_cells.copy()
    cells.obs["cell_type"] = None
    with pytest.raises(BadInput, match="missing for all training cells"):
        fitted(cells)
    cells.obs = pd.DataFrame(index=cells.obs_names)
    with pytest.raises(BadInput, match="no column 'cell_type'"):
        fitted(cells)


def test_too_few_genes_to_choose_from_are_refused(train_cells: ad.AnnData) -> None:
    with pytest.raises(BadInput, match="cannot choose 5000 genes per type among"):
        fitted(train_cells, feature_selection=True, top_genes=5000)


def test_fewer_genes_on_request(train_cells: ad.AnnData) -> None:
    assert len(fitted(train_cells, n_genes=100)._model.features) == 100


def test_cells_far_from_every_class_keep_finite_probabilities(train_cells: ad.AnnData, asked_cells: ad.AnnData) -> None:
    model = fitted(train_cells)
    model._model.classifier.intercept_ -= 1e4
    predicted = model.predict(asked_cells)
    np.testing.assert_allclose(predicted.sum(axis=1), 1)


def test_input_is_left_alone_and_nothing_is_said(
    train_cells: ad.AnnData, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    cells = train_cells.copy()
    fitted(cells).predict(cells)
    counts: Any = cells.X
    assert (counts != train_cells.X).nnz == 0
    pd.testing.assert_frame_equal(cells.obs, train_cells.obs)
    pd.testing.assert_frame_equal(cells.var, train_cells.var)
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []


def test_scikit_learn_is_put_back(train_cells: ad.AnnData) -> None:
    module: Any = sys.modules["celltypist.train"]
    handlers = list(logging.getLogger().handlers)
    values = lognorm(train_cells.X)[:, :60]
    train(values, train_cells.obs["cell_type"].to_numpy(dtype=str), np.asarray(train_cells.var_names)[:60], 0)
    assert module.LogisticRegression is LogisticRegression
    assert logging.getLogger().handlers == handlers


def test_nothing_is_downloaded_and_the_home_folder_stays_clean(tmp_path: Path) -> None:
    """Every connection is an error; importing celltypist makes its folder in bench's cache."""
    code = """
import socket, numpy as np
def refuse(*_, **__): raise AssertionError("network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from bench_celltypist.training import train
rng = np.random.default_rng(0)
train(rng.random((40, 8)), np.repeat(["a", "b", "c", "d"], 10), np.array(list("ABCDEFGH")), 0)
"""
    home, cache = tmp_path / "home", tmp_path / "cache"
    home.mkdir()
    inherited = {k: v for k, v in os.environ.items() if k != "CELLTYPIST_FOLDER"}
    environment = {**inherited, "HOME": str(home), "BENCH_CACHE_DIR": str(cache)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert (cache / "celltypist").is_dir()
    assert not (home / ".celltypist").exists()
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_spec_is_what_the_class_does() -> None:
    (spec,) = bench_models()
    assert load_target(spec.target) is CellTypistModel
    assert spec.gives == {Cap.PREDICTS_LABELS}
    assert spec.fits == "labels"


def test_plugin_module_is_light() -> None:
    heavy = "{'numpy', 'pandas', 'anndata', 'sklearn', 'celltypist'}"
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import bench_celltypist.plugin; print(*({heavy} & {{*sys.modules}}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
