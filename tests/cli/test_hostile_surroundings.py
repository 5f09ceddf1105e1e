"""What is around `bench` goes wrong: the locale, the home, the cache, the disk, the clock, other processes, signals."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import filelock
import pytest
from tests.cli import broken_files as files
from tests.cli import broken_stores as stores
from tests.cli.bad_inputs import BAD_INPUT, OK, STORE
from tests.cli.broken_files import edited
from tests.cli.conftest import BENCH, Bench
from tests.cli.sites import install

from bench.runs import record as records

SMALL = ["--task", "clustering", "--dataset", "simulated", "--data-set", "n_cells=120", "--data-set", "n_genes=200"]
THREADS = """
import threading, time
from bench.hookspecs import hookimpl
threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
@hookimpl
def bench_models():
    return []
"""
FULL_DISK = """
import errno, os
from bench.hookspecs import hookimpl
real = os.fsync
def full(handle):
    if "/records/" in os.readlink(f"/proc/self/fd/{handle}"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    real(handle)
os.fsync = full
@hookimpl
def bench_models():
    return []
"""


def stored(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("results/records/*/*.json"))]


def test_no_home_no_cache_a_locale_of_ascii_and_a_plugin_with_threads(
    bench: Bench, hazards: Path, tmp_path: Path
) -> None:
    """All at once, on a file whose name is not ASCII, with a model that is named twice."""
    site = install(tmp_path / "site", "threads", THREADS)
    edited(files.distinct_types, "données.h5ad")(tmp_path)
    (tmp_path / "file").touch()
    surroundings = {
        **{"HOME": None, "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        "BENCH_CACHE_DIR": str(tmp_path / "file" / "no-folder-can-be-here"),
    }
    command = ["run", "--model", "fine,fine", "--model", "fine", "--task", "clustering", "--dataset", "données.h5ad"]
    answer = bench(*command, cwd=tmp_path, plugins=[hazards, site], **surroundings)
    assert answer.returncode == OK, answer.stderr
    assert "fine · clustering · " in answer.stderr
    assert "skipped" not in answer.stderr
    (record,) = stored(tmp_path)
    assert record["status"] == "ok"
    shown = bench("results", "--csv", cwd=tmp_path, plugins=[hazards, site], **surroundings)
    assert len(shown.stdout.splitlines()) == 1 + 4  # every metric of the one run


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_names_never_stop_the_answer_whatever_the_terminal_can_print(
    bench: Bench, tmp_path: Path, encoding: str
) -> None:
    stores.stored({"model__name": "modèle 🧬"})(tmp_path)
    answer = bench("results", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert answer.returncode == OK, answer.stderr
    assert "modèle 🧬" in answer.stdout or r"\U0001f9ec" in answer.stdout


def test_a_full_disk_does_not_cost_the_measurement(bench: Bench, hazards: Path, tmp_path: Path) -> None:
    site = install(tmp_path / "site", "full_disk", FULL_DISK)
    cache = tmp_path / "cache"
    run = ["run", "--model", "fine", *SMALL, "--executor", "inline"]
    answer = bench(*run, cwd=tmp_path, plugins=[hazards, site], BENCH_CACHE_DIR=str(cache))
    assert answer.returncode == STORE
    assert "Traceback" not in answer.stderr
    assert "No space left on device; its record is kept in" in answer.stderr
    assert stored(tmp_path) == []
    assert not list(tmp_path.glob("results/records/*/.*"))
    (kept,) = (cache / "unsaved").iterdir()
    record = records.read(kept)
    assert record["status"] == "ok"
    home = tmp_path / "results" / "records" / record["run_id"][:2] / kept.name
    assert f"move it to {home}" in answer.stderr
    home.parent.mkdir(exist_ok=True)
    kept.rename(home)
    assert bench("index", cwd=tmp_path).stdout == "1 records added\n"
    again = bench(*run, cwd=tmp_path, plugins=[hazards])
    assert "1 of 1 runs were done before" in again.stderr


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with one record and its index."""
    stores.damaged(lambda path: None)(tmp_path)
    return tmp_path / stores.RESULTS


@pytest.mark.slow  # it waits for the lock, as it should
def test_an_index_that_another_process_holds_is_answered_around(bench: Bench, results: Path) -> None:
    stores.stored({"seed": 1})(results.parent)
    with filelock.FileLock(results / "bench.duckdb.lock"):
        answer = bench("results", "--json", "--results", results)
    assert answer.returncode == OK
    assert "held by another process" in answer.stderr
    assert len(json.loads(answer.stdout)["runs"]) == 2
    stores.stored({"seed": 2})(results.parent)
    with duckdb.connect(str(results / "bench.duckdb")):
        answer = bench("results", "--json", "--results", results)
    assert "held by another process" in answer.stderr
    assert len(json.loads(answer.stdout)["runs"]) == 3


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A results folder that may be read and not written; pytest's own are closed to other users."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        stores.stored()(home)
        for path in (home, *home.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield home
        for path in (home, *home.rglob("*")):
            path.chmod(stat.S_IRWXU)


AS_NOBODY = """
import os, sys
import duckdb, filelock, pandas, bench.cli.results, bench.cli.summary, bench.store.index, bench.store.summary
from bench.cli.main import main
os.getuid() or os.setuid(65534)  # root may write anywhere; others may not be able to import bench
sys.argv = ["bench", "results"]
main()
"""


def test_a_read_only_results_folder_is_exit_4(read_only: Path) -> None:
    answer = subprocess.run([sys.executable, "-c", AS_NOBODY], cwd=read_only, capture_output=True, text=True)
    assert answer.returncode == STORE, answer.stderr
    assert "cannot write the index results/bench.duckdb" in answer.stderr
    assert "make the folder writable" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


def test_a_clock_that_went_back_changes_no_order(bench: Bench, tmp_path: Path) -> None:
    """Attempts are counted, never dated: the later attempt is shown though it bears the earlier time."""
    old, new = {"created": "2099-01-01T00:00:00+00:00"}, {"created": "2001-01-01T00:00:00+00:00"}
    stores.stored({"values": {"nmi": 0.1}, **old}, {"values": {"nmi": 0.9}, **new})(tmp_path)
    answer = bench("results", "--json", cwd=tmp_path)
    (run,) = json.loads(answer.stdout)["runs"]
    assert run["attempt"] == 2
    assert [s["value"] for s in run["scores"] if s["metric"] == "nmi"] == [0.9]


def test_a_file_from_the_future_is_read(bench: Bench, tmp_path: Path) -> None:
    edited(lambda data: None)(tmp_path)
    os.utime(tmp_path / "x.h5ad", (4e9, 4e9))
    edited(files.one_type, "y.h5ad")(tmp_path)
    os.utime(tmp_path / "y.h5ad", (-1e9, -1e9))
    refused = bench("run", "--model", "logreg", "--task", "clustering", "--dataset", "x.h5ad", cwd=tmp_path)
    assert "needs EmbedsCells" in refused.stderr
    refused = bench("run", "--model", "pca", "--task", "clustering", "--dataset", "y.h5ad", cwd=tmp_path)
    assert "found 1 ('T')" in refused.stderr
    assert refused.returncode == BAD_INPUT


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_whole_records_and_no_process(
    bench: Bench, hazards: Path, tmp_path: Path, ending: signal.Signals
) -> None:
    """One run has ended and one is under way; what is there is whole, and is not run again."""
    environment = {**os.environ, "PYTHONPATH": str(hazards)}
    command = ["run", "--model", "fine,hang", *SMALL]
    process = subprocess.Popen(
        [BENCH, *command],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(ending, signal.SIG_DFL),  # tests in the background of a shell ignore SIGINT
    )
    deadline = time.monotonic() + 120
    while not stored(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(ending)
    _, said = process.communicate(timeout=30)
    assert process.returncode == (130 if ending is signal.SIGINT else -ending)
    assert "Traceback" not in said
    time.sleep(1)
    scratch = tmp_path / "results" / ".scratch"
    survivors = subprocess.run(["pgrep", "-f", str(scratch)], capture_output=True, text=True, check=False)
    assert survivors.stdout == ""
    assert [r["model"]["name"] for r in stored(tmp_path)] == ["fine"]
    again = bench("run", "--model", "fine", *SMALL, cwd=tmp_path, plugins=[hazards])
    assert again.returncode == OK
    assert "1 of 1 runs were done before" in again.stderr
    assert list(scratch.iterdir()) == []
