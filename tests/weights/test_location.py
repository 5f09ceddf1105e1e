"""Which weights a model gets, and when they are the published ones."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from bench.data.identity import folder_sha256
from bench.downloads import receipt
from bench.downloads.places import weights_folder
from bench.downloads.receipt import Receipt, now
from bench.errors import BadInput
from bench.specs import Cap, ModelSpec, RemoteFile, WeightsSpec
from bench.weights.location import find, identity, published

BODIES = {"model.bin": b"weights", "inner/config.json": b"{}"}
FILES = tuple(
    RemoteFile(n, (f"https://example.org/{n}",), hashlib.sha256(b).hexdigest(), size=len(b)) for n, b in BODIES.items()
)


def spec(*files: RemoteFile, source: str = "") -> ModelSpec:
    weights = WeightsSpec("Trained on 30 million cells.", files, source)
    return ModelSpec("big", "a model", "big:Big", frozenset({Cap.EMBEDS_CELLS}), weights=weights)


def laid_out(folder: Path, **other: bytes) -> Path:
    for name, body in {**BODIES, **{n.replace("_", "."): b for n, b in other.items()}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    return folder


def test_what_was_asked_for_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    laid_out(weights_folder("big"))
    assert find(spec(*FILES), "") == weights_folder("big")
    assert find(spec(*FILES), str(laid_out(tmp_path / "own"))) == tmp_path / "own"


def test_missing_weights_name_every_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    with pytest.raises(BadInput, match="needs weights") as error:
        find(spec(*FILES, source="example.org"), "")
    for way in ("bench fetch weights big (9 bytes)", "example.org", "--weights DIR", "--weights untrained"):
        assert way in str(error.value)
    with pytest.raises(BadInput, match=r"weights not found: .*absent") as error:
        find(spec(), str(tmp_path / "absent"))
    assert "bench fetch" not in str(error.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="the folder is empty"):
        find(spec(), str(tmp_path / "empty"))


def test_published_weights_are_known_wherever_they_are(tmp_path: Path) -> None:
    known = identity(laid_out(tmp_path / "a"), FILES)
    assert published(known, FILES)
    assert identity(laid_out(tmp_path / "b", README_md=b"read me"), FILES) == known
    assert published(identity(laid_out(tmp_path / "c") / "model.bin", FILES[:1]), FILES[:1])
    assert identity(tmp_path / "c", FILES[:1]) == FILES[0].sha256


def test_other_weights_are_known_by_all_their_files(tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "a", **{"fetched.json": b"receipt", ".lock": b""})
    (folder / "model.bin").write_bytes(b"tuned")
    known = identity(folder, FILES)
    assert not published(known, FILES)
    (folder / "fetched.json").write_bytes(b"another receipt")
    assert identity(folder, FILES) == known
    (folder / "extra.bin").write_bytes(b"more")
    assert identity(folder, FILES) != known


def test_weights_without_published_checksums_are_never_published(tmp_path: Path) -> None:
    files = (RemoteFile("model.bin"),)
    assert not published(identity(laid_out(tmp_path), files), files)
    assert not published("", ())


def test_unpacked_weights_are_published_by_a_receipt_of_this_cache_and_of_no_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    files = (RemoteFile("model.tar.gz", sha256="ab" * 32, unpack=True),)
    folder = weights_folder("big")
    kept = laid_out(folder / "model")
    note = Receipt("", files[0].sha256, 9, 9, folder_sha256(kept), "verified", now())
    receipt.write(folder, "model", note)
    assert published(identity(folder, files), files)
    copied = shutil.copytree(folder, tmp_path / "from a stranger")
    assert not published(identity(copied, files), files)
    (kept / "model.bin").write_bytes(b"tuned")
    assert not published(identity(folder, files), files)
