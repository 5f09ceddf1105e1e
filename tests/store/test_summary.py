"""What a summary says of runs that worked, failed, were not run, or could not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from record_factory import contaminated, failure, make_record, metric, score, scores, write_all

from bench.runs.record import Record
from bench.store.exam import Entry, Exam
from bench.store.index import Store
from bench.store.ranking import Standing, rank
from bench.store.summary import summarise


def exams(results: Path, *made: Record) -> list[Exam]:
    write_all(results, *made)
    store = Store(results)
    store.sync()
    return summarise(store)


def entries(exam: Exam) -> dict[str, Entry]:
    return {
        entry.model + (f"+{entry.bridge}" if entry.bridge else ""): entry for t in exam.tracks for entry in t.entries
    }


def column(exam: Exam, name: str) -> int:
    return [c.name for c in exam.columns].index(name)


def donor(fold: str, value: float | None, **changes: Any) -> Record:
    """A run of a task with folds by donor."""
    defaults: dict[str, Any] = {
        "fold": fold,
        "split": {"by": "donor", "sizes": {}, "held_out": [fold], "notes": [f"note of {fold}"], "optimistic": False},
        "task__name": "classification",
        "task__metrics": [metric("f1")],
        "task__main_metric": "f1",
        "task__aggregate": {},
        "controls": {"shuffled": [score("f1", 0.2)], "truth": [score("f1", 1.0)]},
    }
    return make_record({"f1": value}, **{**defaults, **changes})


def test_aggregate_and_skill_follow_the_controls(tmp_path: Path) -> None:
    (exam,) = exams(tmp_path, make_record())
    cells = dict(zip([c.name for c in exam.columns], entries(exam)["pca"].cells, strict=True))
    assert exam.columns[exam.main].name == "aggregate"
    assert cells["bio"].spread.mean == pytest.approx(0.45)
    assert cells["aggregate"].spread.mean == pytest.approx(0.6 * 0.45 + 0.4 * 0.3)
    assert cells["ari"].skill == pytest.approx(0.4 / 0.8)
    assert cells["error"].skill == pytest.approx(0.5)
    assert cells["aggregate"].skill == pytest.approx(0.39 / (0.6 * 0.9 + 0.4))
    assert cells["error"].above_floor


def test_skill_is_taken_against_the_controls_of_the_same_fold(tmp_path: Path) -> None:
    hard = {"shuffled": [score("f1", 0.0)], "truth": [score("f1", 0.5)]}
    (exam,) = exams(tmp_path, donor("d1", 0.6), donor("d2", 0.25, controls=hard))
    cell = entries(exam)["pca"].cells[0]
    assert cell.skill == pytest.approx((0.5 + 0.5) / 2)
    assert cell.spread.mean == pytest.approx(0.425)
    assert (cell.n_runs, cell.n_units, cell.unit_kind) == (2, 2, "fold")
    floor = next(c for c in exam.tracks[0].controls if c.role == "floor")
    assert floor.cells[0].spread.mean == pytest.approx(0.1)


def test_a_part_of_the_folds_is_not_the_whole(tmp_path: Path) -> None:
    (exam,) = exams(tmp_path, donor("d1", 0.6, folds=["d1", "d2", "d3"]))
    assert (entries(exam)["pca"].n_missing, entries(exam)["pca"].complete, exam.n_folds) == (2, False, 3)


def test_a_score_that_is_not_defined_in_one_fold_has_no_skill(tmp_path: Path) -> None:
    (exam,) = exams(tmp_path, donor("d1", 0.8), donor("d2", None))
    cell = entries(exam)["pca"].cells[0]
    assert (cell.spread.mean, cell.skill, cell.above_floor) == (0.8, None, False)


def test_versions_of_a_metric_sit_different_exams(tmp_path: Path) -> None:
    found = exams(tmp_path, donor("d1", 0.6), donor("d2", 0.6, task__metrics=[metric("f1", version="2")]))
    assert len(found) == 2
    reworded = exams(tmp_path / "2", donor("d1", 0.6), donor("d2", 0.6, task__metrics=[metric("f1", summary="other")]))
    assert len(reworded) == 1


def test_equals_share_a_rank(tmp_path: Path) -> None:
    (overall,) = rank(exams(tmp_path, *(donor("d1", 0.6, model__name=name) for name in ("a", "b", "c"))))
    assert [s.rank for s in overall.standings] == [1, 1, 1]


def test_a_metric_may_have_a_floor_of_its_own(tmp_path: Path) -> None:
    controls = {"shuffled": [score("f1", 0.2)], "mean": [score("f1", 0.4)], "truth": [score("f1", 1.0)]}
    (exam,) = exams(tmp_path, donor("d1", 0.7, task__metrics=[metric("f1", floor="mean")], controls=controls))
    assert entries(exam)["pca"].cells[0].skill == pytest.approx(0.5)
    assert {c.name: c.role for c in exam.tracks[0].controls} == {"shuffled": "", "mean": "floor", "truth": "ceiling"}


def test_without_a_ceiling_control_the_bound_is_the_ceiling(tmp_path: Path) -> None:
    (exam,) = exams(tmp_path, donor("d1", 0.6, task__ceiling=""))
    assert entries(exam)["pca"].cells[0].skill == pytest.approx(0.5)
    (exam,) = exams(tmp_path / "2", donor("d1", 0.6, task__ceiling="", task__metrics=[metric("f1", upper=None)]))
    assert entries(exam)["pca"].cells[0].skill is None


def test_failed_not_run_and_not_applicable_are_three_states(tmp_path: Path) -> None:
    (exam,) = exams(
        tmp_path,
        *(donor(d, 0.5) for d in ("d1", "d2", "d3")),
        donor("d1", 0.9, model__name="scvi"),
        failure("oom", "out of memory", **_changes(donor("d2", None, model__name="scvi"))),
        failure("timeout", **_changes(donor("d1", None, model__name="slow"))),
        failure(
            "incompatible", "cannot embed new cells", **_changes(donor("all", None, model__name="harmony"), identity="")
        ),
    )
    found = entries(exam)
    assert {name: e.state for name, e in found.items()} == {
        "pca": "ok",
        "scvi": "ok",
        "slow": "failed",
        "harmony": "not applicable",
    }
    scvi = found["scvi"]
    assert (scvi.n_ok, scvi.n_failed, scvi.n_missing, scvi.complete) == (1, 1, 1, False)
    assert scvi.errors == ("oom: out of memory",)
    assert found["slow"].cells[0].spread.mean is None
    assert [e.model for e in exam.tracks[0].entries] == ["pca", "scvi", "slow", "harmony"]  # incomplete is not first


def _changes(record: Record, identity: str | None = None) -> dict[str, Any]:
    """The parts of a record that name its exam and model, to make a failure of."""
    kept = ("model", "task", "dataset", "fold", "seed", "split", "track")
    changes: dict[str, Any] = {k: record[k] for k in kept}
    if identity is not None:
        changes["dataset"] = {**record["dataset"], "identity": identity}
    return changes


def test_a_refusal_is_forgotten_once_the_model_has_run(tmp_path: Path) -> None:
    refused = failure(
        "incompatible", "needs obs donor", fold="", dataset__identity="", task__config={}, run_id="refused"
    )
    (exam,) = exams(tmp_path, refused)
    assert [e.state for e in exam.tracks[0].entries] == ["not applicable"]
    (exam,) = exams(tmp_path, make_record(task__bridge="logreg", task__config={}))
    assert [e.state for e in exam.tracks[0].entries] == ["ok"]


def test_a_value_that_is_not_defined_is_not_zero(tmp_path: Path) -> None:
    (exam,) = exams(tmp_path, make_record({"nmi": 0.5, "ari": 0.4, "ilisi": None, "error": 1.0}))
    cells = entries(exam)["pca"].cells
    for name in ("ilisi", "batch", "aggregate"):
        cell = cells[column(exam, name)]
        assert (cell.spread.mean, cell.skill, cell.n_runs, cell.above_floor) == (None, None, 0, False)


def test_bridges_sit_the_same_exam_and_other_settings_another(tmp_path: Path) -> None:
    def bridged(bridge: str, model: str, **config: Any) -> Record:
        config = {"metric": "cosine", **config}
        return donor("d1", 0.5, model__name=model, task__bridge=bridge, task__config=config)

    found = exams(
        tmp_path,
        bridged("logreg", "pca"),
        bridged("knn", "pca"),
        bridged("", "logreg"),
        bridged("knn", "pca", metric="euclidean"),
    )
    assert sorted(tuple(entries(exam)) for exam in found) == [("logreg", "pca+knn", "pca+logreg"), ("pca+knn",)]
    assert {exam.settings["metric"] for exam in found} == {"cosine", "euclidean"}


def test_configurations_versions_and_data_are_never_mixed(tmp_path: Path) -> None:
    found = exams(
        tmp_path,
        make_record(),
        make_record(model__config={"n_components": 30}),
        make_record(model__version="2"),
        make_record(model__weights_sha256="aa"),
        make_record(dataset__identity="other"),
        make_record(task__version="2"),
        make_record(track="zero-shot", model__fits="no"),
    )
    assert len(found) == 3
    assert sorted(len(track.entries) for exam in found for track in exam.tracks) == [1, 1, 1, 4]


def test_suspects_flags_and_notes_are_kept(tmp_path: Path) -> None:
    flags = [
        {"kind": "suspect", "reason": "not better than shuffled"},
        {"kind": "confounded", "reason": "donor = batch"},
    ]
    (exam,) = exams(
        tmp_path, donor("d1", 0.1, flags=flags, dataset__notices=["2 cells dropped"]), donor("d2", 0.5, flags=flags)
    )
    assert entries(exam)["pca"].suspects == ("not better than shuffled",)
    assert entries(exam)["pca"].flags == ("confounded: donor = batch",)
    assert exam.notes == ("2 cells dropped", "fold d1: note of d1", "fold d2: note of d2")


def test_parts_are_summarised_apart(tmp_path: Path) -> None:
    rows = [*scores({"f1": 0.5}), score("f1", 0.1, part={"shots": "1"}), score("f1", None, part={"shots": "5"})]
    (exam,) = exams(tmp_path, donor("d1", 0.5, scores=rows))
    parts = entries(exam)["pca"].parts
    assert parts["f1", (("shots", "1"),)].spread.mean == 0.1
    assert parts["f1", (("shots", "5"),)].spread.mean is None
    assert entries(exam)["pca"].cells[0].spread.mean == 0.5


def test_costs_keep_the_probe_apart(tmp_path: Path) -> None:
    cost = dict(make_record()["cost"], phases={"fit": 2.0, "bridge": 7.0}, peak_rss_bytes=10)
    (exam,) = exams(tmp_path, donor("d1", 0.5, cost=cost), donor("d2", 0.5, cost={**cost, "phases": {"fit": 4.0}}))
    found = entries(exam)["pca"].cost
    assert (found.fit_s, found.bridge_s, found.peak_rss_bytes) == (3.0, 7.0, 10)


def standings(results: Path, *made: Record) -> dict[str, Standing]:
    (overall,) = rank(exams(results, *made))
    return {standing.entry.model: standing for standing in overall.standings}


def test_overall_rank_needs_every_exam(tmp_path: Path) -> None:
    found = standings(
        tmp_path,
        make_record(),
        donor("d1", 0.6),
        make_record({"nmi": 0.9, "ari": 0.8, "ilisi": 0.9, "error": 0.1}, model__name="scvi"),
        make_record(model__name="uce"),
        failure(**_changes(donor("d1", None, model__name="uce"))),
    )
    assert found["pca"].rank == 1
    assert found["pca"].skill == pytest.approx((0.5 + 0.39 / 0.94) / 2)
    assert (found["scvi"].rank, found["scvi"].skill, found["scvi"].entries[0]) == (None, None, None)
    assert (found["uce"].rank, found["uce"].skill) == (None, None)


def test_optimistic_splits_never_count(tmp_path: Path) -> None:
    split = {"by": "cells", "sizes": {}, "held_out": [], "notes": [], "optimistic": True}
    found = exams(tmp_path, make_record(), donor("0", 0.99, split=split))
    assert [exam.optimistic for exam in found] == [True, False]
    assert [exam.task for overall in rank(found) for exam in overall.exams] == ["integration"]


@pytest.mark.parametrize(
    ("weights", "ranked"), [("published", 1), ("own", 1), ("none", 1), ("untrained", None), ("unverified", None)]
)
def test_only_known_weights_are_ranked(tmp_path: Path, weights: str, ranked: int | None) -> None:
    assert standings(tmp_path, make_record(model__weights=weights))["pca"].rank == ranked


def test_what_was_trained_on_scored_cells_is_shown_last_and_not_ranked(tmp_path: Path) -> None:
    best = {"nmi": 0.99, "ari": 0.8, "ilisi": 0.99, "error": 0.0}
    (exam,) = exams(
        tmp_path, make_record(best, model__name="seen", **contaminated(5, 100, "kang")), make_record(model__name="new")
    )
    (overall,) = rank([exam])
    assert {s.entry.model: s.rank for s in overall.standings} == {"new": 1, "seen": None}
    assert [entry.model for entry in exam.tracks[0].entries] == ["new", "seen"]
    assert entries(exam)["seen"].contaminated == ("5 of 100 scored cells were in the training data (kang)",)
    assert entries(exam)["seen"].flags == ()


def test_contamination_is_added_up_over_folds_and_not_over_seeds(tmp_path: Path) -> None:
    (exam,) = exams(
        tmp_path,
        donor("d1", 0.5, **contaminated(1, 10, "a")),
        donor("d1", 0.5, seed=1, **contaminated(1, 10, "a")),
        donor("d2", 0.5, **contaminated(20, 1000, "a", "b")),
        donor("d3", 0.5, contamination=contaminated(0, 5)["contamination"]),
    )
    assert entries(exam)["pca"].contaminated == ("21 of 1,015 scored cells were in the training data (a, b)",)


def test_what_is_declared_is_said_once(tmp_path: Path) -> None:
    flags = [{"kind": "contaminated", "reason": "kang2018 was among its training data (declared, not computed)"}]
    (exam,) = exams(tmp_path, donor("d1", 0.5, flags=flags), donor("d2", 0.5, flags=flags))
    assert entries(exam)["pca"].contaminated == (flags[0]["reason"],)


def test_one_model_with_two_weights_is_two(tmp_path: Path) -> None:
    """The exam of one weights must not complete the rank of the other."""
    (overall,) = rank(
        exams(
            tmp_path,
            make_record(model__weights="own", model__weights_sha256="a" * 64),
            make_record(model__weights="own", model__weights_sha256="b" * 64),
            donor("d1", 0.6, model__weights="own", model__weights_sha256="b" * 64),
        )
    )
    found = [(s.rank, [e and e.weights_sha256[0] for e in s.entries]) for s in overall.standings]
    assert found == [(1, ["b", "b"]), (None, [None, "a"])]


def test_bridges_are_ranked_apart(tmp_path: Path) -> None:
    def bridged(bridge: str, value: float) -> Record:
        return donor("d1", value, task__bridge=bridge)

    (overall,) = rank(exams(tmp_path, make_record(), bridged("knn", 0.5), bridged("logreg", 0.7)))
    chosen = [(s.rank, [e.bridge for e in s.entries if e]) for s in overall.standings]
    assert chosen == [(1, ["logreg", ""]), (2, ["knn", ""])]
