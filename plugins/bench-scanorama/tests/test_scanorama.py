"""Scanorama on real cells whose second half was sequenced to half the depth."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from bench.catalogue import catalogue
from bench.data import canonical
from bench.data.features import ExpressionPCA
from bench.errors import BadInput
from bench.specs import Cap, load_target

pytest.importorskip("scanorama", reason="scanorama is not installed: annoy, which it needs, wants a C++ compiler")

from bench_scanorama.model import ScanoramaModel
from bench_scanorama.plugin import ScanoramaConfig, bench_models


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    """Cells that come with bench, in two batches by turns, each gene of the second thinned by a factor of its own."""
    cells = canonical.load(catalogue().dataset("pbmc68k"))
    counts = cells.X.toarray().astype(int)
    rng = np.random.default_rng(0)
    second = np.arange(len(counts)) % 2 == 1
    counts[second] = rng.binomial(counts[second], rng.uniform(0.2, 0.9, counts.shape[1]))
    cells.X = sparse.csr_matrix(counts, dtype=np.float32)
    cells.obs["batch"] = np.where(second, "b", "a")
    return cells


def fitted(cells: ad.AnnData, seed: int = 0, **options: Any) -> ScanoramaModel:
    config = ScanoramaConfig(**{"n_components": 20, **options})
    model = ScanoramaModel(config, weights=None, seed=seed, device="cpu")
    model.fit(cells)
    return model


def neighbours(vectors: np.ndarray) -> np.ndarray:
    return NearestNeighbors(n_neighbors=31).fit(vectors).kneighbors(return_distance=False)


def same_share(vectors: np.ndarray, cells: ad.AnnData, column: str) -> float:
    """Share of the 30 nearest cells that agree with a cell in a column."""
    values = cells.obs[column].to_numpy()
    return float((values[neighbours(vectors)] == values[:, None]).mean())


def test_batches_mix_where_plain_components_kept_them_apart(cells: ad.AnnData) -> None:
    plain = ExpressionPCA(20).fit(cells).transform(cells)
    assert same_share(plain, cells, "batch") > 0.8
    assert same_share(fitted(cells).embed(cells), cells, "batch") < 0.65


def test_rows_go_back_to_their_cells(cells: ad.AnnData) -> None:
    """Batches alternate in the file and are merged one after the other: mixed-up rows would lose the types."""
    assert same_share(fitted(cells).embed(cells), cells, "cell_type") > 0.6


def test_order_of_cells_and_genes_changes_nothing(cells: ad.AnnData) -> None:
    rng = np.random.default_rng(0)
    turned = cells[rng.permutation(cells.n_obs)][:, rng.permutation(cells.n_vars)].copy()
    np.testing.assert_allclose(fitted(turned).embed(cells), fitted(cells).embed(cells), atol=1e-5)


def test_same_seed_gives_the_same_embedding(cells: ad.AnnData) -> None:
    first, again = fitted(cells, seed=3).embed(cells), fitted(cells, seed=3).embed(cells)
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert first.shape == (cells.n_obs, 20)


def test_random_states_stay_as_they_were(cells: ad.AnnData) -> None:
    np.random.seed(11)
    random.seed(11)
    expected = np.random.random(), random.random()
    np.random.seed(11)
    random.seed(11)
    fitted(cells)
    assert (np.random.random(), random.random()) == expected


def test_rows_are_joined_by_name_and_input_is_left_alone(cells: ad.AnnData, capfd: pytest.CaptureFixture[str]) -> None:
    given = cells.copy()
    model = fitted(given)
    order = np.random.default_rng(0).permutation(cells.n_obs)[:100]
    np.testing.assert_array_equal(model.embed(cells[order]), model.embed(cells)[order])
    counts: Any = given.X
    assert (counts != cells.X).nnz == 0
    pd.testing.assert_frame_equal(given.obs, cells.obs)
    assert capfd.readouterr().out == ""


def test_labels_are_not_read(cells: ad.AnnData) -> None:
    blind = cells.copy()
    del blind.obs["cell_type"]
    np.testing.assert_array_equal(fitted(blind).embed(blind), fitted(cells).embed(cells))


def test_cells_that_were_not_in_fit_are_refused(cells: ad.AnnData) -> None:
    with pytest.raises(BadInput, match=r"Scanorama cannot embed cells it was not fitted on \(300 of 700"):
        fitted(cells[:400]).embed(cells)


@pytest.mark.parametrize(
    ("batches", "message"),
    [(None, "no column 'batch'"), (["a"] * 700, "at least 2 batches"), (["a", None] * 350, "missing for 350")],
)
def test_what_it_cannot_correct_for_is_said(cells: ad.AnnData, batches: list | None, message: str) -> None:
    given = cells.copy()
    given.obs = pd.DataFrame({} if batches is None else {"batch": batches}, index=cells.obs_names)
    with pytest.raises(BadInput, match=message):
        fitted(given)


def test_small_batches_and_few_cells_are_enough(cells: ad.AnnData) -> None:
    few = cells[:12].copy()
    assert fitted(few).embed(few).shape == (12, 12)
    lonely = cells[:101].copy()
    lonely.obs["batch"] = ["a"] * 100 + ["b"]
    assert np.isfinite(fitted(lonely).embed(lonely)).all()


def test_spec_is_what_the_class_does() -> None:
    (spec,) = bench_models()
    assert load_target(spec.target) is ScanoramaModel
    assert spec.gives == {Cap.EMBEDS_CELLS}
    assert not spec.inductive
    assert not spec.per_cell


def test_plugin_module_is_light() -> None:
    heavy = "{'numpy', 'pandas', 'anndata', 'sklearn', 'scanorama'}"
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import bench_scanorama.plugin; print(*({heavy} & {{*sys.modules}}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
