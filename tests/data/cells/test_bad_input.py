"""What cannot be a store is refused in one sentence, and nothing half-written is ever used."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bench.data.cells import contents, convert
from bench.data.cells.convert import store_of
from bench.data.cells.store import CellStore
from bench.data.options import DataOptions
from bench.errors import BadInput

COUNTS = np.random.default_rng(0).poisson(2.0, (500, 200)).astype(np.float32)
Write = Callable[..., Path]


def refusal(path: Path) -> str:
    """What the user is told: one line, and nothing is left but locks."""
    with pytest.raises(BadInput) as error:
        store_of(path)
    assert "\n" not in str(error.value)
    assert {left.suffix for left in leftovers()} == {".lock"}
    return str(error.value)


def leftovers() -> list[Path]:
    return list(Path(os.environ["BENCH_CACHE_DIR"], "stores").iterdir())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "X is not integer counts (min 0, max 10, 0.00"),
        (-2, "X has 1 negative values (first: cell 'c7', gene 'g3'); give raw counts."),
        (np.nan, "X has 1 NaN or infinite values (first: cell 'c7', gene 'g3'); give raw counts."),
        (
            2**24 + 2,
            "X has 1 too large (above 16,777,216) to be values (first: cell 'c7', gene 'g3'); give raw counts.",
        ),
    ],
)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_what_is_no_count_is_named_with_its_cell_and_gene(
    value: float, words: str, form: Callable, written: Write
) -> None:
    wrong = COUNTS.copy()
    wrong[7, 3] = value
    assert words in refusal(written(form(wrong)))


def test_normalised_data_are_refused(written: Write) -> None:
    text = refusal(written(sparse.csr_matrix(np.log1p(COUNTS))))
    assert "X is not integer counts (min 0, max 2." in text
    assert "give raw counts, and their place with --layer (in training --set data.layer)." in text


@pytest.mark.filterwarnings("ignore:.*names are not unique:UserWarning")
def test_counts_that_are_too_large_only_together_are_refused(written: Write) -> None:
    var = pd.DataFrame(index=["a", "a"])
    path = written(sparse.csr_matrix(np.array([[1, 0], [2**24, 1]], dtype="f4")), var=var)
    with pytest.raises(BadInput, match=r"X, added up, has 1 too large .* \(first: cell 'c1', gene 'a'\)"):
        store_of(path, options=DataOptions(duplicate_genes="sum"))


def test_cells_that_are_all_empty_are_refused(written: Write) -> None:
    assert "is empty after filtering: 0 of 3 cells left" in refusal(written(sparse.csr_matrix((3, 4), dtype="f4")))


def test_a_file_without_cells_or_genes_is_refused(written: Write) -> None:
    assert "is empty: 0 cells x 4 genes" in refusal(written(sparse.csr_matrix((0, 4), dtype="f4"), "cells"))
    assert "is empty: 3 cells x 0 genes" in refusal(written(sparse.csr_matrix((3, 0), dtype="f4"), "genes"))


def test_tables_of_another_length_are_refused(written: Write) -> None:
    path = written(sparse.csr_matrix(COUNTS))
    with h5py.File(path, "a") as file:
        file["X"].attrs["shape"] = (500, 201)
    assert "is not as long and wide as obs and var" in refusal(path)


def test_a_file_of_another_outline_is_refused(written: Write) -> None:
    path = written(COUNTS)
    with h5py.File(path, "a") as file:
        file.pop("layers", None)
        file["layers"] = 1
    assert "is not AnnData as anndata writes it" in refusal(path)


def test_a_table_is_refused_before_the_counts_are_written(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_write_matrix", None)
    path = written(COUNTS, obs=pd.DataFrame(index=["a\tb", *map(str, range(499))]))
    assert "holds control characters" in refusal(path)


def test_a_file_that_changed_since_its_conversion_is_noticed(written: Write) -> None:
    store = store_of(written(COUNTS))
    path = written(COUNTS + 1)
    with pytest.raises(BadInput, match=r"cells\.h5ad has changed since it was converted to .*; give the file itself"):
        CellStore.open(store.path)
    assert store_of(path).counts.min() == 1


def test_a_file_that_changes_while_it_is_converted_is_noticed(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write = written(COUNTS), contents.write

    def meanwhile(*arguments: object) -> dict:
        os.utime(path)
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(contents, "write", meanwhile)
    assert "has changed while it was converted" in refusal(path)


def test_a_truncated_file_is_refused(written: Write) -> None:
    path = written(COUNTS)
    os.truncate(path, path.stat().st_size // 2)
    assert "is truncated" in refusal(path)


def test_a_damaged_block_of_a_file_is_refused(written: Write) -> None:
    path = written(COUNTS)
    with h5py.File(path, "a") as file:
        del file["X"]
        packed = file.create_dataset("X", data=COUNTS, chunks=(100, 200), compression="gzip")
        packed.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        at, size = (getattr(packed.id.get_chunk_info(3), name) for name in ("byte_offset", "size"))
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * size)
    assert "is damaged" in refusal(path)


def test_a_link_to_another_file_is_refused(written: Write) -> None:
    path = written(COUNTS)
    with h5py.File(path, "a") as file:
        del file["X"]
        file["X"] = h5py.ExternalLink("victim.h5", "/secret")
    assert "links to another file" in refusal(path)


def test_a_damaged_store_is_refused_with_what_to_do(written: Write) -> None:
    path = written(COUNTS)
    store = store_of(path)
    os.truncate(store.path / "counts.npy", 1000)
    with pytest.raises(BadInput, match=r"remove that folder and give the \.h5ad file"):
        store_of(path)
    shutil.rmtree(store.path)
    assert store_of(path).nnz == np.count_nonzero(COUNTS)


KILLED = """
import sys, time
from pathlib import Path
from bench.data.cells import blocks, contents
from bench.data.cells.convert import store_of

blocks.VALUES, settled, done = 5000, contents._settled, []

def slow(*arguments):
    done.append(1)
    if len(done) == 5:
        print("half", flush=True)
        time.sleep(60)
    return settled(*arguments)

contents._settled = slow
store_of(Path(sys.argv[1]))
"""


def test_a_killed_conversion_leaves_nothing_that_is_used(written: Write, cache: Path) -> None:
    path = written(sparse.csr_matrix(COUNTS))
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    dead = [left for left in leftovers() if left.suffix == ".tmp"]
    assert len(dead) == 1
    store = store_of(written(COUNTS, "another"))
    assert sorted(left.suffix for left in leftovers()) == ["", ".lock", ".lock"], "any conversion clears them away"
    assert np.array_equal(store_of(path).counts, store.counts)


def test_what_another_process_is_writing_is_left_to_it(written: Write, cache: Path) -> None:
    path = written(COUNTS)
    busy = cache / "stores" / f".{'0' * 64}.abc.tmp"
    busy.mkdir(parents=True)
    with filelock.FileLock(convert._lock(busy.parent, "0" * 64)):
        store_of(path)
        assert busy.exists()
    store_of(written(COUNTS + 1))
    assert not busy.exists()


def test_too_small_a_disk_is_said_before_anything_is_written(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path, used = written(COUNTS), shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: used(folder)._replace(free=300_000))
    monkeypatch.setattr(contents, "write", None)
    assert "converting cells.h5ad needs 820.0 kB, 300.0 kB are free; free some, or set BENCH_CACHE_DIR" in refusal(path)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may become larger than 64 KiB, as on a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix])
def test_a_disk_that_fills_up_leaves_nothing(form: Callable, written: Write, request: pytest.FixtureRequest) -> None:
    path = written(form(COUNTS))
    request.getfixturevalue("small_files")
    assert "no room in" in refusal(path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a map that failed may still be held


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix])
def test_a_full_disk_leaves_nothing(
    form: Callable, written: Write, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(small_disk))
    monkeypatch.setattr(convert, "require_room", lambda *_: None)  # others fill it meanwhile
    assert "no room in" in refusal(written(form(COUNTS)))
