"""Two runs compared: what differs is named, noise is judged on what was measured, and never claimed without it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_factory import failure, make_record, score, write_all

from bench.errors import BadInput
from bench.runs.record import Record
from bench.store.diff import noise
from bench.store.diff.compare import Comparison, ScoreRow, compare

DONORS = {"by": "donor", "sizes": {"cells": 700}, "held_out": [], "notes": [], "optimistic": False}


def ids(results: Path, *made: Record) -> list[str]:
    """Write records; how the user names each."""
    return [path.name.removesuffix(".json") for path in write_all(results, *made)]


def row(found: Comparison, metric: str) -> ScoreRow:
    return next(r for r in found.scores if r.metric == metric and not r.part)


def verdicts(found: Comparison) -> set[str]:
    return {r.noise.verdict for r in found.scores if r.noise}


def nmi(value: float, **changes: Any) -> Record:
    """A record of a task with one metric."""
    return make_record({"nmi": value}, **{"task__aggregate": {}, "task__main_metric": "nmi", **changes})


def test_the_same_twice_is_identical(tmp_path: Path) -> None:
    found = compare(tmp_path, *ids(tmp_path, make_record(), make_record()))
    assert found.identical
    assert found.differences == ()
    assert (found.first.attempt, found.second.attempt) == (1, 2)


def test_what_differs_is_named_by_topic(tmp_path: Path) -> None:
    environment = {
        "python": "3.12.1",
        "packages": {"numpy": "2.4.6", "scanpy": "1.12"},
        "device": "cuda",
        "git": {"sha": "a", "dirty": True},
    }
    other = make_record(
        model__config={"n_components": 30, "scale": True},
        model__version="2",
        environment=environment,
        seed=1,
    )
    found = compare(tmp_path, *ids(tmp_path, make_record(), other))
    assert {(d.topic, d.name): (d.first, d.second) for d in found.differences} == {
        ("model", "version"): ("1", "2"),
        ("option", "n_components"): (50, 30),
        ("option", "scale"): (None, True),
        ("run", "seed"): (0, 1),
        ("software", "git sha"): (None, "a"),
        ("software", "git dirty"): (None, True),
        ("software", "python"): ("3.11.7", "3.12.1"),
        ("software", "scanpy"): (None, "1.12"),
        ("machine", "device"): (None, "cuda"),
    }
    assert found.incomparable == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task__version": "2"}, "task version 1 and 2"),
        ({"dataset__identity": "def"}, "data identity abc123 and def"),
        ({"fold": "donor=1"}, "fold all and donor=1"),
        ({"split_seed": 7}, "split seed 0 and 7"),
        ({"protocol": 2}, "protocol 1 and 2"),
        ({"split": {**DONORS, "by": "none", "sizes": {"cells": 350}}}, "cells of cells 700 and 350"),
    ],
)
def test_different_exams_are_not_compared(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    found = compare(tmp_path, *ids(tmp_path, make_record(), make_record({"nmi": 0.9}, **changes)))
    assert found.incomparable == (reason,)
    assert verdicts(found) == set()
    assert not found.identical


def test_one_value_each_is_unknown_and_says_what_would_tell(tmp_path: Path) -> None:
    found = compare(tmp_path, *ids(tmp_path, nmi(0.5), nmi(0.6, model__name="hvg")))
    judged = row(found, "nmi")
    assert judged.difference == pytest.approx(0.1)
    assert judged.noise == noise.Noise("unknown", "one value each; run more seeds (--seed 0..4)")


def test_seeds_of_both_configurations_tell(tmp_path: Path) -> None:
    near, far = ((0.50, 0.52, 0.48), {}), ((0.60, 0.63, 0.59), {"model__name": "far"})
    made = [nmi(v, seed=s, **more) for values, more in (near, far) for s, v in enumerate(values)]
    made += [nmi(0.51, model__name="alike", seed=s) for s in range(3)]
    names = ids(tmp_path, *made)
    judged = row(compare(tmp_path, names[0], names[3]), "nmi").noise
    assert judged
    assert judged.verdict == "beyond noise"
    assert "means over 3 and 3 seeds" in judged.basis
    assert judged.low == pytest.approx(0.1066667 - 2.776445 * 0.0166667, abs=1e-6)  # t(4) and the pooled error, by hand
    assert verdicts(compare(tmp_path, names[0], names[6])) == {"within noise"}


def test_two_seeds_of_one_configuration_are_judged_by_all_its_seeds(tmp_path: Path) -> None:
    names = ids(tmp_path, nmi(0.50, seed=0), nmi(0.53, seed=1))
    assert verdicts(compare(tmp_path, *names)) == {"unknown"}
    write_all(tmp_path, nmi(0.47, seed=2), nmi(0.51, seed=3))
    assert verdicts(compare(tmp_path, *names)) == {"within noise"}


def test_a_deterministic_model_that_changed_has_changed(tmp_path: Path) -> None:
    """All seeds agree, so a rerun that differs differs by something else: versions, code, data."""
    names = ids(tmp_path, *(nmi(0.5, seed=s) for s in range(3)), nmi(0.51, environment={"python": "3.13.0"}))
    assert verdicts(compare(tmp_path, names[1], names[2])) == {"identical"}
    assert verdicts(compare(tmp_path, names[0], names[3])) == {"beyond noise"}


def folds(values: list[float], by: str = "donor", **more: Any) -> list[Record]:
    names = [f"{by}={i}" for i in range(len(values))]
    split = {**DONORS, "by": by}
    return [nmi(v, fold=name, folds=names, split=split, **more) for name, v in zip(names, values, strict=True)]


def test_eight_held_out_donors_give_an_interval(tmp_path: Path) -> None:
    base = [0.3, 0.9, 0.5, 0.7, 0.2, 0.8, 0.4, 0.6]  # donors differ far more than models
    gaps = [0.02, 0.03, 0.02, 0.01, 0.02, 0.03, 0.01, 0.02]
    better = [b + g for b, g in zip(base, gaps, strict=True)]
    names = ids(tmp_path, *folds(base), *folds(better, model__name="better"))
    judged = row(compare(tmp_path, names[0], names[8]), "nmi").noise
    assert judged
    assert judged.verdict == "beyond noise"
    assert "paired over 8 folds, each of held-out donors" in judged.basis
    assert judged.low is not None
    assert judged.high is not None
    assert 0.01 < judged.low < 0.02 < judged.high < 0.03


@pytest.mark.parametrize(("n", "by"), [(7, "donor"), (9, "cells")])
def test_few_donors_and_random_cells_give_none(tmp_path: Path, n: int, by: str) -> None:
    names = ids(tmp_path, *folds([0.5] * n, by), *folds([0.6] * n, by, model__name="better"))
    judged = row(compare(tmp_path, names[0], names[n]), "nmi").noise
    assert judged
    assert judged.verdict == "unknown"
    assert judged.low is None


def test_donors_within_a_score_are_units_and_types_are_not(tmp_path: Path) -> None:
    def made(shift: float, kind: str, **more: Any) -> Record:
        units = {f"u{i}": 0.1 * i + shift + 0.001 * (i % 3) * bool(shift) for i in range(9)}
        return nmi(0.5, scores=[score("nmi", 0.5 + shift, units=units, unit_kind=kind)], **more)

    names = ids(tmp_path, made(0, "donor"), made(0.05, "donor", model__name="hvg"))
    judged = row(compare(tmp_path, *names), "nmi").noise
    assert judged
    assert judged.verdict == "beyond noise"
    assert "paired over 9 donors" in judged.basis
    classes = ids(tmp_path / "b", made(0, "class"), made(0.05, "class", model__name="hvg"))
    assert verdicts(compare(tmp_path / "b", *classes)) == {"unknown"}


def test_the_aggregate_is_compared_too(tmp_path: Path) -> None:
    found = compare(tmp_path, *ids(tmp_path, make_record(), make_record({"nmi": 0.5, "ari": 0.4, "ilisi": 0.8})))
    assert row(found, "aggregate").difference == pytest.approx(0.4 * 0.5)
    assert row(found, "error").second is None
    assert row(found, "error").noise is None


def test_a_failed_run_is_shown_and_not_scored(tmp_path: Path) -> None:
    found = compare(tmp_path, *ids(tmp_path, make_record(), failure(message="out of luck", split=None)))
    assert (found.second.status, found.second.error) == ("failed", "out of luck")
    assert found.incomparable == ()
    assert {r.second for r in found.scores} == {None}
    assert not found.identical


def test_costs_have_a_ratio(tmp_path: Path) -> None:
    slow = copy.deepcopy(make_record()["cost"])
    slow["phases"] = {"fit": 5.0, "bridge": 1.0}
    found = compare(tmp_path, *ids(tmp_path, make_record(), make_record(cost=slow)))
    by_name = {cost.name: cost for cost in found.costs}
    assert by_name["fit (s)"].ratio == 2.0
    assert by_name["bridge (s)"].ratio is None
    assert by_name["predict (s)"].second is None


def test_unchanged_records_may_hide_a_changed_source_tree(tmp_path: Path) -> None:
    environment = {"git": {"sha": "abc", "dirty": True}}
    found = compare(tmp_path, *ids(tmp_path, *[make_record(environment=environment)] * 2))
    assert "source tree" in found.notes[0]


def test_runs_are_found_by_the_beginning_of_their_id(tmp_path: Path) -> None:
    write_all(tmp_path, make_record(run_id="abc123"), make_record(run_id="abd456"), make_record(run_id="abd456"))
    assert compare(tmp_path, "abc", "abd").second.attempt == 2
    assert compare(tmp_path, "abd456.1", "abd.2").identical
    for names, said in (
        (("ab", "abd"), r"2 runs begin with 'ab': abc123, abd456"),
        (("abc", "abz"), r"no run 'abz'.*Nearest: abc123, abd456"),
        (("abc", "abd.3"), r"has no attempt '3'; it has 1, 2"),
        (("abc", "abc.1"), r"both are attempt 1 of run abc123"),
        (("abc", ""), r"no run ''"),
        (("abc", "no/such.json"), r"cannot read the record no/such.json"),
    ):
        with pytest.raises(BadInput, match=said):
            compare(tmp_path, *names)
    with pytest.raises(BadInput, match="no results folder"):
        compare(tmp_path / "none", "abc", "abd")


def test_record_files_may_lie_anywhere(tmp_path: Path) -> None:
    paths = write_all(tmp_path / "results", make_record(), make_record())
    copies = [str(path.rename(tmp_path / f"{i}.json")) for i, path in enumerate(paths)]
    assert compare(tmp_path / "nowhere", *copies).identical
    Path(copies[0]).write_text(json.dumps({"schema": 1}))
    with pytest.raises(BadInput, match="is not a record: not a record: no attempt"):
        compare(tmp_path / "nowhere", *copies)


VALUES = st.dictionaries(st.integers(0, 20).map(str), st.floats(-1, 1), max_size=15)


@given(first=VALUES, second=VALUES)
def test_the_order_of_two_runs_changes_only_the_sign(first: dict[str, float], second: dict[str, float]) -> None:
    there, back = noise.over_units(first, second, "donors"), noise.over_units(second, first, "donors")
    assert (there is None) == (len(first.keys() & second.keys()) < noise.MIN_UNITS) == (back is None)
    if there and back:
        assert there.verdict == back.verdict
        assert there.low == pytest.approx(-(back.high or 0.0), abs=1e-12)
