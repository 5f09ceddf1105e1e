"""Baselines on real cells: seeded, blind to labels, indifferent to order."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold

from bench.errors import BadInput
from bench.specs import Cap, ModelSpec, load_target
from bench_baselines.plugin import MLPConfig, ProjectionConfig, bench_models
from bench_baselines.projection import RandomProjection, gene_vector

SPECS = {spec.name: spec for spec in bench_models()}
EMBEDDERS = [name for name, spec in SPECS.items() if Cap.EMBEDS_CELLS in spec.gives and spec.inductive]
CLASSIFIERS = [name for name, spec in SPECS.items() if Cap.PREDICTS_LABELS in spec.gives]


def make(name: str, seed: int = 0, **options: Any) -> Any:
    """A model as the core makes it."""
    spec: ModelSpec = SPECS[name]
    return load_target(spec.target)(spec.config(**options), weights=None, seed=seed, device="cpu")


def fitted(name: str, cells: ad.AnnData, seed: int = 0, **options: Any) -> Any:
    model = make(name, seed, **options)
    model.fit(cells)
    return model


def same_counts(one: Any, other: Any) -> bool:
    """Whether two tables hold the same numbers in the same type."""
    return one.X.dtype == other.X.dtype and (one.X != other.X).nnz == 0


def halves(cells: ad.AnnData) -> tuple[ad.AnnData, ad.AnnData]:
    even = np.arange(cells.n_obs) % 2 == 0
    return cells[even].copy(), cells[~even].copy()


def accuracy(predicted: pd.DataFrame, cells: ad.AnnData) -> float:
    return float((predicted.idxmax(axis=1) == cells.obs["cell_type"]).mean())


@pytest.mark.parametrize("name", EMBEDDERS)
class TestEmbedders:
    def test_shape_and_type(self, name: str, pbmc: ad.AnnData) -> None:
        width = {"pca": 50, "random-projection": 50, "hvg": pbmc.n_vars}[name]
        vectors = fitted(name, pbmc).embed(pbmc)
        assert vectors.dtype == np.float32
        assert vectors.shape == (pbmc.n_obs, width)

    def test_same_seed_same_bits(self, name: str, pbmc: ad.AnnData) -> None:
        train, test = halves(pbmc)
        np.testing.assert_array_equal(fitted(name, train, seed=5).embed(test), fitted(name, train, seed=5).embed(test))

    def test_rows_follow_the_cells(self, name: str, pbmc: ad.AnnData) -> None:
        train, test = halves(pbmc)
        model = fitted(name, train)
        order = np.random.default_rng(0).permutation(test.n_obs)
        np.testing.assert_allclose(model.embed(test[order]), model.embed(test)[order], rtol=1e-5, atol=1e-5)

    def test_a_cell_does_not_depend_on_the_others(self, name: str, pbmc: ad.AnnData) -> None:
        train, test = halves(pbmc)
        model = fitted(name, train)
        np.testing.assert_allclose(model.embed(test[:7]), model.embed(test)[:7], rtol=1e-5, atol=1e-5)

    def test_order_of_genes_changes_nothing(self, name: str, pbmc: ad.AnnData) -> None:
        train, test = halves(pbmc)
        model = fitted(name, train)
        order = np.random.default_rng(0).permutation(test.n_vars)
        np.testing.assert_allclose(model.embed(test[:, order].copy()), model.embed(test), rtol=1e-5, atol=1e-5)

    def test_labels_are_not_read(self, name: str, pbmc: ad.AnnData) -> None:
        shuffled = pbmc.copy()
        shuffled.obs["cell_type"] = np.random.default_rng(0).permutation(pbmc.obs["cell_type"].to_numpy())
        np.testing.assert_array_equal(fitted(name, pbmc).embed(pbmc), fitted(name, shuffled).embed(shuffled))

    def test_input_is_left_alone(self, name: str, pbmc: ad.AnnData) -> None:
        cells = pbmc.copy()
        fitted(name, cells).embed(cells)
        assert same_counts(cells, pbmc)
        pd.testing.assert_frame_equal(cells.obs, pbmc.obs)
        pd.testing.assert_frame_equal(cells.var, pbmc.var)


@pytest.mark.parametrize("name", ["pca", "hvg"])
def test_missing_genes_are_named(name: str, pbmc: ad.AnnData) -> None:
    model = fitted(name, pbmc)
    with pytest.raises(BadInput, match="genes the model was fitted on are not in these cells"):
        model.embed(pbmc[:, 10:].copy())


def test_widths_are_selectable(pbmc: ad.AnnData) -> None:
    assert fitted("pca", pbmc, n_components=7).embed(pbmc).shape[1] == 7
    assert fitted("random-projection", pbmc, n_components=300).embed(pbmc).shape[1] == 300
    assert fitted("hvg", pbmc, n_genes=120).embed(pbmc).shape[1] == 120


class TestRandomProjection:
    def test_order_of_genes_changes_no_bit(self, pbmc: ad.AnnData) -> None:
        model = make("random-projection")
        order = np.random.default_rng(1).permutation(pbmc.n_vars)
        np.testing.assert_array_equal(model.embed(pbmc[:, order].copy()), model.embed(pbmc))

    def test_unfitted_and_fitted_agree(self, pbmc: ad.AnnData) -> None:
        train, test = halves(pbmc)
        np.testing.assert_array_equal(
            make("random-projection").embed(test), fitted("random-projection", train).embed(test)
        )

    def test_vector_of_a_gene_follows_from_seed_and_name(self) -> None:
        np.testing.assert_array_equal(gene_vector("CD3D", 0, 8), gene_vector("CD3D", 0, 8))
        assert not np.array_equal(gene_vector("CD3D", 0, 8), gene_vector("CD3D", 1, 8))
        assert not np.array_equal(gene_vector("CD3D", 0, 8), gene_vector("CD3E", 0, 8))

    def test_distances_are_kept(self, pbmc: ad.AnnData) -> None:
        """Johnson-Lindenstrauss: at width 2000 squared distances are off by a few per cent."""
        cells = pbmc[:40].copy()
        model = RandomProjection(ProjectionConfig(n_components=2000), weights=None, seed=0, device="cpu")
        exact = fitted("hvg", cells, n_genes=cells.n_vars).embed(cells)
        ratio = _squared_distances(model.embed(cells)) / _squared_distances(exact)
        assert abs(ratio.mean() - 1) < 0.05
        assert ratio.std() < 0.08


def _squared_distances(vectors: np.ndarray) -> np.ndarray:
    first, second = np.triu_indices(len(vectors), 1)
    return ((vectors[first] - vectors[second]) ** 2).sum(axis=1)


@pytest.fixture(scope="module", params=CLASSIFIERS)
def name(request: pytest.FixtureRequest) -> str:
    """A classifier; its tests run one after the other, so that they can share a fitted one."""
    return request.param


@pytest.fixture(scope="module")
def learned(name: str, pbmc: ad.AnnData) -> Any:
    """It has seen one half of the cells."""
    return fitted(name, halves(pbmc)[0])


class TestClassifiers:
    def test_types_are_recognised(self, learned: Any, pbmc: ad.AnnData) -> None:
        train, test = halves(pbmc)
        predicted = learned.predict(test)
        assert list(predicted.index) == list(test.obs_names)
        assert list(predicted.columns) == sorted(train.obs["cell_type"].unique())
        np.testing.assert_allclose(predicted.sum(axis=1), 1)
        assert accuracy(predicted, test) > 0.7  # the majority type is 34 % of the cells

    def test_same_seed_same_bits(self, name: str, learned: Any, pbmc: ad.AnnData) -> None:
        train, test = halves(pbmc)
        pd.testing.assert_frame_equal(fitted(name, train).predict(test), learned.predict(test), check_exact=True)

    def test_a_cell_does_not_depend_on_the_others(self, learned: Any, pbmc: ad.AnnData) -> None:
        _, test = halves(pbmc)
        order = np.random.default_rng(0).permutation(test.n_obs)[:60]
        pd.testing.assert_frame_equal(
            learned.predict(test[order]), learned.predict(test).iloc[order], check_exact=False, atol=1e-5
        )

    def test_unlabelled_cells_are_no_class(self, name: str, pbmc: ad.AnnData) -> None:
        train, test = halves(pbmc)
        labels = train.obs["cell_type"].to_numpy().astype(object)
        labels[np.arange(train.n_obs) % 3 > 0] = None
        train.obs["cell_type"] = labels
        predicted = fitted(name, train).predict(test)
        assert list(predicted.columns) == sorted({label for label in labels if label is not None})
        assert accuracy(predicted, test) > 0.6

    def test_labels_of_the_cells_to_predict_are_not_read(self, learned: Any, pbmc: ad.AnnData) -> None:
        _, test = halves(pbmc)
        blind = test.copy()
        blind.obs = pd.DataFrame(index=test.obs_names)
        pd.testing.assert_frame_equal(learned.predict(test), learned.predict(blind))

    def test_one_cell_per_type_is_enough(self, name: str, pbmc: ad.AnnData) -> None:
        train, test = halves(pbmc)
        shots = train[~train.obs["cell_type"].duplicated().to_numpy()].copy()
        shots.obs["group"] = "d1"
        predicted = fitted(name, shots).predict(test)
        assert np.isfinite(predicted.to_numpy()).all()
        assert predicted.shape == (test.n_obs, shots.n_obs)

    def test_input_is_left_alone(self, name: str, pbmc: ad.AnnData) -> None:
        cells, _ = halves(pbmc)
        before = cells.copy()
        fitted(name, cells).predict(cells)
        assert same_counts(cells, before)
        pd.testing.assert_frame_equal(cells.obs, before.obs)

    def test_cells_without_labels_are_refused(self, name: str, pbmc: ad.AnnData) -> None:
        cells = pbmc.copy()
        cells.obs["cell_type"] = None
        with pytest.raises(BadInput, match="missing for all training cells"):
            fitted(name, cells)
        cells.obs = pd.DataFrame(index=cells.obs_names)
        with pytest.raises(BadInput, match="no column 'cell_type'"):
            fitted(name, cells)


def test_config_reaches_the_network(pbmc: ad.AnnData) -> None:
    train, test = halves(pbmc)
    short = fitted("mlp", train, max_epochs=1).predict(test)
    assert accuracy(short, test) < accuracy(fitted("mlp", train).predict(test), test)
    assert MLPConfig().max_epochs > 1


@pytest.mark.slow
def test_logistic_regression_reaches_what_is_known_of_kang(kang: ad.AnnData) -> None:
    """Measured elsewhere on random cells: accuracy .940, macro-F1 .838."""
    labels = kang.obs["cell_type"].astype(str).to_numpy()
    train, test = next(StratifiedKFold(5, shuffle=True, random_state=0).split(labels, labels))
    found = fitted("logreg", kang[train].copy()).predict(kang[test].copy()).idxmax(axis=1).to_numpy()
    assert (found == labels[test]).mean() > 0.90
    assert f1_score(labels[test], found, average="macro") > 0.75


@pytest.mark.parametrize("plugin", ["bench_baselines.plugin", "bench_scvi.plugin"])
def test_plugin_module_is_light(plugin: str) -> None:
    heavy = "{'numpy', 'pandas', 'anndata', 'scanpy', 'sklearn', 'torch', 'scvi'}"
    code = f"import sys; sys.path[:] = {sys.path!r}; import {plugin}; print(*({heavy} & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
