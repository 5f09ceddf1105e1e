"""Safetensors files, read with numpy's memory map: the format holds no code, but its sizes are a stranger's.

The format: 8 bytes with the length of a JSON header, the header (name -> dtype, shape, data_offsets), the data
(huggingface/safetensors, README, "Format"). bfloat16 becomes float32, which holds every value of it exactly.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from bench.downloads.content import impostor
from bench.errors import BadInput

MAX_HEADER = 100_000_000
"""Bytes: the limit of the format's own library."""

_DTYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "|b1"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1"},
}


def read(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file as read-only arrays that are read from the disk when they are used.

    Raises
    ------
    BadInput
        If the file is missing, stands in for another, is cut short, or its header does not account for its content.
    """
    try:
        stand_in = impostor(path)
        if stand_in:
            raise BadInput(f"weights file {path} is {stand_in}; fetch it again.")
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(MAX_HEADER, size - 8):
                raise _damaged(path, "its header is longer than the file")
            header = json.loads(file.read(length))
    except OSError as error:
        raise BadInput(f"cannot read weights {path}: {error.strerror or error}.") from None
    except (ValueError, RecursionError):
        raise _damaged(path, "its header is no JSON") from None
    if not isinstance(header, dict):
        raise _damaged(path, "its header is no table")
    header.pop("__metadata__", None)
    start = 8 + length
    data = np.memmap(path, np.uint8, "r", start) if size > start else np.empty(0, np.uint8)
    if sum(_claimed(entry) for entry in header.values()) > data.size:  # one place given to many would fill the memory
        raise _damaged(path, "its tensors overlap, or it is cut short")
    return {str(name): _tensor(path, str(name), entry, data) for name, entry in header.items()}


def _claimed(entry: Any) -> int:
    """Bytes of the file that a tensor takes, as far as its entry makes sense."""
    try:
        begin, end = entry["data_offsets"]
        return max(int(end) - int(begin), 0)
    except (KeyError, TypeError, ValueError, OverflowError):
        return 0


def _tensor(path: Path, name: str, entry: Any, data: np.ndarray) -> np.ndarray:
    try:
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = [*shape, begin, end]
        whole = all(type(n) is int and n >= 0 for n in numbers)
    except (KeyError, TypeError, ValueError):
        raise _damaged(path, f"tensor {name[:80]!r} is not described") from None
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise BadInput(f"weights file {path}: tensor {name[:80]!r} is of type {str(kind)[:80]!r}, which is not read.")
    dtype = np.dtype(_DTYPES[kind])
    if not whole or not begin <= end <= data.size or math.prod(shape) * dtype.itemsize != end - begin:
        raise _damaged(path, f"tensor {name[:80]!r} does not fit its place in the file")
    try:
        values = data[begin:end].view(dtype).reshape(shape)
    except ValueError:  # more dimensions, or a larger empty one, than an array can have
        raise _damaged(path, f"tensor {name[:80]!r} has no possible shape") from None
    return _float32(values) if kind == "BF16" else values


def _float32(values: np.ndarray) -> np.ndarray:
    """bfloat16 is the upper half of float32."""
    return (values.astype(np.uint32) << 16).view(np.float32)


def _damaged(path: Path, why: str) -> BadInput:
    return BadInput(f"weights file {path} is damaged: {why}; fetch it again.")
