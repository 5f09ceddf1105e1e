"""What an allowed name in a pickle becomes: small functions of ours that check what numpy takes on trust.

Stand-ins have no `__dict__`, so that the opcode `BUILD` can set nothing on them, and no hash, so that none hides
in a key or a set.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_KINDS = "biufcSU"
"""Kinds of numpy types that hold values, not references."""


class Refused(ValueError):
    """Why a pickle is not read."""


class StandIn:
    """Takes the place of a function or class of the same name."""

    __slots__ = ("_make", "_name")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str, make: Callable[..., Any]) -> None:
        self._name, self._make = name, make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def finished(self) -> Any:
        """A name that stands for itself is no value."""
        raise Refused(f"it holds the function {self._name} as a value")


class DType:
    """A numpy type of plain values: `numpy.dtype("f8", False, True)`, then its state with the byte order."""

    __slots__ = ("dtype",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str):
            raise Refused("it holds an array of records")
        dtype = np.dtype(code)
        if dtype.kind not in _KINDS or dtype.names or dtype.subdtype:
            raise Refused(f"it holds an array of type {dtype}")
        self.dtype = dtype

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise Refused("it holds an array of an unknown byte order")
        if order in "<>":
            self.dtype = self.dtype.newbyteorder(order)

    def finished(self) -> np.dtype[Any]:
        """The type itself."""
        return self.dtype


class Array:
    """An array before its state: `_reconstruct(ndarray, (0,), b"b")`, then version, shape, type, order, bytes."""

    __slots__ = ("array",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, *_: Any) -> None:
        self.array: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, by_columns, raw = state
        self.array = filled(raw, dtype, shape, "F" if by_columns else "C")

    def finished(self) -> np.ndarray:
        """The array itself."""
        if self.array is None:
            raise Refused("it holds an array without content")
        return self.array


def filled(raw: Any, dtype: Any, shape: Any, order: Any = "C") -> np.ndarray:
    """An array of its own memory; shape and type must account for every byte."""
    if not isinstance(dtype, DType) or not isinstance(raw, (bytes, bytearray, str)):
        raise Refused("it holds an array of objects")
    content = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
    sizes = tuple(int(n) for n in shape)
    if min(sizes, default=0) < 0 or math.prod(sizes) * dtype.dtype.itemsize != len(content):
        raise Refused("it holds an array whose shape does not fit its content")
    if not content:
        return np.empty(sizes, dtype.dtype)
    return np.frombuffer(content, dtype.dtype).reshape(sizes, order="F" if order == "F" else "C").copy()


def _scalar(dtype: Any, raw: Any) -> Any:
    return filled(raw, dtype, (1,))[0]


def _encoded(text: str, encoding: str = "utf-8") -> bytes:
    """Bytes under protocols before 3; other codecs than these could do anything."""
    if encoding not in ("latin1", "latin-1", "utf-8"):
        raise Refused(f"it uses the codec {encoding!r}")
    return text.encode(encoding)


def _octets(content: Any = b"", encoding: str = "latin1") -> bytes:
    """`bytes` and `bytearray`; with a number they would make room for as many."""
    if not isinstance(content, (bytes, str)):
        raise Refused("it makes bytes of something else than bytes")
    return content if isinstance(content, bytes) else _encoded(content, encoding)


def _table() -> Mapping[str, StandIn]:
    core: dict[str, Callable[..., Any]] = {
        "multiarray.scalar": _scalar,
        "multiarray._reconstruct": Array,
        "numeric._frombuffer": filled,
    }
    table: dict[str, Callable[..., Any]] = {
        "numpy.dtype": DType,
        "numpy.ndarray": Array,
        "collections.OrderedDict": OrderedDict,
        "_codecs.encode": _encoded,
        **{f"numpy.{folder}.{name}": make for folder in ("core", "_core") for name, make in core.items()},
    }
    for module in ("builtins", "__builtin__"):  # as Python 3 and, under protocols before 3, Python 2 call it
        table |= {f"{module}.{kind.__name__}": kind for kind in (set, frozenset)}
        table |= {f"{module}.bytes": _octets, f"{module}.bytearray": _octets}
    return {name: StandIn(name, make) for name, make in table.items()}


STAND_INS = _table()
"""Everything a pickle may name."""
