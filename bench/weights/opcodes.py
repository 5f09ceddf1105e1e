"""What a pickle would import, read from its opcodes without running any of them."""

from __future__ import annotations

import contextlib
import io
import pickletools
from collections.abc import Iterator
from typing import Any

from bench.errors import BadInput

_TEXT = {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_PUT = {"PUT", "BINPUT", "LONG_BINPUT"}
_GET = {"GET", "BINGET", "LONG_BINGET"}
_REGISTRY = {"EXT1", "EXT2", "EXT4"}


def imported(pickled: bytes) -> list[str]:
    """Names a pickle would import, each once, in order: `["posix.system"]`.

    What cannot be told without running it is `"?"`.

    Raises
    ------
    BadInput
        If the bytes are not a whole pickle.
    """
    try:
        return list(dict.fromkeys(_names(io.BytesIO(pickled), len(pickled))))
    except Exception as error:  # pickletools meets anything in hostile bytes
        raise BadInput(f"not a whole pickle ({_first_line(error)})") from None


def imported_in_turn(content: bytes) -> list[str]:
    """The same of pickles that follow each other, until something else does: what old torch files begin with."""
    stream, found = io.BytesIO(content), []
    with contextlib.suppress(Exception):  # the tensors behind the pickles are none, and a damaged one names nothing
        while stream.tell() < len(content):
            for name in _names(stream, len(content)):
                found.append(name)  # what was found before an error counts
    return list(dict.fromkeys(found))


def _names(stream: io.BytesIO, size: int) -> Iterator[str]:
    """Follow the texts that `STACK_GLOBAL` joins, through the memo; all else needs no stack."""
    memo: dict[int, str] = {}
    recent: list[str] = ["?", "?"]
    last = "?"
    argument: Any
    for opcode, argument, _ in pickletools.genops(stream):
        name = opcode.name
        if name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".", 1)
        elif name == "STACK_GLOBAL":
            yield ".".join(recent[-2:])
        elif name in _REGISTRY:
            yield f"copyreg extension {argument}"
        if name == "MEMOIZE":
            memo[len(memo)] = last
        elif name in _PUT:
            if int(argument) > size:  # the unpickler would make room for as many
                raise ValueError("a memo larger than the file")
            memo[int(argument)] = last
        elif name in _TEXT or name in _GET:
            last = str(argument) if name in _TEXT else memo.get(int(argument), "?")
            recent = [recent[-1], last]
        elif name != "FRAME":
            last = "?"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:100]
