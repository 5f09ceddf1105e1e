"""A folder of fetched files is one dataset: known by the names and contents of its files alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bench.data.identity import content_sha256, dataset_identity, folder_sha256
from bench.runs.job import Job
from bench.specs import DatasetSpec, RemoteFile


def folder(path: Path) -> Path:
    (path / "inner").mkdir(parents=True)
    (path / "a.h5ad").write_bytes(b"a")
    (path / "inner" / "b.h5ad").write_bytes(b"b")
    return path


def test_it_survives_a_move_and_our_own_files(tmp_path: Path) -> None:
    known = folder_sha256(folder(tmp_path / "x"))
    moved = shutil.copytree(tmp_path / "x", tmp_path / "y")
    (moved / "fetched.json").write_text("{}")
    (moved / ".lock").touch()
    (moved / ".incoming").mkdir()
    (moved / ".incoming" / "c.part").write_bytes(b"half")
    assert folder_sha256(moved) == known


def test_it_changes_with_a_name_and_with_a_byte(tmp_path: Path) -> None:
    known = folder_sha256(folder(tmp_path / "x"))
    (tmp_path / "x" / "a.h5ad").rename(tmp_path / "x" / "c.h5ad")
    renamed = folder_sha256(tmp_path / "x")
    (tmp_path / "x" / "c.h5ad").write_bytes(b"A")
    assert len({known, renamed, folder_sha256(tmp_path / "x")}) == 3


def test_what_is_behind_links_counts_and_a_circle_of_links_ends(tmp_path: Path) -> None:
    folder(tmp_path / "x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.h5ad").write_bytes(b"c")
    known = folder_sha256(tmp_path / "x")
    (tmp_path / "x" / "linked").symlink_to(tmp_path / "elsewhere")
    linked = folder_sha256(tmp_path / "x")
    (tmp_path / "elsewhere" / "c.h5ad").write_bytes(b"C")
    assert len({known, linked, folder_sha256(tmp_path / "x")}) == 3
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "x")
    folder_sha256(tmp_path / "x")


def test_what_was_hashed_once_is_known_without_reading_even_where_the_cache_was_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    data = folder(tmp_path / "cache" / "datasets" / "mine")
    for file in data.rglob("*.h5ad"):
        os.utime(file, (1e9, 1e9))
    known = folder_sha256(data)
    (tmp_path / "cache").rename(tmp_path / "moved")
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "moved"))
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("read a file again"))
    assert folder_sha256(tmp_path / "moved" / "datasets" / "mine") == known


def test_a_dataset_takes_it_as_its_content(tmp_path: Path) -> None:
    spec = DatasetSpec("mine", "cells", "mine:load", params={"path": str(folder(tmp_path / "x"))})
    assert content_sha256(spec) == folder_sha256(tmp_path / "x")
    assert dataset_identity(spec) != content_sha256(spec)


def test_files_survive_the_way_to_the_worker(tmp_path: Path) -> None:
    files = (RemoteFile("a.h5ad", ("https://example.org/a",), size=1),)
    spec = DatasetSpec("mine", "cells", "mine:load", params={"path": "x"}, files=files)
    values = {"fold": "all", "split_seed": 0, "seed": 0, "label_aware": False, "dataset_identity": "", "bridge": ""}
    job = Job("m", "1", {}, "", "", "t", "1", {}, dataset=spec, **values)
    assert Job.from_json(job.to_json()).dataset == spec
