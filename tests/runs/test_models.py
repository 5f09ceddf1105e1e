"""What stands between a task and a model: copies, blindfolds, shared fits, and a clock."""

from __future__ import annotations

import time
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bench.errors import BadOutput
from bench.runs.meter import Meter
from bench.runs.models import factory
from bench.specs import BridgeSpec, Cap, ModelSpec


def cells(n: int = 20) -> ad.AnnData:
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(n)]
    obs = pd.DataFrame({"cell_type": np.resize(["T", "B"], n), "batch": "a"}, index=names)
    return ad.AnnData(sparse.csr_matrix(rng.poisson(1, (n, 6)).astype(np.float32)), obs=obs)


class Spy:
    """Notes what it is shown, and spoils it."""

    made = 0
    shown: list[tuple[str, set[str]]]

    def __init__(self) -> None:
        type(self).made += 1
        self.shown = []

    def fit(self, seen: ad.AnnData) -> None:
        self.shown.append(("fit", set(seen.obs.columns)))
        seen.X.data[:] = 0

    def embed(self, seen: ad.AnnData) -> np.ndarray:
        self.shown.append(("embed", set(seen.obs.columns)))
        values = seen.X.toarray()[:, :3]
        seen.X.data[:] = 0
        return values

    def predict(self, seen: ad.AnnData) -> pd.DataFrame:
        self.shown.append(("predict", set(seen.obs.columns)))
        return pd.DataFrame(0.5, index=seen.obs_names[::-1], columns=["B", "T"])


def spied(needs: Cap, fits: str) -> tuple[Any, Spy]:
    spy = Spy()
    spec = ModelSpec("spy", "looks", "a:b", frozenset({needs}), fits=fits)  # type: ignore[arg-type]
    return factory(spec, lambda: spy, needs, None, None, 0, Meter())(), spy


@pytest.mark.parametrize(
    ("fits", "shown"),
    [("no", []), ("cells", [("fit", {"batch"})]), ("labels", [("fit", {"batch", "cell_type"})])],
)
@pytest.mark.parametrize(("needs", "verb"), [(Cap.EMBEDS_CELLS, "embed"), (Cap.PREDICTS_LABELS, "predict")])
def test_labels_are_shown_in_fit_alone_and_only_to_who_declares_them(
    needs: Cap, verb: str, fits: str, shown: list[Any]
) -> None:
    model, spy = spied(needs, fits)
    model.fit(cells())
    getattr(model, verb)(cells())
    assert spy.shown == [*shown, (verb, {"batch"})]


def test_a_model_that_works_in_place_spoils_its_own_copy() -> None:
    data = cells()
    before = data.X.copy()
    model, _ = spied(Cap.EMBEDS_CELLS, "labels")
    model.fit(data)
    values = model.embed(data)
    assert (before != data.X).nnz == 0
    assert np.array_equal(values, before.toarray()[:, :3])


def test_fits_on_the_same_cells_are_shared_and_others_are_not() -> None:
    class Counting(Spy):
        made = 0

    spec = ModelSpec("spy", "looks", "a:b", frozenset({Cap.EMBEDS_CELLS}))
    make = factory(spec, Counting, Cap.EMBEDS_CELLS, None, None, 0, Meter())
    relabelled = cells()
    relabelled.obs["cell_type"] = relabelled.obs["cell_type"].to_numpy()[::-1]
    for data in (cells(), cells(), relabelled):  # what it does not see makes no difference
        make().fit(data)
    assert Counting.made == 1
    make().fit(cells()[:10].copy())
    assert Counting.made == 2


def test_a_shared_embedding_cannot_be_changed() -> None:
    model, _ = spied(Cap.EMBEDS_CELLS, "no")
    with pytest.raises(ValueError, match="read-only"):
        model.embed(cells())[0] = 1


def test_predictions_are_put_in_the_order_asked_for() -> None:
    model, _ = spied(Cap.PREDICTS_LABELS, "labels")
    data = cells()
    model.fit(data)
    assert list(model.predict(data).index) == list(data.obs_names)


def test_a_probe_is_charged_for_itself_and_the_model_for_itself() -> None:
    class Slow(Spy):
        def fit(self, seen: ad.AnnData) -> None:
            time.sleep(0.4)

    meter = Meter()
    spec = ModelSpec("slow", "sleeps", "a:b", frozenset({Cap.EMBEDS_CELLS}))
    bridge = BridgeSpec("probe", "sleeps too", Cap.EMBEDS_CELLS, f"{__name__}:SleepyProbe")
    make = factory(spec, Slow, Cap.PREDICTS_LABELS, bridge, None, 0, meter)
    model = make()
    model.fit(cells())
    model.predict(cells())
    assert meter.seconds["fit"] >= 0.4
    assert 0.1 <= meter.seconds["bridge"] < 0.4


class SleepyProbe:
    """A bridge that takes its time."""

    def __init__(self, make_embedder: Any, *, config: Any, seed: int) -> None:
        self._embedder = make_embedder()

    def fit(self, seen: ad.AnnData) -> None:
        self._embedder.fit(seen)
        time.sleep(0.1)

    def predict(self, seen: ad.AnnData) -> pd.DataFrame:
        self._embedder.embed(seen)
        return pd.DataFrame(0.5, index=seen.obs_names, columns=["B", "T"])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros((20, 2)), "constant embedding"),
        (np.zeros((19, 2)), "19 rows for 20 cells"),
        (np.zeros((20, 0)), "width 0"),
        (np.zeros(20), "1-D array"),
        (np.full((20, 2), "x"), "array of <U1"),
        (np.array([[np.nan, 0]] * 20), "NaN or Inf in the embedding of 20 cells"),
    ],
)
def test_what_is_no_embedding_is_refused(answer: np.ndarray, message: str) -> None:
    class Wrong(Spy):
        def embed(self, seen: ad.AnnData) -> np.ndarray:
            return answer

    spec = ModelSpec("wrong", "is wrong", "a:b", frozenset({Cap.EMBEDS_CELLS}), fits="no")
    with pytest.raises(BadOutput, match=message):
        factory(spec, Wrong, Cap.EMBEDS_CELLS, None, None, 0, Meter())().embed(cells())
