"""The cell before: of the same lineage, of the latest earlier time point, chosen by seed and key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from bench.data.cells.batch import Draw
from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset
from bench.data.cells.previous import EarlierCell, EarlierMean, Lineages
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput

N = 240


@pytest.fixture
def dataset(written: Callable[..., Path]) -> CellDataset:
    """Donors a and b at days 2, 5 and 10, donor c at days 2 and 10; some cells without a donor or a day."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.7, (N, 15)).astype(np.float32)
    counts[:, 0] += 1
    obs = pd.DataFrame({"donor": rng.choice(list("abc"), N), "day": rng.choice(["d2", "d5", "d10"], N)})
    obs.loc[(obs["donor"] == "c") & (obs["day"] == "d5"), "day"] = "d10"
    obs.loc[:4, "donor"] = np.nan
    obs.loc[5:9, "day"] = np.nan
    obs.index = [f"cell{k}" for k in range(N)]
    var = pd.DataFrame(index=[f"GENE{k}" for k in range(15)])
    stores = [store_of(written(sparse.csr_matrix(counts), obs=obs, var=var))]
    return CellDataset(stores, Vocabulary.of(stores), ("donor", "day"))


def before(dataset: CellDataset, epoch: int = 0, **options: object) -> tuple[pd.DataFrame, np.ndarray]:
    """`obs` and the position of the cell before each."""
    source = EarlierCell(dataset, Lineages(dataset, "day", ("donor",), **options))  # type: ignore[arg-type]
    cells = dataset.preceded_by(source).__getitems__(Draw(np.arange(N), epoch))
    assert cells.previous is not None
    return dataset.stores[0].obs, cells.previous.cells


def test_it_is_of_the_same_donor_at_the_latest_earlier_day(dataset: CellDataset) -> None:
    obs, chosen = before(dataset)
    expected = {"a": {"d5": "d2", "d10": "d5"}, "b": {"d5": "d2", "d10": "d5"}, "c": {"d10": "d2"}}
    for cell, other in enumerate(chosen):
        donor, day = obs["donor"].iloc[cell], obs["day"].iloc[cell]
        if day in expected.get(donor, {}):
            assert obs["donor"].iloc[other] == donor
            assert obs["day"].iloc[other] == expected[donor][day]
        else:
            assert other == -1


def test_the_counts_are_those_of_that_cell_and_none_where_there_is_none(dataset: CellDataset) -> None:
    source = EarlierCell(dataset, Lineages(dataset, "day", ("donor",)))
    cells = dataset.preceded_by(source).__getitems__(np.arange(N))
    found = cells.previous
    assert found is not None
    assert np.array_equal(found.keys, cells.keys)
    for place, other in enumerate(found.cells):
        part = slice(found.offsets[place], found.offsets[place + 1])
        expected = dataset[other] if other >= 0 else dataset.__getitems__([])
        assert np.array_equal(found.genes[part], expected.genes)
        assert np.array_equal(found.counts[part], expected.counts)
        assert found.totals[place] == expected.totals.sum()


def test_it_is_the_same_in_any_batch_and_another_one_in_another_epoch(dataset: CellDataset) -> None:
    source = EarlierCell(dataset, Lineages(dataset, "day", ("donor",)))
    whole = dataset.preceded_by(source)
    _, together = before(dataset)
    for cell in (17, 100, 203):
        alone = whole[cell].previous
        assert alone is not None
        assert alone.cells[0] == together[cell]
    _, later = before(dataset, epoch=1)
    assert (later[together >= 0] != together[together >= 0]).mean() > 0.8


def test_every_candidate_is_as_likely(dataset: CellDataset) -> None:
    obs = dataset.stores[0].obs
    asking = np.flatnonzero((obs["donor"] == "a") & (obs["day"] == "d5"))
    candidates = np.flatnonzero((obs["donor"] == "a") & (obs["day"] == "d2"))
    chosen = np.concatenate([before(dataset, epoch)[1][asking] for epoch in range(60)])
    counts = pd.Series(chosen).value_counts().reindex(candidates, fill_value=0)
    assert counts.sum() == len(chosen)
    assert stats.chisquare(counts).pvalue > 1e-4


def test_without_a_lineage_any_earlier_cell_will_do_and_days_may_be_ordered(dataset: CellDataset) -> None:
    source = EarlierCell(dataset, Lineages(dataset, "day", order=["d10", "d5", "d2"]))
    obs = dataset.stores[0].obs
    chosen = source.of(np.arange(N), dataset.__getitems__(np.arange(N)).keys).cells
    days = np.array([obs["day"].iloc[other] if other >= 0 else "" for other in chosen])
    assert set(days[obs["day"] == "d2"]) == {"d5"}
    assert set(days[obs["day"] == "d5"]) == {"d10"}
    assert set(days[obs["day"] == "d10"]) == {""}


def test_cells_that_must_not_be_seen_are_not_given(dataset: CellDataset) -> None:
    training = np.arange(0, N, 2)
    _, chosen = before(dataset, among=training)
    assert set(chosen) <= {-1, *training}


def test_the_mean_is_that_of_all_candidates(dataset: CellDataset) -> None:
    source = EarlierMean(dataset, Lineages(dataset, "day", ("donor",)))
    obs = dataset.stores[0].obs
    asking = np.flatnonzero((obs["donor"] == "c") & (obs["day"] == "d10"))[0]
    found = source.of(np.array([0, asking, 0]), np.zeros(3, dtype=np.uint64))
    among = dataset.__getitems__(np.flatnonzero((obs["donor"] == "c") & (obs["day"] == "d2")))
    dense = sparse.csr_matrix((among.counts, among.genes, among.offsets), shape=(len(among), 15)).toarray()
    assert found.offsets.tolist() == [0, 0, len(found.genes), len(found.genes)]
    np.testing.assert_allclose(found.counts, dense.mean(axis=0)[found.genes], rtol=1e-6)
    assert set(found.genes) == set(np.flatnonzero(dense.sum(axis=0)))
    np.testing.assert_allclose(found.totals, [0, among.totals.mean(), 0], rtol=1e-6)


def test_one_time_point_or_a_wrong_order_is_refused(dataset: CellDataset, written: Callable[..., Path]) -> None:
    with pytest.raises(BadInput, match="the order of day must name each of d10, d2, d5 once; see to d10, d20"):
        Lineages(dataset, "day", order=["d2", "d5", "d20"])
    with pytest.raises(BadInput, match="the order of day must name"):
        Lineages(dataset, "day", order=["d2", "d5", "d5", "d10"])
    with pytest.raises(BadInput, match="unknown column of the dataset: 'time'"):
        Lineages(dataset, "time")
    obs = pd.DataFrame({"day": ["d2"] * 3}, index=list("xyz"))
    stores = [store_of(written(sparse.csr_matrix(np.eye(3, dtype=np.float32)), obs=obs, name="one"))]
    with pytest.raises(BadInput, match="day says d2 for all cells; none precedes another"):
        Lineages(CellDataset(stores, Vocabulary.of(stores), ("day",)), "day")


def test_cells_of_a_real_time_course_follow_those_of_day_2(shared: Path) -> None:
    stores = [store_of(shared / "data" / "cardio_ipsc_day2_day5.h5ad")]
    dataset = CellDataset(stores, Vocabulary.of(stores), ("time_point",))
    source = EarlierCell(dataset, Lineages(dataset, "time_point"))
    when = stores[0].obs["time_point"].astype(str).to_numpy()
    cells = np.random.default_rng(0).choice(len(dataset), 200, replace=False)
    found = source.of(cells, dataset.__getitems__(cells).keys)
    first, second = dataset.categories["time_point"]
    assert (found.cells[when[cells] == first] == -1).all()
    assert (when[found.cells[when[cells] == second]] == first).all()
