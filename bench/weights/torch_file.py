"""Checkpoints of strangers, read by torch without running any code that is in them."""

from __future__ import annotations

import contextlib
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.downloads.content import impostor
from bench.downloads.sizes import shown
from bench.errors import BadInput
from bench.specs import RemoteFile
from bench.weights.opcodes import imported_in_turn

_SCANNED = 64_000_000
"""Bytes of an old-style file that are searched for the name of what was refused."""


def read(path: Path, expected: RemoteFile | None = None, *, allow: Sequence[type] = ()) -> Any:
    """Read what `torch.save` wrote: tensors on the CPU, in dicts, lists and the like.

    Files of the newer, zipped kind are mapped into memory, so that a second copy of large weights is never made.

    Parameters
    ----------
    path
        A `.pt`, `.pth`, `.bin` or `.ckpt` file.
    expected
        What was published, for messages.
    allow
        Classes without behaviour that the file may hold, such as `argparse.Namespace` (fair-esm).

    Raises
    ------
    BadInput
        If the file is missing, an HTML page or a git-LFS pointer, damaged, or holds code: it is named.
    """
    import torch

    _require_checkpoint(path, expected)
    zipped = zipfile.is_zipfile(path)
    if zipped:
        _require_stored(path)
    with torch.serialization.safe_globals(list(allow)) if allow else contextlib.nullcontext():
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
        except MemoryError:
            raise
        except Exception as error:  # torch advises to run the code; we say what it is, and why the file is not read
            raise _explained(path, error, zipped, allow) from None


def _require_checkpoint(path: Path, expected: RemoteFile | None) -> None:
    """Refuse what only stands in for weights."""
    of = f"; expected {_published(expected)}" if expected and (expected.size or expected.sha256) else ""
    try:
        stand_in = impostor(path)
        size = path.stat().st_size
    except OSError as error:
        raise BadInput(f"cannot read weights {path}: {error.strerror or error}.") from None
    if stand_in:
        raise BadInput(f"weights file {path} is {stand_in}{of}; fetch it again.")
    if expected and expected.size is not None and size != expected.size:
        raise BadInput(f"weights file {path} has {size:,} bytes{of}; fetch it again.")


def _published(file: RemoteFile) -> str:
    size, sha256 = shown(file.size) if file.size else "", f"sha256 {file.sha256}" if file.sha256 else ""
    return ", ".join(filter(None, [size, sha256]))


def _require_stored(path: Path) -> None:
    """torch stores without compression; a compressed member may be a bomb."""
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [m.filename for m in archive.infolist() if m.compress_type != zipfile.ZIP_STORED]
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return  # torch says what is wrong with it
    if packed:
        raise BadInput(f"refused: {path} holds compressed members ({packed[0][:80]}), which torch never writes.")


def _explained(path: Path, error: Exception, zipped: bool, allow: Sequence[type]) -> BadInput:
    foreign = _refused(error)
    if not foreign:  # torch met an opcode it does not know before it met the name
        allowed = {f"{kind.__module__}.{kind.__qualname__}" for kind in allow}
        foreign = [name for name in _globals(path, zipped) if name not in allowed and not _known_to_torch(name)]
    if foreign:
        return BadInput(
            f"refused: {path} contains code ({foreign[0]}); only tensors and plain values are read. Ask its authors"
            " for a file of tensors alone (a state dict or safetensors)."
        )
    reason = (str(error).splitlines() or [""])[0][:120]
    if "weights_only" in reason or "weights only" in reason.lower():
        reason = "it is no file of tensors"
    return BadInput(f"weights file {path} is damaged ({type(error).__name__}: {reason}); fetch it again.")


def _refused(error: Exception) -> list[str]:
    """The name that torch refused, from its message."""
    named = re.search(r"unsupported (?:global: )?GLOBAL (\S+)", str(error), re.IGNORECASE)
    return [named[1] if "." in named[1] else f"builtins.{named[1]}"] if named else []


def _known_to_torch(name: str) -> bool:
    """Whether torch's own list may hold a name: then it was not what was refused."""
    return name.startswith(
        ("torch.", "numpy.", "collections.OrderedDict", "_codecs.encode", "builtins.set", "__builtin__.set")
    )


def _globals(path: Path, zipped: bool) -> list[str]:
    """What the pickle in a checkpoint would import, as far as it can be read."""
    try:
        if not zipped:  # a magic number, a version, the system, then the object: each a pickle of its own
            with path.open("rb") as file:
                return imported_in_turn(file.read(_SCANNED))
        with zipfile.ZipFile(path) as archive:
            name = next((n for n in archive.namelist() if n.endswith("data.pkl")), "")
            return imported_in_turn(archive.read(name)) if name else []
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError):
        return []
