"""All sixty bad inputs through the installed console script.

One clear message, the right exit code, no traceback, nothing on stdout but an answer, nothing half-written in the
results folder; a run that failed leaves a record with its reason. The rows are in `bad_inputs.py`.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.bad_inputs import ELSEWHERE, LATER, OK, ROWS, SESSIONS, Row, Session
from tests.cli.broken_stores import SQL_NAME, TAG_NAME
from tests.cli.conftest import Bench, source_of
from tests.cli.sites import install

from bench.catalogue import catalogue
from bench.runs import record as records

Answer = subprocess.CompletedProcess[str]
ANSWERS = ("rogue", "vanishing plugin")
"""Sessions whose answer is a table of what is wrong: it is on stdout."""
CASES = [(number, row) for number, rows in sorted(ROWS.items()) for row in rows]


def marks(session: str) -> list[pytest.MarkDecorator]:
    """Sessions that take long are for `make slow`."""
    return [pytest.mark.slow] if SESSIONS[session].slow else []


def called(number: int, row: Row) -> str:
    return f"{number}-{row.session}{row.model and '-' + row.model}"


@pytest.fixture(scope="module")
def meet(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Answer, Path]]:
    """Run a session once; its answer and its folder."""
    root = tmp_path_factory.mktemp("sixty")
    known: dict[str, tuple[Answer, Path]] = {}

    def run(name: str) -> tuple[Answer, Path]:
        if name not in known:
            known[name] = _met(bench, SESSIONS[name], root / name)
        return known[name]

    return run


def _met(bench: Bench, session: Session, folder: Path) -> tuple[Answer, Path]:
    folder.mkdir()
    session.make(folder)
    sites = [install(folder.with_name(f"{folder.name} {p}"), p, source_of(p)) for p in session.plugins]
    sites += [session.site(folder.with_name(f"{folder.name} site"))] if session.site else []
    return bench(*shlex.split(session.command), cwd=folder, plugins=sites), folder


def every(folder: Path) -> list[records.Record]:
    """All records of a folder."""
    return [records.read(path) for path in sorted(folder.glob("results/records/??/*.json"))]


def made(folder: Path) -> dict[str, Any]:
    """Records of a results folder by model."""
    return {record["model"]["name"]: record for record in every(folder)}


@pytest.mark.parametrize("row", [pytest.param(row, id=called(n, row), marks=marks(row.session)) for n, row in CASES])
def test_a_row(meet: Callable[[str], tuple[Answer, Path]], row: Row) -> None:
    answer, folder = meet(row.session)
    if row.model:
        record = made(folder)[row.model]
        assert record["status"] == row.status
        said = record["error"]["message"] if record["error"] else ""
    else:
        said = answer.stdout if row.session in ANSWERS else answer.stderr
    for text in row.says:
        assert text in said


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in SESSIONS])
def test_a_session(meet: Callable[[str], tuple[Answer, Path]], name: str) -> None:
    answer, folder = meet(name)
    assert answer.returncode == SESSIONS[name].code, answer.stderr
    assert "Traceback" not in answer.stderr
    assert len(answer.stderr) < 20_000
    if answer.returncode != OK and name not in (*ANSWERS, "grid", "weights"):
        assert answer.stdout == ""
    assert not list(folder.rglob("*.tmp"))
    if name != "foreign records":
        _assert_whole(folder)


def _assert_whole(folder: Path) -> None:
    """Whatever was stored is complete: scores only of runs that went well, a reason for every other."""
    scratch = folder / "results" / ".scratch"
    assert not scratch.exists() or not list(scratch.iterdir())
    outputs = set()
    for record in every(folder):
        well, error = record["status"] == "ok", record["error"]
        assert well == bool(record["scores"]) == (error is None)
        assert error is None or (error["kind"] and error["message"])
        outputs |= {record["output"]} - {""}
        assert well or not record["output"]
    if folder.name != "evil records":  # made by hand, without outputs
        assert outputs == {p.relative_to(folder / "results").as_posix() for p in folder.glob("results/outputs/*")}


def test_every_row_is_here_or_comes_with_its_task() -> None:
    assert ROWS.keys() | LATER.keys() | ELSEWHERE.keys() == set(range(1, 61))
    assert len(ROWS) + len(LATER) + len(ELSEWHERE) == 60
    assert {row.session for _, row in CASES} == SESSIONS.keys()
    needed = {str(task.needs) for task in catalogue().tasks}
    assert not needed & set(LATER.values()), "the task of these rows is here now: move them to ROWS"


@pytest.mark.parametrize("number", ELSEWHERE)
def test_a_row_that_is_shown_elsewhere_is_shown_there(number: int) -> None:
    module, command, said = ELSEWHERE[number]
    code, told = importlib.import_module(module).CASES[command]
    assert said in told
    assert code == 2


def test_what_was_repaired_is_in_the_record(meet: Callable[[str], tuple[Answer, Path]]) -> None:
    """Rows 11, 14, 21, 22 and 58: the run went on, and whoever reads its record knows."""
    _, folder = meet("odd")
    record = made(folder)["fine"]
    for text in ("CSC to CSR", "repeated cell names", "no counts (first: 'cell3')", "genes have no counts"):
        assert any(text in notice for notice in record["dataset"]["notices"])
    assert record["task"]["config"]["fixed_resolution"] == 0.5
    assert record["dataset"]["n_obs"] == 119
    _, folder = meet("backed")
    assert "opened on disk" in str(made(folder)["fine"]["dataset"]["notices"])


def test_unseen_types_are_in_the_record(meet: Callable[[str], tuple[Answer, Path]]) -> None:
    """Row 29."""
    _, folder = meet("unseen type")
    notes = {str(record["split"]["notes"]) for record in every(folder)}
    assert notes == {"['types that do not occur in training: NK']", "['types that do not occur in training: B, T']"}


@pytest.mark.slow
def test_confounding_is_in_the_record_and_on_the_page(meet: Callable[[str], tuple[Answer, Path]], bench: Bench) -> None:
    """Row 31."""
    _, folder = meet("confounded")
    assert "confounded: " in str(made(folder)["pca"]["split"]["notes"])
    assert bench("leaderboard", cwd=folder).returncode == OK
    assert "confounded: every type occurs in one batch only" in (folder / "results/leaderboard/index.html").read_text()


def test_hostile_names_are_stored_as_they_are_and_shown_as_text(
    meet: Callable[[str], tuple[Answer, Path]], bench: Bench
) -> None:
    """Rows 37, 38 and 39."""
    answer, folder = meet("evil records")
    rows = list(csv.DictReader(io.StringIO(answer.stdout)))
    assert {row["model"] for row in rows} == {SQL_NAME, TAG_NAME}
    only = bench("results", "--model", SQL_NAME, "--json", cwd=folder)
    assert {run["model"] for run in json.loads(only.stdout)["runs"]} == {SQL_NAME}
    assert bench("leaderboard", cwd=folder).returncode == OK
    page = (folder / "results/leaderboard/index.html").read_text()
    assert "&lt;img src=x onerror=alert(1)&gt;&lt;/script&gt;" in page
    assert "<img" not in page
    assert "javascript:" not in page


@pytest.mark.slow
def test_the_log_of_a_failed_run_is_kept(meet: Callable[[str], tuple[Answer, Path]]) -> None:
    """Row 52."""
    error = made(meet("grid")[1])["raises"]["error"]
    assert error["kind"] == "RuntimeError"
    assert "about to fail" in error["log_tail"]
    assert error["log_tail"][-1] == "RuntimeError: the model broke"


@pytest.mark.slow
def test_no_code_of_a_stranger_has_run(meet: Callable[[str], tuple[Answer, Path]]) -> None:
    """Rows 54 and 56."""
    answer, folder = meet("weights")
    assert "weights_only" not in answer.stderr
    assert not (folder / "touched").exists()


def test_a_broken_plugin_stops_no_other(meet: Callable[[str], tuple[Answer, Path]]) -> None:
    """Rows 47 to 50: the list is there, with the loud one and without those that are wrong."""
    listed = meet("plugins")[0].stdout
    for name in ("pca", "loudly"):
        assert name in listed
    for name in ("hello", "tomorrow", "twin"):
        assert name not in listed


def test_what_is_wrong_with_an_index_is_mended_by_rebuilding(
    meet: Callable[[str], tuple[Answer, Path]], bench: Bench
) -> None:
    """Row 59."""
    _, folder = meet("half an index")
    assert bench("index", "--rebuild", cwd=folder).stdout == "1 records added\n"
    assert bench("results", cwd=folder).returncode == OK
