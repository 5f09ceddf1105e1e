"""The classification task: whole donors held out, a few-shot curve, errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from bench.errors import BadInput, BadOutput
from bench.heads import LogisticHead, validation_cut
from bench.tasks import Output
from bench_classification import probes
from bench_classification.plugin import TASK, ClassificationConfig


class FirstGenes:
    """An honest embedder: log counts of all genes."""

    def fit(self, cells: ad.AnnData) -> None:
        """Nothing to learn."""

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        return np.log1p(cells.X.toarray()).astype(np.float32)


def probed(name: str) -> Callable:
    return lambda: getattr(probes, name)(FirstGenes, config=ClassificationConfig(), seed=0)


def test_every_labelled_cell_is_asked_about_once_and_no_group_is_on_both_sides(donors, make_task) -> None:
    task = make_task(TASK)
    folds = task.folds(donors)
    assert folds == ["donor=d0", "donor=d1", "donor=d2", "donor=d3"]
    asked: list[str] = []
    for fold in folds:
        exam, truth = task.split(donors, fold, 0)
        asked += exam.rows
        held = set(donors.obs.loc[list(exam.rows), "donor"])
        assert held == set(exam.split.held_out) == {fold.removeprefix("donor=")}
        assert not held & set(exam.parts["train"].obs["group"])
        assert (exam.split.by, exam.split.optimistic) == ("donor", False)
        assert list(truth.obs["cell_type"]) == list(donors.obs.loc[list(truth.rows), "cell_type"].astype(str))
    assert sorted(asked) == sorted(donors.obs_names)


def test_batches_are_held_out_where_there_are_no_donors(blood, make_task) -> None:
    task = make_task(TASK)
    assert task.folds(blood) == ["batch=a", "batch=b"]
    assert task.split(blood, "batch=b", 0)[0].split.by == "batch"


def test_random_cells_are_held_out_as_a_last_resort_and_called_optimistic(blood, make_task) -> None:
    del blood.obs["batch"]
    task = make_task(TASK)
    folds = task.folds(blood)
    assert folds == [f"cells-{i}" for i in range(1, 6)]
    exams = [task.split(blood, fold, 0)[0] for fold in folds]
    assert sorted(name for exam in exams for name in exam.rows) == sorted(blood.obs_names)
    assert all(exam.split.optimistic and "optimistic" in exam.split.notes[0] for exam in exams)
    assert all("group" not in exam.parts["train"].obs for exam in exams)


def test_unlabelled_cells_are_trained_on_but_never_asked_about(donors, make_task) -> None:
    donors.obs["cell_type"] = donors.obs["cell_type"].astype(object).where(np.arange(700) % 7 > 0)
    task = make_task(TASK)
    exam, _ = task.split(donors, "donor=d1", 0)
    assert donors.obs.loc[list(exam.rows), "cell_type"].notna().all()
    train = exam.parts["train"]
    assert exam.split.sizes["train_unlabelled"] == train.obs["cell_type"].isna().sum() > 0
    assert not (donors.obs.loc[train.obs_names, "donor"] == "d1").any()


def test_a_type_only_the_held_out_donor_has_counts_zero(donors, make_task) -> None:
    only = donors.obs["cell_type"] == "CD34+"
    donors.obs.loc[only, "donor"] = "d2"
    task = make_task(TASK, shots=(5,))
    exam, truth = task.split(donors, "donor=d2", 0)
    assert "types that do not occur in training: CD34+" in exam.split.notes
    scores = {s.metric: s for s in task.score(task.sit(probed("logreg"), exam), truth) if not s.part}
    assert scores["macro_f1"].units["CD34+"] == 0
    assert "CD34+" not in scores["macro_f1_seen"].units
    assert scores["macro_f1"].value < scores["macro_f1_seen"].value


@pytest.mark.parametrize("probe", ["logreg", "knn", "mlp"])
def test_probes_learn_and_more_labels_help(probe: str, donors, make_task) -> None:
    task = make_task(TASK, shots=(1,))
    exam, truth = task.split(donors, "donor=d0", 0)
    scores = task.score(task.sit(probed(probe), exam), truth)
    value = {(s.metric, s.part.get("shots", "all")): s.value for s in scores}
    assert value["accuracy", "all"] > 0.6
    assert value["accuracy", "all"] > value["accuracy", "1"]
    assert {metric for metric, shots in value if shots == "1"} == {"macro_f1", "accuracy"}
    assert {metric for metric, shots in value if shots == "all"} == {metric.name for metric in TASK.metrics}


def test_a_probe_learns_from_labelled_cells_only(donors) -> None:
    cells = donors[:, :50].copy()
    cells.obs["cell_type"] = cells.obs["cell_type"].astype(object).where(np.arange(cells.n_obs) % 2 == 0)
    cells.obs["group"] = cells.obs["donor"]
    probe = probes.logreg(FirstGenes, config=ClassificationConfig(), seed=0)
    probe.fit(cells)
    half = cells[::2]
    head = LogisticHead(0)
    head.fit(FirstGenes().embed(half), np.array(half.obs["cell_type"]), np.array(half.obs["group"]))
    found = probe.predict(cells)
    assert list(found.index) == list(cells.obs_names)
    np.testing.assert_allclose(found.to_numpy(), head.predict(FirstGenes().embed(cells)))


def test_controls_mark_floor_and_ceiling(donors, make_task) -> None:
    task = make_task(TASK)
    exam, truth = task.split(donors, "donor=d0", 0)
    scores = {n: {s.metric: s.value for s in task.score(o, truth)} for n, o in task.controls(exam, truth, 0).items()}
    assert set(scores) == {"majority", "stratified-random", "total-counts", "truth"}
    assert {TASK.floor, TASK.ceiling} <= set(scores)
    assert scores["truth"]["macro_f1"] == scores["truth"]["accuracy"] == 1
    assert scores["majority"]["macro_f1"] < 0.1
    assert scores["majority"]["accuracy"] > scores["stratified-random"]["accuracy"]
    assert scores["total-counts"]["log_loss"] < scores["majority"]["log_loss"]


def test_answers_are_joined_by_name(donors, make_task) -> None:
    task = make_task(TASK)
    exam, truth = task.split(donors, "donor=d0", 0)
    right = task.controls(exam, truth, 0)["truth"]
    order = np.random.default_rng(0).permutation(len(right.rows))
    shuffled = Output(
        tuple(right.rows[i] for i in order), {k: v[order] for k, v in right.arrays.items()}, right.columns
    )
    assert task.score(shuffled, truth) == task.score(right, truth)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frame: frame.iloc[1:], "rows whose names are not"),
        (lambda frame: frame * 2, "sum to 1"),
        (lambda frame: frame * np.nan, "NaN or Inf"),
        (lambda frame: frame.set_axis(["same"] * frame.shape[1], axis=1), "named once"),
    ],
)
def test_an_answer_that_is_none_is_refused(spoil: Callable, message: str, donors, make_task) -> None:
    class Spoiled(probes.Probe):
        def predict(self, cells: ad.AnnData) -> pd.DataFrame:
            return spoil(super().predict(cells))

    task = make_task(TASK)
    exam, _ = task.split(donors, "donor=d0", 0)
    with pytest.raises(BadOutput, match=message):
        task.sit(lambda: Spoiled(FirstGenes, LogisticHead(0)), exam)


def test_data_that_cannot_be_examined_is_refused_with_the_way_out(blood, make_task) -> None:
    task = make_task(TASK)
    one = blood.copy()
    one.obs["cell_type"] = "T cell"
    with pytest.raises(BadInput, match=r"at least 2 types in 'cell_type', found 1 \('T cell'\)"):
        task.folds(one)
    with pytest.raises(BadInput, match="at least 50 labelled cells, this dataset has 40"):
        task.folds(blood[np.random.default_rng(0).permutation(700)[:40]].copy())
    nameless = blood.copy()
    del nameless.obs["cell_type"]
    with pytest.raises(BadInput, match="no column 'cell_type'"):
        task.folds(nameless)
    with pytest.raises(BadInput, match="unknown fold"):
        task.split(blood, "batch=c", 0)


def test_types_too_rare_for_random_folds_are_named_and_can_be_left_out(blood, make_task) -> None:
    del blood.obs["batch"]
    labels = blood.obs["cell_type"].astype(object)
    labels.iloc[:3] = "rare"
    blood.obs["cell_type"] = labels
    with pytest.raises(BadInput, match=r"'rare' \(3\).*--task-set min_class_size=5"):
        make_task(TASK).folds(blood)
    task = make_task(TASK, min_class_size=5)
    exam, truth = task.split(blood, task.folds(blood)[0], 0)
    assert "rare" not in set(truth.obs["cell_type"]) | set(exam.parts["train"].obs["cell_type"])
    assert any("left out as too small: rare" in note for note in exam.split.notes)


@pytest.mark.slow
def test_blood_of_an_unseen_donor(shared: Path, make_task) -> None:
    """6,131 cells of 8 donors: logistic regression on all genes recognises most cells of another donor."""
    cells = ad.read_h5ad(shared / "data" / "pbmc_kang_ctrl_8donors.h5ad")[::2].copy()
    task = make_task(TASK, shots=(10,))
    folds = task.folds(cells)
    assert len(folds) == 8
    exam, truth = task.split(cells, folds[0], 0)
    scores = {(s.metric, s.part.get("shots")): s.value for s in task.score(task.sit(probed("logreg"), exam), truth)}
    assert scores["accuracy", None] > 0.85
    assert scores["macro_f1", None] > 0.75
    assert scores["accuracy", None] > scores["accuracy", "10"] > 0.5


def published(donors: ad.AnnData, **parts: str) -> ad.AnnData:
    """The cells with a split by donor: `d0="train"` and so on."""
    donors.obs["split"] = pd.Series([parts[donor] for donor in donors.obs["donor"]], index=donors.obs_names)
    return donors


def test_a_published_split_is_the_one_fold(donors, make_task) -> None:
    data = published(donors, d0="train", d1="train", d2="val", d3="test")
    task = make_task(TASK)
    assert task.folds(data) == ["published"]
    exam, truth = task.split(data, "published", 0)
    assert set(data.obs.loc[list(exam.rows), "split"]) == {"test"}
    assert len(exam.rows) == (data.obs["split"] == "test").sum()
    assert set(data.obs.loc[exam.parts["train"].obs_names, "split"]) == {"train", "val"}
    assert (exam.split.by, exam.split.held_out, exam.split.optimistic) == ("donor", ("d3",), False)
    assert "split as published" in exam.split.notes
    assert list(truth.obs["cell_type"]) == list(data.obs.loc[list(truth.rows), "cell_type"].astype(str))


def test_models_tune_on_the_published_validation_cells(donors, make_task) -> None:
    data = published(donors, d0="train", d1="train", d2="val", d3="test")
    train = make_task(TASK).split(data, "published", 0)[0].parts["train"]
    assert list(train.obs["group"]) == list(data.obs.loc[train.obs_names, "split"])
    groups = np.array(train.obs["group"].astype(str))
    cut = validation_cut(np.array(train.obs["cell_type"].astype(str)), groups, seed=0)
    assert cut.any()
    assert set(groups[cut]) == {"val"}


def test_too_few_validation_cells_are_train_cells_like_others(donors, make_task) -> None:
    data = published(donors, d0="train", d1="train", d2="train", d3="test")
    first = data.obs_names[(data.obs["split"] == "train").to_numpy()][:20]
    data.obs.loc[first, "split"] = "val"
    exam, _ = make_task(TASK).split(data, "published", 0)
    assert set(exam.parts["train"].obs["group"]) == {"d0", "d1", "d2"}
    assert set(first) <= set(exam.parts["train"].obs_names)
    assert any("train cells like others" in note for note in exam.split.notes)


def test_without_validation_cells_models_tune_by_donor(donors, make_task) -> None:
    data = published(donors, d0="train", d1="train", d2="train", d3="test")
    exam, _ = make_task(TASK).split(data, "published", 0)
    assert set(exam.parts["train"].obs["group"]) == {"d0", "d1", "d2"}
    assert all("tune" not in note for note in exam.split.notes)


def test_a_split_through_donors_is_called_optimistic_and_one_through_batches_is_not_by_donor(donors, make_task) -> None:
    words = np.where(np.arange(donors.n_obs) % 5 == 0, "test", "train")
    donors.obs["split"] = words
    exam, _ = make_task(TASK).split(donors, "published", 0)
    assert (exam.split.by, exam.split.held_out, exam.split.optimistic) == ("cells", (), True)
    assert any(note.startswith("optimistic: test cells share donors") for note in exam.split.notes)
    donors.obs["batch"] = np.where(words == "test", "late", "early")
    exam, _ = make_task(TASK).split(donors, "published", 0)
    assert (exam.split.by, exam.split.held_out) == ("batch", ("late",))


def test_cells_in_no_part_are_on_neither_side(donors, make_task) -> None:
    data = published(donors, d0="train", d1="train", d2="left out", d3="test")
    data.obs["split"] = data.obs["split"].where(data.obs["split"] != "left out")
    exam, _ = make_task(TASK).split(data, "published", 0)
    everyone = {*exam.rows, *exam.parts["train"].obs_names}
    assert not everyone & set(data.obs_names[data.obs["donor"] == "d2"])
    assert any("cells in no part of the split are left out" in note for note in exam.split.notes)


def test_many_held_out_donors_are_counted_and_some_are_listed(blood, make_task) -> None:
    blood.obs["donor"] = [f"p{k % 350:03d}" for k in range(blood.n_obs)]
    blood.obs["split"] = np.where(np.arange(blood.n_obs) % 350 < 120, "test", "train")
    exam, _ = make_task(TASK).split(blood, "published", 0)
    assert len(exam.split.held_out) == 100
    assert "120 donors are held out; the first 100 are listed" in exam.split.notes


def test_no_model_sees_the_split(donors, make_task) -> None:
    data = published(donors, d0="train", d1="train", d2="train", d3="test")
    exam, _ = make_task(TASK).split(data, "published", 0)
    assert list(exam.parts["test"].obs) == []
    assert set(exam.parts["train"].obs) == {"cell_type", "label_rank", "group"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "holdout"), r"must say train, val, test; it also says 'holdout'\..*--obs split="),
        (("train", "val"), r"no labelled cell to ask about \(test\)"),
        (("test", "test"), r"no labelled cell to learn from \(train\)"),
    ],
)
def test_a_split_that_is_none_is_refused(words: tuple, message: str, donors, make_task) -> None:
    donors.obs["split"] = np.where(np.arange(donors.n_obs) % 2, *words)
    with pytest.raises(BadInput, match=message):
        make_task(TASK).folds(donors)


@pytest.mark.slow
def test_a_cheating_model_gains_nothing_from_a_published_split_of_real_donors(shared: Path, make_task) -> None:
    """Kang's 8 donors, 5 / 1 / 2: a model that knows every cell it has seen, by name and counts, is at chance."""
    cells = ad.read_h5ad(shared / "data" / "pbmc_kang_ctrl_8donors.h5ad")[1::2].copy()
    names = sorted(cells.obs["donor"].astype(str).unique())
    part = dict(zip(names, ["train"] * 5 + ["val"] + ["test"] * 2, strict=True))
    cells.obs["split"] = cells.obs["donor"].astype(str).map(part)

    class Remembers:
        """Looks a cell up among the training cells: by its name, else by its exact counts, else guesses."""

        def fit(self, seen: ad.AnnData) -> None:
            labels = seen.obs["cell_type"].astype(str)
            self.classes = sorted(set(labels))
            self.by_name = dict(zip(seen.obs_names, labels, strict=True))
            self.by_counts = {row.tobytes(): t for row, t in zip(_rows(seen), labels, strict=True)}
            self.guess = labels.value_counts().idxmax()

        def predict(self, asked: ad.AnnData) -> pd.DataFrame:
            found = [
                self.by_name.get(name) or self.by_counts.get(row.tobytes()) or self.guess
                for name, row in zip(asked.obs_names, _rows(asked), strict=True)
            ]
            values = np.array([[t == c for c in self.classes] for t in found], dtype=float)
            return pd.DataFrame(values, index=asked.obs_names, columns=self.classes)

    task = make_task(TASK, shots=(5,))
    exam, truth = task.split(cells, "published", 0)
    assert set(exam.split.held_out) == set(names[-2:])
    value = {s.metric: s.value for s in task.score(task.sit(Remembers, exam), truth) if not s.part}
    floor = {s.metric: s.value for s in task.score(task.controls(exam, truth, 0)["majority"], truth)}
    assert value["accuracy"] == pytest.approx(floor["accuracy"], abs=0.01)
    honest = {s.metric: s.value for s in task.score(task.sit(probed("logreg"), exam), truth) if not s.part}
    assert honest["accuracy"] > 0.85


def _rows(cells: ad.AnnData) -> np.ndarray:
    return np.ascontiguousarray(cells.X.toarray())
