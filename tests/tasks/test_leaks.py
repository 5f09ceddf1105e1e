"""No way around the exam: a model that searches everything it is given for the answers finds none.

The data carries the type of every cell in obs, uns, obsm, layers, obsp, var and raw, and is sorted by type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from bench.tasks import Exam, Score
from bench_classification.plugin import TASK as CLASSIFICATION
from bench_clustering.plugin import TASK as CLUSTERING
from bench_integration.plugin import TASK as INTEGRATION


def contents(cells: ad.AnnData) -> Iterator[tuple[str, Any]]:
    """Everything reachable from an AnnData beside its counts and names."""
    for place in ("obs", "var"):
        for column in getattr(cells, place):
            yield f"{place}[{column}]", getattr(cells, place)[column].to_numpy()
    for place in ("layers", "obsm", "varm", "obsp", "varp", "uns"):
        for key, value in getattr(cells, place).items():
            yield f"{place}[{key}]", value
    if cells.raw is not None:
        yield "raw", cells.raw
    if cells.is_view:
        yield "parent", cells._adata_ref
    for part in ("data", "indices", "indptr"):
        own = getattr(cells.X, part)
        if own.base is not None and own.base.nbytes > own.nbytes:
            yield f"X.{part}.base", own.base


class Cheat:
    """Takes any column that looks like an answer, else trusts that the cells are sorted by type."""

    def __init__(self, types: set[str]) -> None:
        self._types = types

    def fit(self, cells: ad.AnnData) -> None:
        self._shares = cells.obs["cell_type"].value_counts(normalize=True) if "cell_type" in cells.obs else None

    def answer(self, cells: ad.AnnData) -> np.ndarray:
        for _, found in contents(cells):
            values = np.asarray(found, dtype=object) if isinstance(found, np.ndarray) else np.empty(0)
            if values.ndim == 1 and len(values) == cells.n_obs and set(map(str, values)) <= self._types:
                return values.astype(str)
        return self._by_place(cells.n_obs)

    def _by_place(self, n: int) -> np.ndarray:
        names = np.array(sorted(self._types))
        if self._shares is None:
            return names[np.arange(n) * len(names) // n]
        ends = (self._shares.reindex(names).fillna(0).cumsum() * n).to_numpy()
        return names[np.minimum(np.searchsorted(ends, np.arange(n), side="right"), len(names) - 1)]

    def predict(self, cells: ad.AnnData) -> pd.DataFrame:
        names = sorted(self._types)
        values = (self.answer(cells)[:, None] == np.array(names)).astype(float)
        return pd.DataFrame(values, index=cells.obs_names, columns=names)

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        return self.predict(cells).to_numpy() + np.random.default_rng(0).normal(
            0, 0.01, (cells.n_obs, len(self._types))
        )


def headline(scores: list[Score], metric: str) -> float:
    return next(score.value for score in scores if score.metric == metric and not score.part)


def bytes_of(cells: ad.AnnData) -> tuple[Any, ...]:
    """Content of cells, for comparison bit by bit."""
    obs = tuple((c, tuple(map(str, cells.obs[c]))) for c in cells.obs)
    var = tuple((c, tuple(cells.var[c])) for c in cells.var)
    arrays = tuple(getattr(cells.X, part).tobytes() for part in ("data", "indices", "indptr"))
    return tuple(cells.obs_names), tuple(cells.var_names), obs, var, arrays


TASKS = {
    "classification": (CLASSIFICATION, "macro_f1", {"test": set()}, {"shots": (5,)}),
    "clustering": (CLUSTERING, "nmi", {"cells": set()}, {}),
    "integration": (INTEGRATION, "nmi_kmeans", {"cells": {"batch"}}, {}),
}


@pytest.fixture(params=TASKS)
def examined(
    request: pytest.FixtureRequest, blood: ad.AnnData, hide_labels_everywhere: Callable, make_task: Callable
) -> tuple[Any, ad.AnnData, str, dict[str, set[str]]]:
    """A task, data that carries its labels everywhere, the metric to watch, and the columns each part may show."""
    spec, metric, allowed, options = TASKS[request.param]
    return make_task(spec, **options), hide_labels_everywhere(blood), metric, allowed


def test_parts_hold_the_listed_content_and_nothing_else(examined: tuple) -> None:
    task, data, _, allowed = examined
    exam, _ = task.split(data, task.folds(data)[0], 0)
    for name, columns in allowed.items():
        cells = exam.parts[name]
        assert set(cells.obs.columns) == columns
        found = {place for place, _ in contents(cells)}
        assert found <= {f"obs[{c}]" for c in columns} | {
            f"var[{c}]" for c in ("gene_symbol", "ensembl_id", "feature_types")
        }
        assert not np.shares_memory(cells.X.data, data.X.data)


def test_a_model_that_searches_for_answers_gains_nothing(examined: tuple) -> None:
    task, data, metric, _ = examined
    types = set(data.obs["cell_type"].astype(str))
    exam, truth = task.split(data, task.folds(data)[0], 0)
    score = headline(task.score(task.sit(lambda: Cheat(types), exam), truth), metric)
    assert score < 0.2


def test_the_search_would_succeed_on_a_careless_exam(blood: ad.AnnData, hide_labels_everywhere: Callable) -> None:
    """Else the test above could not fail."""
    data = hide_labels_everywhere(blood)
    labels = data.obs["cell_type"].astype(str)
    cheat = Cheat(set(labels))
    assert (cheat.answer(data) == labels).all()
    cheat.fit(data)
    assert (cheat.answer(ad.AnnData(data.X.copy())) == labels).all()


def test_other_labels_make_the_same_exam(blood: ad.AnnData, make_task: Callable) -> None:
    """What a model sees of the cells it is asked about does not depend on their labels by one bit."""
    other = blood.copy()
    asked = (blood.obs["batch"] == "a").to_numpy()
    shuffled = blood.obs["cell_type"].to_numpy(dtype=object).copy()
    shuffled[asked] = np.random.default_rng(0).permutation(shuffled[asked])
    other.obs["cell_type"] = shuffled
    for spec, part in ((CLASSIFICATION, "test"), (CLUSTERING, "cells"), (INTEGRATION, "cells")):
        task = make_task(spec)
        fold = task.folds(blood)[0]
        one, two = (task.split(data, fold, 0)[0] for data in (blood, other))
        assert bytes_of(one.parts[part]) == bytes_of(two.parts[part]), spec.name
        if spec is CLASSIFICATION:
            assert one.split.held_out == ("a",)
            assert bytes_of(one.parts["train"]) == bytes_of(two.parts["train"])


@pytest.mark.parametrize("spec", [CLUSTERING, INTEGRATION], ids=["clustering", "integration"])
def test_a_label_aware_model_sees_only_labels_that_are_not_scored(
    spec: Any, blood: ad.AnnData, make_task: Callable
) -> None:
    exam, truth = make_task(spec).split(blood, "all", 0, label_aware=True)
    shown = exam.parts["cells"].obs["cell_type"].notna().to_numpy()
    assert 0.45 < shown.mean() < 0.55
    assert (shown != truth.obs["scored"].to_numpy()).all()
    assert set(exam.parts["cells"].obs["cell_type"].dropna()) == set(blood.obs["cell_type"].astype(str))


@pytest.mark.parametrize("spec", [CLUSTERING, INTEGRATION], ids=["clustering", "integration"])
def test_shown_labels_reach_fit_but_not_embed(spec: Any, blood: ad.AnnData, make_task: Callable) -> None:
    seen: dict[str, set[str]] = {}

    class Watch:
        def fit(self, cells: ad.AnnData) -> None:
            seen["fit"] = set(cells.obs.columns)

        def embed(self, cells: ad.AnnData) -> np.ndarray:
            seen["embed"] = set(cells.obs.columns)
            return np.asarray(cells.X[:, :5].todense())

    task = make_task(spec)
    exam, _ = task.split(blood, "all", 0, label_aware=True)
    task.sit(Watch, exam)
    assert "cell_type" in seen["fit"]
    assert "cell_type" not in seen["embed"]


def test_ranks_that_choose_the_few_shot_labels_are_not_shown(donors: ad.AnnData, make_task: Callable) -> None:
    task = make_task(CLASSIFICATION, shots=(1, 5))
    exam, _ = task.split(donors, "donor=d0", 0)
    labelled: list[int] = []

    class Watch(Cheat):
        def fit(self, cells: ad.AnnData) -> None:
            assert set(cells.obs.columns) == {"cell_type", "group"}
            assert not (cells.obs["group"] == "d0").any()
            labelled.append(int(cells.obs["cell_type"].value_counts().max()))
            super().fit(cells)

    task.sit(lambda: Watch(set(donors.obs["cell_type"].astype(str))), exam)
    assert labelled[1:] == [1, 5]
    assert labelled[0] > 50


def test_an_exam_is_the_same_every_time(examined: tuple) -> None:
    task, data, _, _ = examined
    fold = task.folds(data)[0]
    first: Exam
    first, second = (task.split(data, fold, 3)[0] for _ in range(2))
    assert all(bytes_of(first.parts[name]) == bytes_of(second.parts[name]) for name in first.parts)
    other = task.split(data, fold, 4)[0]
    assert first.rows != other.rows
