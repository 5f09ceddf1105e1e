"""A store that is damaged, foreign, newer or not writable says so and how to mend it; rebuilding always does."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from record_factory import make_record, write_all

from bench.errors import StoreError
from bench.store import schema
from bench.store.index import Store

REPO = Path(__file__).parents[2]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The index of a folder with one record."""
    write_all(tmp_path, make_record())
    Store(tmp_path).sync()
    return tmp_path / "bench.duckdb"


def zero_bytes(path: Path) -> None:
    path.write_bytes(b"")


def not_a_database(path: Path) -> None:
    path.write_bytes(b"<html>404 not found</html>" * 1000)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:12288] = os.urandom(8192)
    path.write_bytes(content)


def foreign(path: Path) -> None:
    path.unlink()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE mine (a INTEGER)")


def newer(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE bench_index SET version = 99")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [zero_bytes, not_a_database, truncated, overwritten, foreign, newer])
def test_damage_is_named_and_rebuilding_mends_it(database: Path, damage: Callable[[Path], None]) -> None:
    damage(database)
    with pytest.raises(StoreError, match=r"bench index --rebuild") as caught:
        Store(database.parent).sync()
    assert str(database) in str(caught.value)
    assert caught.value.exit_code == 4
    assert "upgrade" in str(caught.value) or damage is not newer
    store = Store(database.parent)
    assert store.sync(rebuild=True).ingested == 1
    assert store.sync().ingested == 0


def test_a_folder_in_the_place_of_the_index_is_an_error(database: Path) -> None:
    a_folder(database)
    with pytest.raises(StoreError):
        Store(database.parent).sync()


def test_an_older_index_is_made_anew(database: Path) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute("UPDATE bench_index SET version = 0")
        connection.execute("DROP VIEW runs")
    assert Store(database.parent).sync().ingested == 1
    with duckdb.connect(str(database)) as connection:
        assert connection.execute("SELECT version FROM bench_index").fetchone() == (schema.VERSION,)


def test_a_leftover_log_does_not_meet_a_new_index(database: Path) -> None:
    Path(f"{database}.wal").write_bytes(b"not a log")
    assert Store(database.parent).sync(rebuild=True).ingested == 1


def test_no_score_can_be_nan(database: Path) -> None:
    with duckdb.connect(str(database)) as connection, pytest.raises(duckdb.ConstraintException):
        connection.execute("UPDATE scores SET value = 'nan'::DOUBLE")


def test_asking_without_an_index_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="run `bench index`"), Store(tmp_path).connection():
        pass


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A results folder that nobody but its owner may write; pytest's own are closed to other users."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        write_all(results, make_record())
        for path in (results, *results.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield results
        results.chmod(stat.S_IRWXU)
        for path in results.rglob("*"):
            path.chmod(stat.S_IRWXU)


def test_a_read_only_folder_is_said(read_only: Path) -> None:
    program = (
        "import os, sys, filelock, duckdb\nfrom pathlib import Path\nfrom bench.store.index import Store\n"
        "from bench.errors import StoreError\n"
        "os.getuid() or os.setuid(65534)\n"  # root may write anywhere
        "try: Store(Path(sys.argv[1])).sync()\nexcept StoreError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(read_only)], capture_output=True, text=True, cwd=REPO)
    assert "cannot write the index" in done.stdout, done.stderr
    assert "make the folder writable" in done.stdout
