"""Safetensors: the numbers that are in the file, or what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BadInput
from bench.weights import safetensors_file, torch_file


def written(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_a_real_file_holds_what_its_torch_twin_holds(shared: Path) -> None:
    folder = shared / "fixtures" / "geneformer" / "model_v1"
    read = safetensors_file.read(folder / "model.safetensors")
    twin = torch_file.read(folder / "pytorch_model.bin")
    shapes = json.loads((folder.parent / "state_dict_keys.json").read_text())
    assert len(read) > 50
    assert len(shapes) > 0
    for name in read.keys() & twin.keys():
        np.testing.assert_array_equal(read[name], twin[name].numpy())
    assert set(read) - {"bert.embeddings.position_ids"} <= set(twin)


def test_every_kind_of_number_is_read(tmp_path: Path) -> None:
    values = np.array([1.5, -2.0, 3.25], "<f4")
    half = torch.tensor([1.5, -2.0, 1e30]).bfloat16()
    raw = values.tobytes() + half.view(torch.int16).numpy().tobytes() + b"\x01\x00"
    header = {
        "__metadata__": {"format": "pt"},
        "a": entry("F32", [3], 0, 12),
        "b": entry("BF16", [3], 12, 18),
        "c": entry("BOOL", [2, 1], 18, 20),
        "none": entry("I64", [0, 4], 20, 20),
    }
    read = safetensors_file.read(written(tmp_path / "x", header, raw))
    np.testing.assert_array_equal(read["a"], values)
    np.testing.assert_array_equal(read["b"], half.float().numpy())
    assert read["c"].tolist() == [[True], [False]]
    assert read["none"].shape == (0, 4)


@pytest.mark.parametrize(
    ("header", "length", "said"),
    [
        (b"{", None, "no JSON"),
        (b"[]", None, "no table"),
        (b"[" * 90_000, None, "no JSON"),
        (b"{}", 1 << 60, "longer than the file"),
        ({"a": entry("F32", [3], 0, 8)}, None, "does not fit its place"),
        ({"a": entry("F32", [2], 4, 12)}, None, "does not fit its place"),
        ({"a": entry("F32", [-2], 0, 8)}, None, "does not fit its place"),
        ({"a": entry("F32", [2], 0, 8) | {"shape": "x"}}, None, "does not fit its place|not described"),
        ({"a": 3}, None, "not described"),
        ({"a": entry("F8_E4M3", [8], 0, 8)}, None, "of type 'F8_E4M3', which is not read"),
        ({"a": entry("F32", [2], 0, 8) | {"dtype": ["F32"]}}, None, "which is not read"),
        ({"a": entry("F32", [0] * 70, 0, 0)}, None, "has no possible shape"),
        ({"a": entry("F32", [0, 10**30], 0, 0)}, None, "has no possible shape"),
        ({"a": entry("BF16", [4], 0, 8), "b": entry("BF16", [4], 0, 8)}, None, "its tensors overlap"),
    ],
)
def test_headers_that_do_not_account_for_the_file_are_refused(
    tmp_path: Path, header: Any, length: int | None, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        safetensors_file.read(written(tmp_path / "x", header, b"\0" * 8, length))


def test_what_stands_in_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("<html>login</html>")
    with pytest.raises(BadInput, match="an HTML page"):
        safetensors_file.read(tmp_path / "x")
    with pytest.raises(BadInput, match="No such file"):
        safetensors_file.read(tmp_path / "absent")


@given(st.binary(max_size=60))
def test_garbage_is_refused_and_never_crashes(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    path = tmp_path_factory.mktemp("x") / "x"
    for content in (body, len(body).to_bytes(8, "little") + body):
        path.write_bytes(content)
        try:
            safetensors_file.read(path)
        except BadInput:
            continue
