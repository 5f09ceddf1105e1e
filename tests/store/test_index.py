"""The index equals the records, whatever happened on the way there."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import filelock
import pytest
from record_factory import failure, make_record, write_all

from bench.errors import BadInput
from bench.store.index import Store
from bench.store.schema import TABLES

REPO = Path(__file__).parents[2]
SYNC = """
import sys
from pathlib import Path
from bench.store.index import Store
import duckdb
store = Store(Path(sys.argv[1]), wait_s=float(sys.argv[2]))
print("ready", flush=True)
report = store.sync()
with store.connection() as connection:
    print(report.in_memory, connection.execute("SELECT count(*) FROM runs").fetchone()[0])
"""


def contents(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with store.connection() as connection:
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for name in (*TABLES, "runs")}


def start_sync(results: Path, wait_s: float = 30) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SYNC, str(results), str(wait_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPO)


def write_quickly(results: Path, n: int) -> None:
    """Many records, without the fsync of the real writer."""
    for seed in range(n):
        record = make_record(seed=seed)
        path = results / "records" / record["run_id"][:2] / f"{record['run_id']}.1.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record))


def test_sync_takes_up_each_record_once(tmp_path: Path) -> None:
    write_all(tmp_path, make_record(seed=0), make_record(seed=1))
    store = Store(tmp_path)
    assert store.sync().ingested == 2
    before = contents(store)
    assert store.sync().ingested == 0
    assert contents(store) == before
    write_all(tmp_path, make_record(seed=2))
    assert store.sync().ingested == 1


def test_rebuild_gives_the_same_index(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for record in (make_record(seed=0), failure(seed=1), make_record(seed=1), failure("oom", seed=2)):
        write_all(tmp_path, record)
        store.sync()
    before = contents(store)
    assert store.sync(rebuild=True).ingested == 4
    assert contents(store) == before


def test_a_record_that_is_gone_leaves_the_index(tmp_path: Path) -> None:
    kept, gone = write_all(tmp_path, make_record(seed=0), make_record(seed=1))
    store = Store(tmp_path)
    store.sync()
    gone.unlink()
    assert store.sync().removed == 1
    after = contents(store)
    assert {row[0] for row in after["records"]} == {row[0] for row in after["scores"]} == {kept.name.split(".")[0]}


@pytest.mark.parametrize(
    ("statuses", "visible"),
    [
        (["failed", "ok"], ("ok", 2)),
        (["ok", "failed"], ("ok", 1)),
        (["ok", "ok"], ("ok", 2)),
        (["timeout", "oom"], ("oom", 2)),
    ],
)
def test_one_result_is_visible_per_run(tmp_path: Path, statuses: list[str], visible: tuple[str, int]) -> None:
    write_all(tmp_path, *(make_record() if status == "ok" else failure(status) for status in statuses))
    store = Store(tmp_path)
    store.sync()
    with store.connection() as connection:
        assert connection.execute("SELECT status, attempt FROM runs").fetchall() == [visible]


def test_foreign_files_are_skipped_and_the_rest_goes_on(tmp_path: Path) -> None:
    (written,) = write_all(tmp_path, make_record())
    folder = tmp_path / "records" / "zz"
    folder.mkdir()
    (folder / "x.json").write_text('{"a": 1, "b": 2, "c": 3x')
    (folder / "half.1.json").write_bytes(written.read_bytes()[:200])
    (folder / "list.json").write_text("[]")
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "bytes.json").write_bytes(b"\xff\xfe\x00")
    shutil.copy(written, folder / "elsewhere.1.json")
    newer = written.with_name("new.1.json")
    newer.write_text(json.dumps(make_record(run_id="new", schema=99)))
    report = Store(tmp_path).sync()
    assert report.ingested == 1
    reasons = dict(report.skipped)
    assert reasons["records/zz/x.json"] == "invalid JSON at byte 23"
    assert "skipped records/zz/x.json: invalid JSON at byte 23" in report.notices()
    assert "belongs at records/" in reasons["records/zz/elsewhere.1.json"]
    assert "upgrade" in reasons[f"records/{newer.parent.name}/new.1.json"]
    assert len(reasons) == 7


def test_no_results_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no results folder"):
        Store(tmp_path / "nowhere").sync()


def test_names_are_stored_verbatim(tmp_path: Path) -> None:
    name = "x'); DROP TABLE scores; --"
    write_all(tmp_path, make_record(model__name=name, task__name=name, fold=name))
    store = Store(tmp_path)
    store.sync()
    with store.connection() as connection:
        assert connection.execute("SELECT model, task, fold FROM runs").fetchall() == [(name,) * 3]
        assert connection.execute("SELECT count(*) FROM scores").fetchone() == (12,)


def test_a_busy_lock_is_answered_from_memory(tmp_path: Path) -> None:
    write_all(tmp_path, make_record())
    store = Store(tmp_path, wait_s=0.1)
    with filelock.FileLock(tmp_path / "bench.duckdb.lock"):
        report = store.sync()
    assert report.in_memory
    assert "another process" in report.notices()[0]
    assert not (tmp_path / "bench.duckdb").exists()
    assert len(contents(store)["runs"]) == 1


def test_a_writer_in_another_process_is_waited_for_or_done_without(tmp_path: Path) -> None:
    write_all(tmp_path, make_record())
    store = Store(tmp_path, wait_s=0.2)
    store.sync()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb, time; c = duckdb.connect({str(store.path)!r}); print(1, flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline()
        assert len(contents(store)["runs"]) == 1  # synced before, asked while another writes
        assert Store(tmp_path, wait_s=0.1).sync().in_memory
    finally:
        holder.kill()
        holder.wait()
    assert not Store(tmp_path).sync().in_memory


def test_concurrent_syncs_agree(tmp_path: Path) -> None:
    write_quickly(tmp_path, 60)
    syncs = [start_sync(tmp_path) for _ in range(3)]
    answers = [process.communicate()[0].split() for process in syncs]
    assert [process.returncode for process in syncs] == [0, 0, 0]
    assert {answer[-1] for answer in answers} == {"60"}
    assert Store(tmp_path).sync().ingested == 0


def test_threads_of_one_process_agree(tmp_path: Path) -> None:
    write_quickly(tmp_path, 20)
    stores = [Store(tmp_path) for _ in range(4)]
    threads = [threading.Thread(target=store.sync) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(contents(store)["runs"]) for store in stores] == [20] * 4


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 1], ids=["new index", "existing index"])
def test_kill_9_in_the_middle_of_a_sync_loses_nothing(tmp_path: Path, first: int) -> None:
    if first:
        write_quickly(tmp_path, 1)
        Store(tmp_path).sync()
    write_quickly(tmp_path, 1500)
    interrupted = 0
    for delay in (0.0, 0.02, 0.1, 0.3):
        process = start_sync(tmp_path)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay)
        process.kill()
        interrupted += process.wait() == -signal.SIGKILL
    assert interrupted >= 2
    store = Store(tmp_path)
    store.sync()
    assert not list(tmp_path.glob(".bench.duckdb.*"))
    rows = contents(store)
    assert len(rows["runs"]) == len({row[0] for row in rows["runs"]}) == 1500
    assert len(rows["scores"]) == 1500 * 12
