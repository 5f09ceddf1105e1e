"""Files of arrays: numbers and texts, never objects."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.errors import BadInput
from bench.weights import arrays


def test_arrays_are_read_by_name(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=np.arange(3), names=np.array(["TP53"]))
    np.save(tmp_path / "y.npy", np.ones((2, 2)))
    read = arrays.read(tmp_path / "x.npz")
    assert (read["a"].tolist(), read["names"].tolist()) == ([0, 1, 2], ["TP53"])
    assert arrays.read(tmp_path / "y.npy")[""].shape == (2, 2)


@pytest.mark.parametrize("name", ["x.npz", "x.npy"])
def test_objects_are_refused(tmp_path: Path, name: str) -> None:
    value = np.array([{}, None], dtype=object)
    np.savez(tmp_path / name, a=value) if name.endswith("z") else np.save(tmp_path / name, value)
    with pytest.raises(BadInput, match=r"refused: .* arrays of objects"):
        arrays.read(tmp_path / name)


def header(shape: str) -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def test_claims_of_more_than_there_is_are_damage(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(header("(1000000000000000,)"))
    with pytest.raises(BadInput, match="damaged"):
        arrays.read(tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", header("(1000000000000000,)"))
    with pytest.raises(BadInput, match="damaged"):
        arrays.read(tmp_path / "x.npz")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "available_memory", lambda: 1_000_000)
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(1_000_000))
    with pytest.raises(BadInput, match=r"would need 7.6 MiB in memory, 977 KiB are available"):
        arrays.read(tmp_path / "x.npz")


def test_garbage_is_named(tmp_path: Path) -> None:
    for body, said in ((b"garbage", "unknown format"), (b"<html></html>", "HTML page"), (b"PK\x03\x04", "damaged")):
        (tmp_path / "x.npz").write_bytes(body)
        with pytest.raises(BadInput, match=said):
            arrays.read(tmp_path / "x.npz")
    with pytest.raises(BadInput, match="No such file"):
        arrays.read(tmp_path / "absent.npz")
    buffer = io.BytesIO()
    np.save(buffer, np.ones(100))
    (tmp_path / "x.npy").write_bytes(buffer.getvalue()[:-8])
    with pytest.raises(BadInput, match="damaged"):
        arrays.read(tmp_path / "x.npy")
