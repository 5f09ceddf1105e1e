"""Whatever a plugin does to its process, the kit tells and goes on."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

import pytest

from bench.catalogue import Broken, catalogue
from bench.conformance import Row, examine
from bench.conformance.examine import requested
from bench.errors import BadInput


def test_a_crash_fails_its_check_and_the_others_go_on(misfits: Path) -> None:
    seen: list[Row] = []
    report = examine("crashes", on_row=seen.append)
    assert not report.passed
    assert str(report).splitlines() == [
        "model crashes: 2 of 18 checks fail",
        "per cell: the process died with SIGSEGV in this check",
        "one cell: the process ended with exit code 7 in this check; last words: bye",
    ]
    assert report.row("other genes").result == "ok"
    assert tuple(seen) == report.rows
    assert json.loads(json.dumps(report.as_dict()))["checks"][0]["check"] == "spec"


def test_a_thread_that_never_ends_is_not_waited_for(misfits: Path) -> None:
    started = time.monotonic()
    assert examine("lingers", timeout=60).passed
    assert time.monotonic() - started < 50


@pytest.mark.slow
def test_a_check_that_hangs_is_ended(misfits: Path) -> None:
    report = examine("hangs", timeout=15)
    assert [row.check for row in report.failed] == ["per cell"]
    assert report.row("per cell").found == "no answer after 15 s; raise --timeout, or mend what hangs"


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("fien", {}, "unknown model or task 'fien'. Did you mean 'fine'?"),
        ("fine", {"kind": "task"}, "unknown task 'fine'"),
        ("fine", {"set": {"widht": 3}}, "Did you mean 'width'?"),
        ("fine", {"weights": "untrained"}, "has no weights to load"),
        ("fine-task", {"weights": "untrained"}, "has no weights to load"),
        ("kind-weights", {}, "needs weights"),
    ],
)
def test_what_cannot_be_examined_is_refused_before_a_process_starts(
    misfits: Path, name: str, more: dict, message: str
) -> None:
    with pytest.raises(BadInput, match=message.replace("?", r"\?")):
        examine(name, **more)


def test_a_plugin_that_is_not_loaded_says_why_and_nothing_else(misfits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (Broken("mine", "bench-mine 0.1", "SyntaxError: expected ':' (plugin.py, line 26)"),)
    found = dataclasses.replace(catalogue(), broken=broken)
    monkeypatch.setattr(sys.modules[requested.__module__], "catalogue", lambda: found)
    with pytest.raises(BadInput) as refused:
        examine("mine")
    assert str(refused.value) == (
        "plugin 'mine' (bench-mine 0.1) not loaded: SyntaxError: expected ':' (plugin.py, line 26)."
    )


def test_a_name_that_two_kinds_have_must_be_told_apart(misfits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = catalogue()
    monkeypatch.setitem(found.models.specs, "fine-task", found.models.specs["fine"])
    with pytest.raises(BadInput, match="say which with --kind model or --kind task"):
        examine("fine-task")
