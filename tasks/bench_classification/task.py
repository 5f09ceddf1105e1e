"""The classification task: name the types of cells from groups that were not in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bench import answers
from bench.data.exams import hide, visible_cells
from bench.data.splits import random_keys, rank_within
from bench.errors import BadOutput
from bench.metrics.classification import classification_metrics
from bench.metrics.measure import Measured
from bench.tasks import Exam, MakeModel, Output, Score, Split, Truth
from bench_classification.controls import control_probabilities
from bench_classification.division import Division, divide
from bench_classification.plugin import TASK, ClassificationConfig

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

HEADLINE = "probabilities"
CURVE_METRICS = ("macro_f1", "accuracy")
"""What the few-shot curve shows."""
LISTED = 100
"""Held-out groups that a run names; more are counted."""


class Classification:
    """Holds out donors (else batches, else random cells) and asks for the types of their cells.

    Data that come with a split (role `split`) have one fold, `"published"`: its test cells are asked about.

    With up to 10 groups each is a fold, beyond that five folds of groups. A few-shot curve repeats the exam
    with all but k labels per type hidden: the cells stay, unlabelled, and each point is a fresh model.
    """

    def __init__(self, config: ClassificationConfig) -> None:
        self._config = config

    def folds(self, data: ad.AnnData) -> list[str]:
        """`"donor=1015"`, `"donor-fold-1"`, `"cells-1"` or `"published"`; raises `BadInput` where there is no exam."""
        return divide(data, self._config).folds()

    def split(self, data: ad.AnnData, fold: str, split_seed: int, *, label_aware: bool = False) -> tuple[Exam, Truth]:
        """Training cells carry labels and groups, test cells nothing; `label_aware` changes nothing here.

        `label_rank` of a training cell is its seeded random rank among the cells of its type: the k-shot
        samples. No model sees that column.
        """
        division = divide(data, self._config)
        test, groups = division.test(fold, split_seed)
        train = division.train(test, groups)
        order = np.argsort(random_keys(division.names, split_seed))  # the order of a file may tell the type
        asked, learned = order[test[order]], order[train[order]]
        labels = division.labels[asked].astype(str)
        seen = np.isin(labels, division.labels[learned][division.labelled[learned]].astype(str))
        parts = {
            "train": visible_cells(data, learned, _training_columns(division, learned, split_seed)),
            "test": visible_cells(data, asked),
        }
        notes = division.notes + _many(groups, division.by) + _unseen(labels, seen)
        split = Split(division.by, _sizes(division, learned, asked), groups[:LISTED], notes)
        rows = tuple(parts["test"].obs_names)
        return Exam(parts, rows, split), Truth(rows, _table(labels, seen, rows))

    def sit(self, make_model: MakeModel, exam: Exam) -> Output:
        """Train and ask once with all labels, and once with a fresh model for each point of the curve."""
        arrays, columns = {}, {}
        for shots in (None, *self._config.shots):
            model = make_model()
            model.fit(_training_part(exam.parts["train"], shots))
            answer = answers.probabilities("the model", model.predict(exam.parts["test"].copy()), exam.rows)
            name = HEADLINE if shots is None else f"{HEADLINE}@{shots}"
            arrays[name] = answer.to_numpy(dtype=np.float32)
            columns[name] = tuple(map(str, answer.columns))
        return Output(exam.rows, arrays, columns)

    def score(self, output: Output, truth: Truth) -> list[Score]:
        """All metrics with all labels, macro F1 and accuracy along the curve."""
        scores: list[Score] = []
        for array in output.arrays:
            shots = array.partition("@")[2]
            for one in _measure(output, truth, array):
                if not shots or one.metric in CURVE_METRICS:
                    part = {"shots": shots} if shots else {}
                    scores.append(Score(one.metric, TASK.version, one.value, one.n, one.units, one.unit_kind, part))
        return scores

    def controls(self, exam: Exam, truth: Truth, split_seed: int) -> dict[str, Output]:
        """Floors: the majority, draws from the training frequencies, the cell's total count. Ceiling: the truth."""
        answers = control_probabilities(exam, truth, split_seed)
        return {
            name: Output(exam.rows, {HEADLINE: values.astype(np.float32)}, {HEADLINE: classes})
            for name, (values, classes) in answers.items()
        }


def _training_columns(division: Division, learned: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    labels, labelled = division.labels[learned], division.labelled[learned]
    rank = np.zeros(len(learned), dtype=np.int64)
    rank[labelled] = rank_within(labels[labelled], division.names[learned][labelled], seed)
    columns = {"cell_type": hide(labels, labelled), "label_rank": rank}
    groups = division.tuning_groups
    return columns if groups is None else {**columns, "group": groups[learned]}


def _training_part(train: ad.AnnData, shots: int | None) -> ad.AnnData:
    """The training cells with at most `shots` labels per type, and without the ranks that choose them."""
    columns = {name: train.obs[name].to_numpy() for name in train.obs.columns if name != "label_rank"}
    if shots is not None:
        columns["cell_type"] = hide(columns["cell_type"], (train.obs["label_rank"] < shots).to_numpy())
    return visible_cells(train, np.arange(train.n_obs), columns)


def _sizes(division: Division, learned: np.ndarray, asked: np.ndarray) -> Mapping[str, int]:
    labelled = int(division.labelled[learned].sum())
    return {"train": labelled, "train_unlabelled": len(learned) - labelled, "test": len(asked)}


def _unseen(labels: np.ndarray, seen: np.ndarray) -> tuple[str, ...]:
    names = sorted(set(labels[~seen]))
    return (f"types that do not occur in training: {', '.join(names)}",) if names else ()


def _many(groups: tuple[str, ...], by: str) -> tuple[str, ...]:
    return (f"{len(groups):,} {by}s are held out; the first {LISTED} are listed",) if len(groups) > LISTED else ()


def _table(labels: np.ndarray, seen: np.ndarray, rows: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"cell_type": labels.astype(object), "seen": seen}, index=pd.Index(rows))


def _measure(output: Output, truth: Truth, array: str) -> list[Measured]:
    """All metrics of one array, with its rows joined to the truth by name."""
    position = {name: row for row, name in enumerate(output.rows)}
    if position.keys() != set(truth.rows):
        raise BadOutput(
            f"the {len(output.rows):,} rows of the output are not the {len(truth.rows):,} cells asked about."
        )
    values = output.arrays[array][[position[name] for name in truth.rows]]
    labels = truth.obs["cell_type"].to_numpy(dtype=object).astype(str)
    seen = set(labels[truth.obs["seen"].to_numpy(dtype=bool)])
    return classification_metrics(labels, values, output.columns[array], seen)
