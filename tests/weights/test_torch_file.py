"""Checkpoints of strangers: their tensors, or what they are instead."""

from __future__ import annotations

import argparse
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.errors import BadInput
from bench.specs import RemoteFile
from bench.weights import torch_file


class Runs:
    """Runs a command when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


class Calls:
    """Calls a function when it is read."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("zipped", [True, False], ids=["zipped", "old"])
def test_tensors_are_read(tmp_path: Path, zipped: bool) -> None:
    state = {"w": torch.arange(6.0).reshape(2, 3), "epoch": 3, "inner": {"b": torch.ones(2, dtype=torch.bfloat16)}}
    torch.save(state, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    read = torch_file.read(tmp_path / "x.pt")
    assert torch.equal(read["w"], state["w"])
    assert read["inner"]["b"].dtype == torch.bfloat16
    assert read["epoch"] == 3


@pytest.mark.parametrize(
    "name",
    [
        "geneformer/model_v1/pytorch_model.bin",
        "scgpt/checkpoint/best_model.pt",
        "uce/model_files/all_tokens.torch",
        "rnabert/rnabert_tiny_random.pth",
    ],
)
def test_real_layouts_are_read(shared: Path, name: str) -> None:
    ours = torch_file.read(shared / "fixtures" / name)
    theirs = torch.load(shared / "fixtures" / name, weights_only=True)
    tensors = ours.values() if isinstance(ours, dict) else [ours]
    expected = theirs.values() if isinstance(theirs, dict) else [theirs]
    assert all(torch.equal(a, b) for a, b in zip(tensors, expected, strict=True))


def test_a_class_without_behaviour_can_be_allowed(shared: Path) -> None:
    path = shared / "fixtures" / "esm2" / "esm2_t3_tiny_UR50D.pt"
    with pytest.raises(BadInput, match=r"contains code \(argparse.Namespace\)"):
        torch_file.read(path)
    read = torch_file.read(path, allow=(argparse.Namespace,))
    assert isinstance(read["cfg"]["model"], argparse.Namespace)
    with pytest.raises(BadInput, match=r"contains code \(argparse.Namespace\)"):  # allowed once is not allowed for ever
        torch_file.read(path)


@pytest.mark.parametrize("zipped", [True, False], ids=["zipped", "old"])
def test_code_is_named_and_never_runs(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"w": torch.ones(2), "x": Runs(tmp_path / "ran")}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(BadInput, match=r"refused: .*evil.pt contains code \(posix.system\)") as error:
        torch_file.read(path)
    assert "weights_only" not in str(error.value)  # torch advises to set it to False
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zipped", "old"])
@pytest.mark.parametrize(
    ("made", "name"),
    [
        (lambda: Calls(torch.hub.load, "x", "y"), "torch.hub.load"),
        (lambda: Calls(np.load, "x"), "numpy.load"),
        (lambda: Calls(eval, "1"), "builtins.eval"),
        (lambda: torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),  # a whole model, as many publish it
    ],
)
def test_what_torch_refuses_of_its_own_and_of_numpy_is_named_too(
    tmp_path: Path, made: Callable[[], Any], name: str, zipped: bool
) -> None:
    torch.save({"w": torch.ones(2), "x": made()}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(BadInput, match=rf"contains code \({name}\)"):
        torch_file.read(tmp_path / "x.pt")


def test_the_name_is_found_behind_opcodes_torch_does_not_know(tmp_path: Path) -> None:
    torch.save({"x": Runs(tmp_path / "ran")}, tmp_path / "x.pt", pickle_protocol=4)
    with pytest.raises(BadInput, match=r"contains code \(posix.system\)"):
        torch_file.read(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><html>404</html>", "is an HTML page, 31 bytes; expected 1.2 GB, sha256 abc"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 1200000000\n",
            "is a git-LFS pointer, 135 bytes (to a file of 1.2 GB); expected 1.2 GB",
        ),
        (b"", "is an empty file; expected 1.2 GB"),
        (b"\x80\x02}q\x00.", "has 6 bytes; expected 1.2 GB"),
    ],
)
def test_what_stands_in_for_weights_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(BadInput) as error:
        torch_file.read(path, RemoteFile("model.pt", size=1_200_000_000, sha256="abc"))
    assert said in str(error.value)


@pytest.mark.parametrize("content", [b"PK\x03\x04 no zip", b"garbage", b"\x80\x02}q\x00(", b"\x80\x02K\x01."])
def test_damaged_files_are_said_to_be_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="is damaged") as error:
        torch_file.read(path)
    assert "weights_only" not in str(error.value)


def test_a_truncated_file_is_damaged(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1000)}, tmp_path / "x.pt")
    (tmp_path / "x.pt").write_bytes((tmp_path / "x.pt").read_bytes()[:2000])
    with pytest.raises(BadInput, match="is damaged"):
        torch_file.read(tmp_path / "x.pt")


def test_compressed_members_are_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(10)}, tmp_path / "x.pt")
    with (
        zipfile.ZipFile(tmp_path / "x.pt") as good,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bad,
    ):
        for name in good.namelist():
            bad.writestr(name, good.read(name))
    with pytest.raises(BadInput, match="holds compressed members"):
        torch_file.read(tmp_path / "bomb.pt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read weights .*absent.pt: No such file"):
        torch_file.read(tmp_path / "absent.pt")
