"""Plain `.pkl` dictionaries of strangers, such as token tables: an allow-list reader that calls no foreign code.

Even the names on the list are not numpy's own functions but stand-ins of ours (see `bench.weights.stand_ins`).
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

from bench.downloads.content import impostor
from bench.downloads.sizes import shown
from bench.errors import BadInput
from bench.weights.opcodes import imported
from bench.weights.stand_ins import STAND_INS, Array, DType, Refused, StandIn

MAX_BYTES = 500_000_000
MAX_DEPTH = 64
"""Nesting of containers."""


def read(path: Path, *, max_bytes: int = MAX_BYTES) -> Any:
    """Read a pickle of dicts, lists, tuples, sets, texts, bytes, numbers and numpy arrays of these.

    Parameters
    ----------
    path
        A file written by `pickle.dump` under any protocol.
    max_bytes
        Larger files are refused.

    Raises
    ------
    BadInput
        If the file is missing, damaged, too large, or holds anything else: it is named.
    """
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise BadInput(
                f"refused: {path.name} has {shown(size)}; a dictionary of at most {shown(max_bytes)} is read."
            )
        stand_in = impostor(path)
        pickled = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}.") from None
    if stand_in:
        raise BadInput(f"{path.name} is {stand_in}, not a pickle; fetch it again.")
    return loads(pickled, path.name)


def loads(pickled: bytes, where: str) -> Any:
    """What `read` does, of bytes; `where` is their name in messages."""
    try:
        names = imported(pickled)
    except BadInput as error:
        raise BadInput(f"{where} is {error}; fetch it again.") from None
    for name in names:
        if name not in STAND_INS:
            raise BadInput(f"refused: {where} contains code ({name}); only dictionaries, numbers and texts are read.")
    try:
        return _finished(_Reader(io.BytesIO(pickled), encoding="latin1").load(), {}, 0)
    except Refused as error:
        raise BadInput(f"refused: {where}: {error}.") from None
    except Exception as error:  # whatever the bytes of a stranger provoke is about the bytes
        reason = (str(error).splitlines() or [""])[0][:100]
        raise BadInput(f"{where} is a damaged pickle ({type(error).__name__}: {reason}); fetch it again.") from None


class _Reader(pickle.Unpickler):
    """Finds stand-ins and nothing else, whatever the opcodes were taken for."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return STAND_INS[f"{module}.{name}"]
        except KeyError:
            raise Refused(f"it contains code ({module}.{name})") from None


def _finished(value: Any, done: dict[int, Any], depth: int) -> Any:
    """The value with real arrays in place of stand-ins; what occurs twice stays one object."""
    if depth > MAX_DEPTH:
        raise Refused(f"it is nested more than {MAX_DEPTH} deep")
    if isinstance(value, (StandIn, Array, DType)):
        return value.finished()
    if not isinstance(value, (dict, list, tuple)):
        return value
    if id(value) in done:
        return done[id(value)][0]
    made: Any
    if isinstance(value, dict):
        made = {key: _finished(item, done, depth + 1) for key, item in value.items()}
        made = OrderedDict(made) if isinstance(value, OrderedDict) else made
    else:
        made = type(value)(_finished(item, done, depth + 1) for item in value)
    done[id(value)] = (made, value)  # the original is held, so that its id is not given away
    return made
