"""Questions to the index: filters, the user's own SQL, and finding one run."""

from __future__ import annotations

from pathlib import Path

import pytest
from record_factory import make_record, score, write_all

from bench.errors import BadInput
from bench.store import queries
from bench.store.export import export
from bench.store.index import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two models, one of them with two seeds and a part score."""
    shots = score("nmi", 0.2, part={"shots": "5"})
    write_all(
        tmp_path,
        make_record(seed=0, scores=[score("nmi", 0.5), shots]),
        make_record(seed=1),
        make_record(model__name="scvi"),
    )
    store = Store(tmp_path)
    store.sync()
    return store


def test_filters_take_one_value_or_several(store: Store) -> None:
    assert set(queries.results(store, model="scvi")["model"]) == {"scvi"}
    assert set(queries.results(store, model=["scvi", "pca"], seed=1)["seed"]) == {1}
    assert queries.results(store, model="' OR 1=1 --").empty
    assert len(queries.documents(store, model="pca", seed=[0, 1])["runs"]) == 2


def test_an_unknown_filter_is_named(store: Store) -> None:
    with pytest.raises(BadInput, match="Did you mean 'model'"):
        queries.results(store, modell="pca")


def test_parts_and_controls_come_when_asked_for(store: Store) -> None:
    headline = queries.results(store, seed=0, model="pca")
    assert headline["part"].tolist() == ["{}"]
    assert queries.results(store, seed=0, model="pca", parts=True)["value"].tolist() == [0.5, 0.2]
    assert set(queries.results(store, controls=True)["control"]) == {"", "shuffled", "truth"}


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM runs",
        "SELECT 1; SELECT 2",
        "SELEC",
        "",
        "SELECT * FROM nothing",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/hostname')",
        "ATTACH '/etc/passwd'",
        "COPY runs TO 'x.csv'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM text",
    ],
)
def test_sql_reaches_the_index_and_nothing_else(store: Store, text: str) -> None:
    with pytest.raises(BadInput, match="--sql"):
        queries.sql(store, text)


def test_sql_answers_any_select(store: Store) -> None:
    assert queries.sql(store, "SELECT count(*) AS n FROM runs")["n"].tolist() == [3]
    config = queries.sql(store, "SELECT model_config->>'n_components' AS k FROM runs LIMIT 1")
    assert config["k"].tolist() == ["50"]


def test_exports_hold_every_score(store: Store, tmp_path: Path) -> None:
    import pandas as pd

    table = pd.read_parquet(export(store, tmp_path / "r.parquet"))
    text = pd.read_csv(export(store, tmp_path / "r.csv"), keep_default_na=False)
    assert len(table) == len(text) == 1 + 1 + 4 + 4 + 3 * 8
    assert table.loc[(table["control"] == "") & (table["part"] == "{}"), "value"].iloc[0] == 0.5
    assert not list(tmp_path.glob(".r.*"))
