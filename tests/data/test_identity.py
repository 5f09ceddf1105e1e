"""An identity changes with the data and with nothing else."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bench.data import identity
from bench.data.cache import cache_dir
from bench.data.files import describe
from bench.errors import BadInput
from bench.specs import DatasetSpec


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.h5ad"
    obs = pd.DataFrame({"batch": list("aab"), "lane": list("123")}, index=list("xyz"))
    ad.AnnData(sparse.csr_matrix(np.eye(3, dtype=np.float32)), obs=obs).write_h5ad(path)
    return path


GENERATED = DatasetSpec("g", "", "m:f", params={"seed": 0})


def test_a_copy_elsewhere_under_another_name_is_the_same_data(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "folder" / "y.h5ad"
    copy.parent.mkdir()
    shutil.copy(file, copy)
    assert identity.dataset_identity(describe(file, obs={})) == identity.dataset_identity(describe(copy, obs={}))


def test_every_choice_about_the_data_changes_its_identity(file: Path) -> None:
    own = describe(file, obs={})
    variants = [
        own,
        describe(file, obs={"batch": "lane"}),
        describe(file, obs={}, layer="X"),
        describe(file, obs={}, options={"strict": "true"}),
        replace(own, version="2"),
        GENERATED,
        replace(GENERATED, params={"seed": 1}),
        replace(GENERATED, target="m:h"),
    ]
    assert len({identity.dataset_identity(v) for v in variants}) == len(variants)


def test_what_only_describes_does_not_change_it() -> None:
    other = replace(GENERATED, summary="said differently", licence="CC0", options={"strict": False})
    assert identity.dataset_identity(other) == identity.dataset_identity(GENERATED)


def test_a_changed_byte_is_noticed_at_once(file: Path) -> None:
    before = identity.file_sha256(file)
    state = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert identity.file_sha256(file) == hashlib.sha256(content).hexdigest() != before


def test_the_hash_of_a_settled_file_is_read_from_the_cache(file: Path) -> None:
    os.utime(file, (1, 1))
    digest = identity.file_sha256(file)
    [note] = (cache_dir() / "sha256").iterdir()
    assert note.read_text() == digest == hashlib.sha256(file.read_bytes()).hexdigest()
    note.write_text("0" * 64)
    assert identity.file_sha256(file) == "0" * 64
    note.write_text("torn")
    assert identity.file_sha256(file) == digest


def test_without_a_writable_cache_hashing_still_works(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = file.parent / "blocked"
    blocked.write_text("a file where the cache folder should be")
    monkeypatch.setenv("BENCH_CACHE_DIR", str(blocked))
    os.utime(file, (1, 1))
    assert identity.file_sha256(file) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_user_without_a_home_gets_an_absolute_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_CACHE_DIR")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: f"~/.cache/{name}")
    assert cache_dir().is_absolute()
    assert "~" not in str(cache_dir())


def test_a_missing_file_has_no_identity(file: Path) -> None:
    own = describe(file, obs={})
    file.unlink()
    with pytest.raises(BadInput, match="not found"):
        identity.dataset_identity(own)


def test_the_hash_of_cells_knows_names_counts_order_and_the_columns_asked_for() -> None:
    def cells(**changes: object) -> ad.AnnData:
        obs = pd.DataFrame({"batch": ["a", "b", np.nan]}, index=["x", "y", "z"], dtype=object)
        data = ad.AnnData(sparse.csr_matrix(np.diag([1, 2, 3]).astype(np.float32)), obs=obs)
        for name, value in changes.items():
            setattr(data, name, value)
        return data

    base = cells()
    assert identity.cells_hash(base) == identity.cells_hash(cells())
    assert identity.cells_hash(base, ["batch"]) == identity.cells_hash(cells(), ["batch"]) != identity.cells_hash(base)
    relabelled = cells()
    relabelled.obs["batch"] = ["a", "b", "nan"]
    assert identity.cells_hash(relabelled) == identity.cells_hash(base)
    assert identity.cells_hash(relabelled, ["batch"]) != identity.cells_hash(base, ["batch"])
    for other in (cells(obs_names=["x", "yz", ""]), cells(var_names=["p", "q", "r"]), base[[1, 0, 2]].copy()):
        assert identity.cells_hash(other) != identity.cells_hash(base)
    counted = cells()
    counted.X.data[0] = 7
    assert identity.cells_hash(counted) != identity.cells_hash(base)
