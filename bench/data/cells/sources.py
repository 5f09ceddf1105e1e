"""Where data come from: files, folders, patterns, stores, addresses, laminDB collections, all as paths on this disk."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable
from pathlib import Path

from bench.data import safety
from bench.data.cells.store import META
from bench.data.identity import file_sha256
from bench.errors import BadInput

LAMIN = "lamin:"
"""What the name of a laminDB collection begins with."""


def locate(names: Iterable[str | Path]) -> list[Path]:
    """The local files and stores that some names stand for, in their order; remote files are copied here first.

    Parameters
    ----------
    names
        Each a `.h5ad` file, a folder of such files (not of folders of them), a pattern (`data/*.h5ad`), a store
        (a folder that `bench.data.cells.convert` wrote), an address that fsspec knows (`https://`, `s3://`, `gs://`
        ...; of all but http with patterns), or `lamin:KEY` or `lamin:UID` of a laminDB collection.

    Raises
    ------
    BadInput
        If a name stands for nothing, needs the network that `BENCH_OFFLINE` forbids or a package that is missing, or
        if two names stand for the same content.
    DownloadFailed
        If a file cannot be fetched.
    """
    found = [path for name in _asked(names) for path in _paths(name)]
    _require_different(found)
    return found


def require(names: Iterable[str | Path]) -> None:
    """Refuse names of this disk that stand for nothing, without reading a file or asking the network.

    Raises
    ------
    BadInput
        As `locate` does.
    """
    for name in _asked(names):
        if not name.startswith(LAMIN) and "://" not in name:
            _paths(name)


def _asked(names: Iterable[str | Path]) -> list[str]:
    asked = [str(name) for name in names]
    if not asked or not all(asked):  # "" would stand for the working directory: a variable that was not set
        raise BadInput("no data were named; name files, folders, patterns or addresses of .h5ad files.")
    return asked


def _paths(name: str) -> list[Path]:
    if name.startswith(LAMIN):
        from bench.data.cells import lamin

        return lamin.files(name.removeprefix(LAMIN))
    if "://" in name:
        from bench.data.cells import remote  # fsspec

        return remote.files(name)
    path = Path(name).expanduser().absolute()
    if path.is_dir():
        return [path] if (path / META).is_file() else _of_folder(path)
    if not path.exists() and glob.has_magic(name):
        return _of_pattern(path)
    safety.require_file(path)
    return [path]


def _of_folder(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.glob("*.h5ad") if path.is_file() and not path.name.startswith("."))
    if not found:
        safety.require_file(folder)  # says what the folder is instead, and raises
    return found


def _of_pattern(pattern: Path) -> list[Path]:
    found = [Path(path) for path in sorted(glob.glob(str(pattern), recursive=True))]
    found = [path for path in found if path.is_file() or (path / META).is_file()]
    if not found:
        raise BadInput(f"no file is like {pattern}; name .h5ad files that are there.")
    return found


def _require_different(paths: list[Path]) -> None:
    """Refuse the same cells twice: they would count double, and be trained on and tested on at once."""
    first: dict[str, Path] = {}
    for path in paths:
        same = first.setdefault(_content(path), path)
        if same is not path:
            what = f"{path} is named twice" if same == path else f"{same} and {path} hold the same cells"
            raise BadInput(f"{what}, which would count double and could be in training and test at once; name it once.")


def _content(path: Path) -> str:
    """sha256 of a file, or of the one that a store was made of."""
    if not path.is_dir():
        return file_sha256(path)
    try:
        return str(json.loads((path / META).read_text(encoding="utf-8"))["source"]["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(path)  # a damaged store is refused by who opens it
