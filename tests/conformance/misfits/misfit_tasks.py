"""The tasks of the misfits. `Purity`, `HeldOut` and `Naming` pass the kit; each other class breaks one promise."""

from __future__ import annotations

import dataclasses
import uuid

import anndata as ad
import numpy as np
import pandas as pd

from bench import transductive
from bench.data.exams import visible_cells
from bench.data.splits import random_keys
from bench.tasks import Exam, Output, Score, Split, Truth

EMBEDDING = transductive.EMBEDDING


class Purity:
    """Is the nearest cell of the same type?"""

    def __init__(self, config):
        self.config = config

    def folds(self, data):
        return ["all"]

    def order(self, data, seed):
        return np.argsort(random_keys(data.obs_names.to_numpy(dtype=str), seed))

    def visible(self, data, rows):
        return visible_cells(data, rows)

    def split(self, data, fold, split_seed, *, label_aware=False):
        rows = self.order(data, split_seed)
        cells = self.visible(data, rows)
        names = tuple(cells.obs_names)
        labels = pd.DataFrame({"cell_type": data.obs["cell_type"].to_numpy()[rows]}, index=list(names))
        return Exam({"cells": cells}, names, Split("none", {"cells": len(names)})), Truth(names, labels)

    def sit(self, make_model, exam):
        return transductive.embed_all(make_model, exam)

    def values(self, output, truth):
        return transductive.aligned(output, truth)

    def score(self, output, truth):
        x = self.values(output, truth)
        apart = np.linalg.norm(x[:, None] - x[None], axis=2)
        np.fill_diagonal(apart, np.inf)
        labels = truth.obs["cell_type"].to_numpy(dtype=str)
        return [Score("purity", "1", float((labels == labels[apart.argmin(axis=1)]).mean()), len(x))]

    def controls(self, exam, truth, split_seed):
        known = transductive.one_hot(truth.obs["cell_type"].to_numpy(dtype=object), 0.01)
        shuffled = np.random.default_rng(split_seed).permutation(known)
        return {
            "truth": Output(truth.rows, {EMBEDDING: known}),
            "shuffled": Output(truth.rows, {EMBEDDING: shuffled}),
        }


class HeldOut(Purity):
    """Learns from one half, is asked about the other."""

    def learned(self, n):
        return slice(n // 2, n)

    def split(self, data, fold, split_seed, *, label_aware=False):
        rows = self.order(data, split_seed)
        test = rows[: len(rows) // 2]
        labels = data.obs["cell_type"].to_numpy(dtype=object)
        train = rows[self.learned(len(rows))]
        parts = {"train": visible_cells(data, train, self.shown(labels, train)), "test": visible_cells(data, test)}
        names = tuple(parts["test"].obs_names)
        truth = Truth(names, pd.DataFrame({"cell_type": labels[test]}, index=list(names)))
        return Exam(parts, names, Split("cells", {"test": len(test)})), truth

    def shown(self, labels, rows):
        return {}

    def sit(self, make_model, exam):
        model = make_model()
        model.fit(exam.parts["train"].copy())
        return Output(exam.rows, {EMBEDDING: model.embed(exam.parts["test"].copy())})


class Naming(HeldOut):
    """Probabilities are the embedding."""

    def shown(self, labels, rows):
        return {"cell_type": labels[rows]}

    def sit(self, make_model, exam):
        model = make_model()
        model.fit(exam.parts["train"].copy())
        return Output(exam.rows, {EMBEDDING: model.predict(exam.parts["test"].copy()).to_numpy()})


class NewFolds(Purity):
    def folds(self, data):
        return [uuid.uuid4().hex]


class NoFolds(Purity):
    def folds(self, data):
        return []


class UnseededSplit(Purity):
    def order(self, data, seed):
        return np.random.default_rng().permutation(data.n_obs)


class OtherRows(Purity):
    def split(self, data, fold, split_seed, *, label_aware=False):
        exam, truth = super().split(data, fold, split_seed)
        return exam, dataclasses.replace(truth, rows=truth.rows[1:], obs=truth.obs.iloc[1:])


class WritesOnSource(Purity):
    def split(self, data, fold, split_seed, *, label_aware=False):
        data.obs["taken"] = True
        return super().split(data, fold, split_seed)


class WindowOnSource(Purity):
    """The exam's matrix is the dataset's own."""

    def visible(self, data, rows):
        cells = super().visible(data, rows)
        cells.X = data.X
        return cells


class LearnsAsked(HeldOut):
    """One part holds all cells, and another one only those that may be learned from."""

    def split(self, data, fold, split_seed, *, label_aware=False):
        exam, truth = super().split(data, fold, split_seed)
        whole = visible_cells(data, self.order(data, split_seed))
        return dataclasses.replace(exam, parts={**exam.parts, "whole": whole}), truth

    def sit(self, make_model, exam):
        return super().sit(make_model, dataclasses.replace(exam, parts={**exam.parts, "train": exam.parts["whole"]}))


class FileOrder(Purity):
    def order(self, data, seed):
        return np.arange(data.n_obs)


class Renamed(Purity):
    """Cells are called what they are."""

    def split(self, data, fold, split_seed, *, label_aware=False):
        named = data.copy()
        named.obs_names = [f"{t}-{n}" for t, n in zip(data.obs["cell_type"], data.obs_names, strict=True)]
        return super().split(named, fold, split_seed)


class CodedTruth(Purity):
    """Keeps numbers for labels, and shows the labels."""

    def visible(self, data, rows):
        return visible_cells(data, rows, {"cell_type": data.obs["cell_type"].to_numpy()[rows]})

    def split(self, data, fold, split_seed, *, label_aware=False):
        exam, truth = super().split(data, fold, split_seed)
        codes = pd.DataFrame({"code": pd.factorize(truth.obs["cell_type"], sort=True)[0]}, index=truth.obs.index)
        return exam, dataclasses.replace(truth, obs=codes)

    def sit(self, make_model, exam):
        cells = visible_cells(exam.parts["cells"], np.arange(len(exam.rows)))
        return transductive.embed_all(make_model, dataclasses.replace(exam, parts={"cells": cells}))

    def named(self, truth):
        return dataclasses.replace(truth, obs=truth.obs.assign(cell_type=truth.obs["code"].astype(str)))

    def score(self, output, truth):
        return super().score(output, self.named(truth))

    def controls(self, exam, truth, split_seed):
        return super().controls(exam, self.named(truth), split_seed)


class Unscored(Purity):
    def score(self, output, truth):
        return [dataclasses.replace(s, value=None) for s in super().score(output, truth)]


class TouchyScore(Purity):
    def score(self, output, truth):
        if self.config.power < 0:
            raise KeyError("power")
        return super().score(output, truth)


class Overlap(HeldOut):
    def learned(self, n):
        return slice(n // 4, n)


class Generous(Purity):
    """Shows all columns but the labels themselves."""

    def visible(self, data, rows):
        others = [c for c in data.obs if c != "cell_type"]
        return visible_cells(data, rows, {c: data.obs[c].to_numpy()[rows] for c in others})


class GenerousCorners(Purity):
    """Hides the labels, and hands over the rest of the object."""

    def visible(self, data, rows):
        cells = data[rows].copy()
        cells.obs = cells.obs[[]]
        return cells

    def sit(self, make_model, exam):
        cells = exam.parts["cells"]
        bare = visible_cells(cells, np.arange(cells.n_obs))
        return transductive.embed_all(make_model, dataclasses.replace(exam, parts={"cells": bare}))


class SortedByType(Purity):
    def order(self, data, seed):
        return np.argsort(data.obs["cell_type"].to_numpy(dtype=str), kind="stable")


class ShowsLabels(Purity):
    def visible(self, data, rows):
        return visible_cells(data, rows, {"cell_type": data.obs["cell_type"].to_numpy()[rows]})

    def sit(self, make_model, exam):
        cells = visible_cells(exam.parts["cells"], np.arange(len(exam.rows)))
        return transductive.embed_all(make_model, dataclasses.replace(exam, parts={"cells": cells}))


class HalfAnAnswer(Purity):
    def sit(self, make_model, exam):
        whole = super().sit(make_model, exam)
        half = len(whole.rows) // 2
        return Output(whole.rows[:half], {EMBEDDING: whole.arrays[EMBEDDING][:half]})


class Whispers(Purity):
    """Keeps the labels and hands them to the model."""

    def split(self, data, fold, split_seed, *, label_aware=False):
        exam, truth = super().split(data, fold, split_seed)
        self.labels = truth.obs["cell_type"]
        return exam, truth

    def sit(self, make_model, exam):
        cells: ad.AnnData = exam.parts["cells"].copy()
        cells.obs["hint"] = self.labels
        model = make_model()
        model.fit(cells)
        return Output(exam.rows, {EMBEDDING: model.embed(cells)})


class UndeclaredMetric(Purity):
    def score(self, output, truth):
        return [*super().score(output, truth), Score("beauty", "1", 0.5, 1)]


class OutOfBounds(Purity):
    def score(self, output, truth):
        return [dataclasses.replace(s, value=s.value * 100) for s in super().score(output, truth)]


class NanScore(Purity):
    """NaN for what a model answers; controls are scored."""

    def score(self, output, truth):
        plain = output.arrays[EMBEDDING].shape[1] == 10
        return [dataclasses.replace(s, value=float("nan") if plain else s.value) for s in super().score(output, truth)]


class OtherVersion(Purity):
    def score(self, output, truth):
        return [dataclasses.replace(s, version="2") for s in super().score(output, truth)]


class ForgetsMetric(Purity):
    def score(self, output, truth):
        return [dataclasses.replace(s, part={"resolution": "best"}) for s in super().score(output, truth)]


class Moody(Purity):
    def score(self, output, truth):
        mood = np.random.default_rng().uniform(0, 1e-3)
        return [dataclasses.replace(s, value=s.value * (1 - mood)) for s in super().score(output, truth)]


class Remembers(Purity):
    """Scores by what it kept of the split, so a stored answer cannot be scored again."""

    def split(self, data, fold, split_seed, *, label_aware=False):
        exam, self.truth = super().split(data, fold, split_seed)
        return exam, self.truth

    def score(self, output, truth):
        return super().score(output, self.truth)


class ByPosition(Purity):
    def values(self, output, truth):
        return output.arrays[EMBEDDING]


class LonelyFloor(Purity):
    def controls(self, exam, truth, split_seed):
        return {"shuffled": super().controls(exam, truth, split_seed)["shuffled"]}


class UpsideDown(Purity):
    def controls(self, exam, truth, split_seed):
        made = super().controls(exam, truth, split_seed)
        return {"truth": made["shuffled"], "shuffled": made["truth"]}
