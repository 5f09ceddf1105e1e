"""Whatever lies in the records folder, it is taken up or skipped with a sentence; the rest is always there."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from record_factory import failure, make_record, score, write_all

from bench.errors import BadInput, BenchError
from bench.runs.run import best_record
from bench.store import queries
from bench.store.diff.compare import compare
from bench.store.index import Store
from bench.store.summary import summarise

HOME = "ab/abc.1.json"
PARTS = [score("nmi", 0.1, part={"shots": "5"}, units={"d1": 0.2}, unit_kind="donor")]
WHOLE = json.loads(json.dumps(make_record(run_id="abc", scores=[*make_record()["scores"], *PARTS])))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(2**80) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document."""
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


PLACES = sorted(places(WHOLE), key=str)


def replaced(place: tuple[Any, ...], value: Any) -> bytes:
    """The whole record with one thing replaced."""
    document = json.loads(json.dumps(WHOLE))
    *way, last = place
    inner = document
    for step in way:
        inner = inner[step]
    inner[last] = value
    return json.dumps(document).encode()


TEXT = json.dumps(WHOLE).encode()


def inserted(at: int, content: bytes) -> bytes:
    """The whole record with some bytes in its middle."""
    return TEXT[:at] + content + TEXT[at:]


GARBAGE = st.one_of(
    st.binary(max_size=40),
    st.integers(0, len(TEXT)).map(lambda end: TEXT[:end]),
    st.builds(inserted, st.integers(0, len(TEXT)), st.binary(max_size=3)),
    st.builds(replaced, st.sampled_from(PLACES), JSON),
    st.builds(replaced, st.sampled_from(PLACES), JSON),
    JSON.map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=GARBAGE)
@example(content=b"[" * 100_000)
@example(content=b'{"schema": ' + b"9" * 10_000 + b"}")
@example(content=TEXT.replace(b'"seed": 0', b'"seed": 1e400'))
@example(content=replaced(("task", "aggregate"), {"bio": 0, "batch": 0}))
@example(content=replaced(("task", "main_metric"), "no-such-metric"))
@example(content=replaced(("created",), "2026-01-02T03:04:05+23:59"))
def test_anything_is_taken_up_or_skipped_and_the_rest_is_there(content: bytes) -> None:
    meet(content)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=GARBAGE)
def test_anything_is_taken_up_or_skipped_at_length(content: bytes) -> None:
    meet(content)


def meet(content: bytes) -> None:
    """Put content where a record belongs, beside two that are sound, and ask everything there is to ask."""
    with tempfile.TemporaryDirectory() as name:
        results = Path(name)
        write_all(results, make_record(), failure(seed=1))
        path = results / "records" / HOME
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        store = Store(results)
        report = store.sync()
        event("skipped" if report.skipped else "taken up")
        assert report.ingested + len(report.skipped) == 3
        assert all(name == f"records/{HOME}" and reason for name, reason in report.skipped)
        runs = queries.documents(store)["runs"]
        assert len(runs) == report.ingested
        json.dumps(runs, allow_nan=False)
        assert queries.results(store)["run_id"].nunique() == report.ingested
        assert summarise(store)
        _assert_other_readers_survive(results)


def _assert_other_readers_survive(results: Path) -> None:
    """What reads a record without the index: the run that would be done already, and the comparison."""
    with contextlib.suppress(BenchError):
        best_record(results, "abc")
        compare(results, "abc", make_record()["run_id"])


def test_a_copy_of_a_record_changes_nothing(tmp_path: Path) -> None:
    """The same run twice, a copied folder, an index made again: the numbers stay."""
    write_all(tmp_path / "a", make_record(), make_record(seed=1), failure(seed=2))
    store = Store(tmp_path / "a")
    store.sync()
    before = queries.results(store)
    assert store.sync().ingested == 0
    assert store.sync(rebuild=True).ingested == 3
    assert queries.results(store).equals(before)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copied = Store(tmp_path / "b")
    assert copied.sync().ingested == 0
    assert queries.results(copied).equals(before)
    (path,) = write_all(tmp_path / "a", make_record())  # the same question, asked again
    store.sync()
    after = queries.results(store)
    assert after.drop(columns=["attempt", "path"]).equals(before.drop(columns=["attempt", "path"]))
    assert path.name.endswith(".2.json")
    with pytest.raises(BadInput, match="both are attempt"):
        compare(tmp_path / "a", make_record()["run_id"], path.name.removesuffix(".json"))
