"""The records that are committed are those that were written, and bench reads them as it read those."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench_study import keep
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.record_factory import failure, make_record, write_all

import bench
from bench.errors import BadInput

MADE: tuple[Any, ...] = (
    *(make_record(fold=f"donor={n}", seed=n) for n in range(4)),
    make_record({"nmi": 0.25}, model__name="hvg", model__summary="β ≥ 1"),
    failure(model__name="ours", message="line\nline"),
)


def test_a_results_folder_comes_back_byte_by_byte(tmp_path: Path) -> None:
    written = write_all(tmp_path / "a", *MADE)
    assert keep.pack(tmp_path / "a", tmp_path / "kept.jsonl") == len(MADE)
    back = keep.unpack(tmp_path / "kept.jsonl", tmp_path / "b")
    for path in written:
        assert (back / path.relative_to(tmp_path / "a")).read_bytes() == path.read_bytes()
    assert len(list(back.rglob("*.json"))) == len(MADE)


def test_the_index_of_kept_records_answers_the_same(tmp_path: Path) -> None:
    write_all(tmp_path / "a", *MADE)
    keep.pack(tmp_path / "a", tmp_path / "kept.jsonl")
    keep.unpack(tmp_path / "kept.jsonl", tmp_path / "b")
    one, other = (bench.results(tmp_path / name, controls=True, parts=True) for name in "ab")
    assert len(one) > len(MADE)
    assert one.equals(other)


def test_what_records_share_is_written_once_and_order_does_not_matter(tmp_path: Path) -> None:
    for name, records in (("a", MADE), ("b", MADE[::-1])):
        write_all(tmp_path / name, *records)
        keep.pack(tmp_path / name, tmp_path / f"{name}.jsonl")
    text = (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    assert text == (tmp_path / "b.jsonl").read_text(encoding="utf-8")
    assert text.count('"higher_is_better"') == len(MADE[0]["task"]["metrics"])
    assert len(text) < sum(len(json.dumps(record)) for record in MADE) / 2


def test_no_record_is_nothing_to_keep(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no records"):
        keep.pack(tmp_path, tmp_path / "kept.jsonl")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_what_looks_like_a_reference_is_none(tmp_path: Path) -> None:
    path, records = tmp_path / "kept.jsonl", [{"a": {keep.MARK: "x"}}, {"a": {keep.MARK: 1, "b": 2}}]
    path.write_text("".join(f"{line}\n" for line in keep._lines(records)), encoding="utf-8")
    assert keep.read(path) == records


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES, min_size=1), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_values_survive(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    path = tmp_path / "kept.jsonl"
    path.write_text("".join(f"{line}\n" for line in keep._lines([*records, *records])), encoding="utf-8")
    assert keep.read(path) == [*records, *records]
