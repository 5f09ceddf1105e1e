"""The integration task: all scIB metrics on a leak-free exam, with the controls of openproblems."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from bench.data.features import ExpressionPCA
from bench.errors import BadInput
from bench.metrics.engine import engine
from bench_integration.plugin import TASK
from bench_integration.task import confounding


class PCA:
    """Principal components, as wide as the unintegrated ones."""

    def fit(self, cells: ad.AnnData) -> None:
        self._pca = ExpressionPCA(50).fit(cells)

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        return self._pca.transform(cells)


def test_all_metrics_are_scored_and_carry_the_engine(blood, make_task) -> None:
    task = make_task(TASK)
    exam, truth = task.split(blood, "all", 0)
    scores = task.score(task.sit(PCA, exam), truth)
    assert [s.metric for s in scores] == [metric.name for metric in TASK.metrics]
    assert {s.version for s in scores} == {engine()} == {metric.version for metric in TASK.metrics}
    assert all(s.value is not None and not s.part for s in scores)


def test_principal_components_score_as_no_integration(blood, make_task) -> None:
    task = make_task(TASK)
    exam, truth = task.split(blood, "all", 0)
    own = task.score(task.sit(PCA, exam), truth)
    assert own == task.score(task.controls(exam, truth, 0)["no-integration"], truth)


def test_controls_fail_where_they_should(blood, make_task) -> None:
    task = make_task(TASK)
    exam, truth = task.split(blood, "all", 0)
    controls = task.controls(exam, truth, 0)
    assert set(controls) == {
        "no-integration",
        "shuffle",
        "shuffle-by-batch",
        "shuffle-by-cell-type",
        "one-hot-labels",
        "one-hot-labels-jittered",
    }
    score = {n: {s.metric: s.value for s in task.score(o, truth)} for n, o in controls.items()}
    assert score["shuffle"]["ari_kmeans"] < 0.05
    assert score["shuffle"]["ilisi"] > 0.8
    assert score["shuffle-by-batch"]["ilisi"] == pytest.approx(score["no-integration"]["ilisi"], abs=0.02)
    assert score["shuffle-by-cell-type"]["clisi"] == pytest.approx(score["no-integration"]["clisi"], abs=0.02)
    for name in ("one-hot-labels", "one-hot-labels-jittered"):
        assert min(score[name][m] for m in ("nmi_kmeans", "silhouette_label", "clisi", "ilisi", "kbet")) > 0.9


def test_labels_shown_to_a_model_are_not_scored(blood, make_task) -> None:
    task = make_task(TASK)
    exam, truth = task.split(blood, "all", 0, label_aware=True)
    counts = {s.metric: s.n for s in task.score(task.sit(PCA, exam), truth)}
    assert counts["ilisi"] == counts["pcr_comparison"] == 700
    assert counts["clisi"] == counts["nmi_leiden"] == int(truth.obs["scored"].sum()) < 400


def test_confounded_batches_are_noted(blood, make_task) -> None:
    assert confounding(blood) == []
    types = blood.obs["cell_type"].astype(str)
    blood.obs["batch"] = np.where(types == types.iloc[0], "a", blood.obs["batch"].astype(str))
    assert confounding(blood) == [f"1 of 10 types occur in one batch only: {types.iloc[0]}"]
    blood.obs["batch"] = np.where(types < "CD4", "a", "b")
    exam, _ = make_task(TASK).split(blood, "all", 0)
    assert exam.split.notes[0].startswith("confounded: every type occurs in one batch only")


def test_donors_that_are_batches_are_noted(blood, make_task) -> None:
    blood.obs["donor"] = np.resize(["d1", "d2", "d3"], blood.n_obs)
    assert confounding(blood) == []
    blood.obs["donor"] = blood.obs["batch"].map({"a": "d1", "b": "d2"}).astype(str)
    assert confounding(blood) == [
        "donor and batch coincide, so mixing batches also removes what is different between donors"
    ]


def test_data_that_cannot_be_examined_is_refused(blood, make_task) -> None:
    task = make_task(TASK)
    with pytest.raises(BadInput, match="at least 100 cells, this dataset has 99"):
        task.folds(blood[::7][:99].copy())
    one = blood.copy()
    one.obs["batch"] = "x"
    with pytest.raises(BadInput, match=r"at least 2 batches, found 1 \('x'\).*--obs batch=COLUMN"):
        task.folds(one)
    one.obs["batch"] = [None if i == 3 else "ab"[i % 2] for i in range(700)]
    with pytest.raises(BadInput, match="batch is missing for 1 cells"):
        task.folds(one)
    del one.obs["batch"]
    with pytest.raises(BadInput, match="no column 'batch'"):
        task.folds(one)
    blood.obs["cell_type"] = "T cell"
    with pytest.raises(BadInput, match="at least 2 types"):
        task.folds(blood)


def test_the_spec_can_be_read_without_heavy_imports() -> None:
    import subprocess
    import sys

    code = (
        "import sys, bench_integration.plugin, bench_clustering.plugin, bench_classification.plugin;"
        "heavy = {'numpy', 'pandas', 'anndata', 'scanpy', 'sklearn', 'torch', 'jax', 'scipy'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    paths = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=paths, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
