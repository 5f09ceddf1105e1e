"""The installation: what plugins do stays with them, and folders are told as they are."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.cli.sites import install
from tests.store.record_factory import make_record

from bench.diagnosis import folders, packages, plugins
from bench.diagnosis.finding import Finding
from bench.store.index import Store

GOOD = """
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec

@hookimpl
def bench_models():
    return [ModelSpec("{name}", "", "m:M", frozenset({{Cap.EMBEDS_CELLS}}), requires=({requires}))]
"""
HOSTILE = {
    "absent": ("import no_such_module", "No module named 'no_such_module'"),
    "exits": ("import sys; sys.exit(5)", "its module calls sys.exit(5)"),
    "vanishes": ("import os; os._exit(3)", "it ended the process with exit code 3 while it was loaded"),
    "crashes": (
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "it died with signal 11 (SIGSEGV) while it was loaded",
    ),
    "hangs": ("import time; time.sleep(600)", "it did not end within 6 s while it was loaded"),
    "misspelt": (
        "from bench.hookspecs import hookimpl\n@hookimpl\ndef bench_modls():\n    return []",
        "unknown hook 'bench_modls'",
    ),
    "empty": ("", "implements no hook"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    for name, (source, _) in HOSTILE.items():
        install(folder, name, source)
    install(folder, "prints", 'print("hello from here")\n' + GOOD.format(name="talker", requires=""))
    install(folder, "twin_a", GOOD.format(name="twin", requires=""))
    install(folder, "twin_b", GOOD.format(name="twin", requires=""))
    install(folder, "needy", GOOD.format(name="needy", requires='"no-such-package>=2",'))
    return folder


@pytest.fixture(scope="module")
def found(site: Path) -> list[Finding]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site))
        patch.syspath_prepend(str(site))
        return plugins.examine(limit=6)


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_plugin_is_named_with_what_it_does(found: list[Finding], name: str) -> None:
    (finding,) = [f for f in found if f"'{name}' ({name} 1.0)" in f.text]
    assert finding.level == "error"
    assert HOSTILE[name][1] in finding.text


@pytest.mark.slow
def test_the_others_are_loaded_all_the_same(found: list[Finding]) -> None:
    (summary,) = [f for f in found if f.level == "ok"]
    working, total = (int(part) for part in summary.text.split(" plugins")[0].split(" of "))
    assert total - working == len(HOSTILE)


@pytest.mark.slow
def test_a_plugin_that_prints_is_a_warning(found: list[Finding]) -> None:
    (finding,) = [f for f in found if "'prints'" in f.text]
    assert finding.level == "warning"
    assert "'hello from here'" in finding.text


@pytest.mark.slow
def test_a_name_that_two_claim_is_an_error(found: list[Finding]) -> None:
    (finding,) = [f for f in found if "'twin'" in f.text]
    assert finding.level == "error"
    assert "registered by twin_a 1.0, twin_b 1.0" in finding.text
    assert finding.mend == "pip uninstall twin_b"


@pytest.mark.slow
def test_what_a_model_needs_comes_with_the_command(found: list[Finding]) -> None:
    (finding,) = [f for f in found if "no-such-package" in f.text]
    assert finding.level == "warning"
    assert finding.mend == "pip install 'no-such-package>=2'"


def test_requirements_are_compared_without_imports() -> None:
    assert packages.unmet(["numpy>=1", "numpy; python_version < '3'", "no-such-thing; extra == 'x'"]) == []
    assert packages.unmet(["numpy<1"])[0][0] == "numpy<1"
    assert packages.unmet(["no-such-thing>=1"]) == [("no-such-thing>=1", "no-such-thing is not installed")]
    assert "is no requirement" in packages.unmet(["no such thing"])[0][1]


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


def test_no_results_folder_yet_is_well(tmp_path: Path) -> None:
    (finding,) = folders.results(tmp_path / "results")
    assert finding.level == "ok"
    assert "the first run makes it" in finding.text


def test_a_file_in_place_of_the_results_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    (finding,) = folders.results(tmp_path / "results")
    assert finding.level == "error"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two records, and an index that holds both."""
    for run in ("aa1", "aa2"):
        path = tmp_path / "records" / "aa" / f"{run}.1.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make_record(run_id=run)))
    Store(tmp_path).sync()
    return tmp_path


def test_a_sound_results_folder(store: Path) -> None:
    found = folders.results(store)
    assert levels(found) == ["ok", "ok"]
    assert "2 records" in found[0].text
    assert found[1].text == "the index holds every record"


def test_an_index_that_is_behind_is_a_note(store: Path) -> None:
    (store / "records" / "aa" / "aa3.1.json").write_text(json.dumps(make_record(run_id="aa3")))
    found = folders.results(store)
    assert levels(found) == ["ok", "note"]
    assert "1 record behind" in found[1].text
    assert found[1].mend == "bench index"


def test_files_that_are_no_records_are_named(store: Path) -> None:
    (store / "records" / "aa" / "zz.json").write_text('{"half": ')
    found = folders.results(store)
    errors = [f.text for f in found if f.level == "error"]
    assert len(errors) == 1
    assert "records/aa/zz.json: invalid JSON at byte" in errors[0]


@pytest.mark.parametrize("content", [b"", b"no database", b"\x00" * 5000])
def test_a_damaged_index_comes_with_the_command_that_mends_it(store: Path, content: bytes) -> None:
    (store / "bench.duckdb").write_bytes(content)
    errors = [f for f in folders.results(store) if f.level == "error"]
    assert [f.mend for f in errors] == ["bench index --rebuild"]


def test_an_index_that_is_held_is_a_note(store: Path) -> None:
    import filelock

    with filelock.FileLock(store / "bench.duckdb.lock"):
        found = folders.results(store)
    assert levels(found) == ["ok", "ok", "note"]
    assert "another process holds the index" in found[2].text


def test_looking_changes_nothing(store: Path) -> None:
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    folders.results(store)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_a_folder_that_cannot_be_written_to_is_an_error(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = os.access
    # root, as whom CI runs, may write everywhere, whatever the permissions say
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and allowed(path, mode))
    assert [f.text for f in folders.results(store) if "cannot be written to" in f.text and f.level == "error"]


def test_variables_that_are_set_are_listed_and_misspelt_ones_too() -> None:
    found = folders.environment({"BENCH_RESULTS": "r", "BENCH_RESULT": "r", "BENCH_CONTROLS": "c", "HOME": "h"})
    assert levels(found) == ["warning", "ok"]
    assert "did you mean BENCH_RESULTS?" in found[0].text
    assert levels(folders.environment({"HOME": "h"})) == ["ok"]


def test_the_cache_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    (tmp_path / "x").write_bytes(b"0" * 2**20)
    (finding,) = folders.cache()
    assert finding.text == f"{tmp_path}: 1.0 MiB"
