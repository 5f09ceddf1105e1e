"""Whatever a record holds comes out of the index as it went in, or the record is refused with its reason."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record_factory import failure, make_record, metric, records_hash, score

from bench.store import queries
from bench.store.index import Store
from bench.store.rows import load
from bench.store.visible import visible

TEXT = st.text(max_size=30)  # any Unicode, control characters and quotes too; never surrogates
FINITE = st.floats(allow_nan=False, allow_infinity=False)
PARTS = st.dictionaries(st.sampled_from(["shots", "resolution", "ünit"]), TEXT, max_size=2)

SPLIT = {"by": "donor", "sizes": {}, "held_out": [], "notes": [], "optimistic": False}


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """Valid records, with as strange values as the schema allows."""
    names = draw(st.lists(TEXT, min_size=1, max_size=4, unique=True))
    keys = draw(
        st.lists(
            st.tuples(st.sampled_from(names), PARTS),
            max_size=6,
            unique_by=lambda k: (k[0], json.dumps(k[1], sort_keys=True)),
        )
    )
    rows = [
        score(
            name,
            draw(st.none() | FINITE),
            part=part,
            units=draw(st.dictionaries(TEXT, FINITE, max_size=3)),
            unit_kind=draw(TEXT),
        )
        for name, part in keys
    ]
    record = make_record(
        model__name=draw(TEXT),
        model__config=draw(
            st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | FINITE | TEXT, max_size=3)
        ),
        task__metrics=[
            metric(name, higher_is_better=draw(st.booleans()), upper=draw(st.none() | FINITE)) for name in names
        ],
        task__aggregate=draw(st.dictionaries(TEXT, st.floats(0, 10), max_size=2)),
        dataset__name=draw(TEXT),
        fold=draw(TEXT),
        seed=draw(st.integers(0, 2**32 - 1)),
        scores=rows,
        controls=draw(st.dictionaries(TEXT.filter(bool), st.just([score(names[0], 0.5)]), max_size=2)),
        flags=[{"kind": "suspect", "reason": draw(TEXT)}],
        contamination=draw(st.none() | st.builds(_contamination, st.integers(0, 2**40), st.floats(0, 1), TEXT)),
        model__trained_on=draw(st.lists(st.builds(_training, TEXT, st.integers(0, 2**40)), max_size=2)),
    )
    return dict(record)


def _contamination(n: int, share: float, text: str) -> dict[str, Any]:
    counts = dict.fromkeys(("trained", "cells", "seen", "kept", "scored", "scored_seen"), n)
    file = {"name": text, "cells": n, "genes": n, "seen": n, "scored_seen": n}
    return {**counts, "comparable": share, "files": [file], "problem": text}


def _training(text: str, n: int) -> dict[str, Any]:
    return {"model": text, "verb": text, "files": [text], "cells": n, "steps": n}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made=st.lists(records(), min_size=1, max_size=8))
def test_record_to_query_is_lossless(made: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        by_id, units = {}, set()
        for i, record in enumerate(made):
            record["run_id"] = records_hash([i, record["run_id"]])
            by_id[record["run_id"]] = record
            units |= {(record["run_id"], s["metric"], *u) for s in record["scores"] for u in s["units"].items()}
            path = results / "records" / record["run_id"][:2] / f"{record['run_id']}.1.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record))
        store = Store(results)
        report = store.sync()
        assert report.skipped == []
        with store.connection() as connection:
            stored = connection.execute("SELECT run_id, metric, unit, value FROM units WHERE control = ''").fetchall()
        assert set(stored) == units
        for run in visible(store):
            record = by_id.pop(run["run_id"])
            assert (run["model"], run["dataset"], run["fold"], run["seed"]) == (
                record["model"]["name"],
                record["dataset"]["name"],
                record["fold"],
                record["seed"],
            )
            assert run["model_config"] == record["model"]["config"]
            assert run["flags"] == record["flags"]
            assert run["contamination"] == record["contamination"]
            assert run["trained_on"] == record["model"]["trained_on"]
            assert run.definition.aggregate == record["task"]["aggregate"]
            bounds = [(m["name"], m["higher_is_better"], m["upper"]) for m in record["task"]["metrics"]]
            assert [(m.name, m.higher_is_better, m.upper) for m in run.definition.metrics] == bounds
            expected = {(s["metric"], tuple(sorted(s["part"].items()))): s for s in record["scores"]}
            assert {(v.metric, v.part): v.value for v in run.scores} == {k: s["value"] for k, s in expected.items()}
            assert {(v.metric, v.part): v.units for v in run.scores} == {
                k: s["units"].keys() for k, s in expected.items()
            }
            assert {n: [v.value for v in c] for n, c in run.controls.items()} == {n: [0.5] for n in record["controls"]}
        assert by_id == {}


def test_the_table_and_the_document_agree(tmp_path: Path) -> None:
    from bench.runs import record as writer

    for record in (make_record({"nmi": 0.1 + 0.2, "ari": None}), failure(seed=1)):
        writer.write(tmp_path, record)
    store = Store(tmp_path)
    store.sync()
    table = queries.results(store)
    assert table.loc[table["metric"] == "nmi", "value"].tolist() == [0.1 + 0.2]
    assert table.loc[table["status"] == "failed", "metric"].isna().all()
    assert math.isnan(table.loc[table["metric"] == "ari", "value"].item())
    document = json.loads(json.dumps(queries.documents(store), allow_nan=False))
    ok, failed = sorted(document["runs"], key=lambda run: run["seed"])
    assert [(s["metric"], s["value"], s["part"]) for s in ok["scores"]] == [("nmi", 0.1 + 0.2, {}), ("ari", None, {})]
    assert failed["scores"] == []
    assert failed["error"] == {"kind": "ValueError", "message": "it broke"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": "0"}, "seed is str, not a whole number"),
        ({"seed": True}, "seed is true or false"),
        ({"seed": 2**70}, "seed does not fit into 64 bits"),
        ({"status": "fine"}, "status is 'fine', not one of ok, failed"),
        ({"created": "yesterday"}, "created is 'yesterday', not an ISO 8601 time"),
        ({"model": []}, "model is list, not an object"),
        ({"model__config": {"x": "\ud800"}}, "model.config.x has a lone surrogate"),
        ({"model__name": None}, "model.name is NoneType, not text"),
        ({"scores": [{"metric": "nmi"}]}, r"scores\[0\].n is missing"),
        ({"scores": [score("nmi", "0.5")]}, r"scores\[0\].value is str, not a whole number"),  # type: ignore[arg-type]
        ({"scores": [score("nmi", 0.5), score("nmi", 0.6)]}, "score nmi is given twice"),
        ({"controls": {"": []}}, "a control has no name"),
        ({"task__metrics": [{"name": "nmi"}]}, "task.metrics"),
        ({"task__metrics": [metric("nmi"), metric("nmi")]}, "task.metrics names nmi twice"),
        ({"split": {**SPLIT, "by": 3}}, "split.by is int, not text"),
        ({"contamination": {"seen": 1}}, r"contamination\.cells is missing"),
        ({"model__trained_on": [{"model": "x"}]}, r"model\.trained_on\[0\]\.cells is missing"),
        ({"environment": {"x": 1e400}}, "Infinity is not allowed"),
        ({"run_id": "another"}, "belongs at records/an/another.1.json"),
    ],
)
def test_a_record_with_wrong_types_is_refused_by_place(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    record = make_record(**changes)
    path = tmp_path / "ab" / "abc.1.json"
    path.parent.mkdir()
    if "run_id" not in changes:
        record["run_id"] = "abc"
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=reason):
        load(path)


def test_records_from_before_contamination_was_computed_are_read(tmp_path: Path) -> None:
    path = tmp_path / "records" / "ab" / "abc.1.json"
    path.parent.mkdir(parents=True)
    record: dict[str, Any] = dict(make_record(run_id="abc"))
    del record["contamination"], record["model"]["trained_on"]
    path.write_text(json.dumps(record))
    store = Store(tmp_path)
    assert store.sync().skipped == []
    (run,) = visible(store)
    assert (run["contamination"], run["contaminated"], run["trained_on"]) == (None, False, [])
    (document,) = queries.documents(store)["runs"]
    assert (document["contamination"], document["trained_on"]) == (None, [])


def test_what_a_later_version_adds_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "ab" / "abc.1.json"
    path.parent.mkdir()
    split = {**SPLIT, "new": 1}
    record = make_record(run_id="abc", split=split, model__new="x")
    path.write_text(json.dumps({**record, "new": [1]}))
    assert load(path)["split"] == split


def test_a_number_beyond_floats_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ab" / "abc.1.json"
    path.parent.mkdir()
    text = json.dumps(make_record({"nmi": 0.5}, run_id="abc"))
    path.write_text(text.replace('"value": 0.5', '"value": 1e999'))
    with pytest.raises(ValueError, match=r"scores\[0\].value is not a finite number"):
        load(path)
