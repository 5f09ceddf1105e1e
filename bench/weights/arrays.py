"""`.npy` and `.npz` files of strangers: numbers and texts, never objects."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from bench.data.safety import available_memory
from bench.downloads.content import impostor
from bench.errors import BadInput
from bench.wording import size


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; the one of an `.npy` file has the name `""`.

    Raises
    ------
    BadInput
        If the file is missing, damaged, larger unpacked than the memory, or holds objects, which are code.
    """
    try:
        stand_in = impostor(path)
        if stand_in:
            raise BadInput(f"{path} is {stand_in}, not a file of arrays; fetch it again.")
        if zipfile.is_zipfile(path):
            return _members(path)
        _require_memory(path, path.stat().st_size)
        return {"": np.load(path, allow_pickle=False)}
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}.") from None
    except MemoryError:
        raise BadInput(f"{path} is a damaged file of arrays (it claims more than there is); fetch it again.") from None
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        if str(error).startswith("Object arrays"):
            raise BadInput(f"refused: {path} holds arrays of objects, which are code when they are read.") from None
        foreign = "pickled" in str(error)  # what numpy says of anything it does not know
        reason = "unknown format" if foreign else (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"{path} is a damaged file of arrays ({reason[:100]}); fetch it again.") from None


def _members(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        _require_memory(path, sum(member.file_size for member in archive.infolist()))
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _require_memory(path: Path, needed: int) -> None:
    available = available_memory()
    if needed > available:
        raise BadInput(f"{path} would need {size(needed)} in memory, {size(available)} are available.")
