"""The clustering task: labels compared with clusters that were made without them."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from bench.data.features import ExpressionPCA
from bench.errors import BadInput
from bench.tasks import Output
from bench_clustering.plugin import TASK


class PCA:
    """Principal components."""

    def fit(self, cells: ad.AnnData) -> None:
        self._pca = ExpressionPCA(20).fit(cells)

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        return self._pca.transform(cells)


def test_the_headline_is_a_fixed_resolution_with_the_oracle_beside_it(blood, make_task) -> None:
    task = make_task(TASK)
    exam, truth = task.split(blood, "all", 0)
    value = {(s.metric, tuple(s.part.items())): s.value for s in task.score(task.sit(PCA, exam), truth)}
    for metric in ("avg_bio", "nmi", "ari", "asw"):
        assert 0.3 < value[metric, ()] < 1
    assert value["nmi", (("resolution", "best"),)] >= value["nmi", ()]
    assert ("nmi", (("clustering", "kmeans"),)) in value
    average = np.mean([value["nmi", ()], value["ari", ()], value["asw", ()]])
    assert value["avg_bio", ()] == pytest.approx(average)


def test_silhouettes_are_given_by_class(blood, make_task) -> None:
    task = make_task(TASK)
    exam, truth = task.split(blood, "all", 0)
    asw = next(s for s in task.score(task.sit(PCA, exam), truth) if s.metric == "asw")
    assert asw.unit_kind == "class"
    assert set(asw.units) == set(blood.obs["cell_type"].astype(str))


def test_controls_mark_floor_and_ceiling(blood, make_task) -> None:
    task = make_task(TASK)
    exam, truth = task.split(blood, "all", 0)
    controls = task.controls(exam, truth, 0)
    assert set(controls) == {"random-embedding", "shuffled-labels", "one-hot-labels"}
    scores = {n: {s.metric: s.value for s in task.score(o, truth) if not s.part} for n, o in controls.items()}
    assert scores["one-hot-labels"]["avg_bio"] > 0.98
    for floor in (TASK.floor, "shuffled-labels"):
        assert abs(scores[floor]["ari"]) < 0.02
        assert abs(scores[floor]["asw"] - 0.5) < 0.1


def test_answers_are_joined_by_name(blood, make_task) -> None:
    task = make_task(TASK)
    exam, truth = task.split(blood, "all", 0)
    right = task.controls(exam, truth, 0)["one-hot-labels"]
    backwards = Output(right.rows[::-1], {"embedding": right.arrays["embedding"][::-1]})
    assert task.score(backwards, truth) == task.score(right, truth)


def test_labels_shown_to_a_model_are_not_scored(blood, make_task) -> None:
    task = make_task(TASK)
    exam, truth = task.split(blood, "all", 0, label_aware=True)
    scores = task.score(task.sit(PCA, exam), truth)
    assert {score.n for score in scores} == {int(truth.obs["scored"].sum())}
    assert any("labels of" in note for note in exam.split.notes)


def test_large_data_is_subsampled_by_type_and_says_so(blood, make_task) -> None:
    task = make_task(TASK, max_cells=200)
    exam, truth = task.split(blood, "all", 0)
    assert exam.parts["cells"].n_obs == len(truth.rows) == exam.split.sizes["cells"]
    assert 200 <= len(truth.rows) <= 205
    assert "of 700 cells, sampled by type" in exam.split.notes[0]
    assert set(truth.obs["cell_type"]) == set(blood.obs["cell_type"].astype(str))
    assert task.split(blood, "all", 1)[0].rows != exam.rows


def test_cells_without_a_label_are_embedded_but_not_scored(blood, make_task) -> None:
    blood.obs["cell_type"] = blood.obs["cell_type"].astype(object).where(np.arange(700) % 5 > 0)
    task = make_task(TASK)
    exam, truth = task.split(blood, "all", 0)
    assert len(exam.rows) == 700
    assert {score.n for score in task.score(task.sit(PCA, exam), truth)} == {560}


def test_data_that_cannot_be_examined_is_refused(blood, make_task) -> None:
    task = make_task(TASK)
    with pytest.raises(BadInput, match="at least 50 cells, this dataset has 2"):
        task.folds(blood[:2].copy())
    blood.obs["cell_type"] = "T cell"
    with pytest.raises(BadInput, match=r"at least 2 types in 'cell_type', found 1 \('T cell'\)"):
        task.folds(blood)
    with pytest.raises(BadInput, match="no fold 'donor=1'"):
        task.split(blood, "donor=1", 0)


@pytest.mark.slow
def test_more_than_8192_real_cells(shared: Path, make_task) -> None:
    cells = ad.read_h5ad(shared / "data" / "pbmc_kang_ctrl_8donors.h5ad")
    task = make_task(TASK, max_cells=0)
    exam, truth = task.split(cells, "all", 0)
    scores = {s.metric: s for s in task.score(task.sit(PCA, exam), truth) if not s.part}
    assert scores["nmi"].n == 12261
    assert 0.6 < scores["nmi"].value < 0.9
    assert scores["asw"].value == pytest.approx(0.58, abs=0.04)
