"""A look at a stranger's `.h5ad` with h5py alone, before anndata opens it.

anndata follows external links and external storage (any file this user can read would end up in `X`) and
allocates whatever a dataset's shape asks for (a file of 21 kB can ask for 60 GiB).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BadInput
from bench.wording import size

if TYPE_CHECKING:
    import h5py

MAX_DEPTH, MAX_OBJECTS = 32, 100_000
"""Nesting and number of groups and datasets: hard links in a circle, or two to each next group, would not end."""

TEXT_BYTES = 64
"""Memory of one Python string of variable length: an estimate, its header being 49 bytes."""

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_CGROUP = Path("/sys/fs/cgroup")


def check(path: Path) -> None:
    """Refuse a file that is missing, broken, not AnnData, dangerous, or too large for this machine."""
    with opened(path):
        pass


def needed_memory(path: Path) -> int:
    """Bytes that everything in an AnnData file takes in memory. Raises `BadInput` as `opened` does."""
    with opened(path) as file:
        return sum(_bytes(d) for d in _datasets(path, file))


@contextmanager
def opened(path: Path, whole: bool = True) -> Iterator[h5py.File]:
    """Open an AnnData file for reading, having checked it.

    Parameters
    ----------
    whole
        Whether all of it is to be read; else only its tables, `obs` and `var`, must fit into memory.

    Raises
    ------
    BadInput
        If it is missing, a directory, not HDF5, truncated, not AnnData, links or stores data outside
        itself, or needs more memory than there is.
    """
    import h5py

    require_file(path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise _unreadable(path, error) from None
    with file:
        try:
            for group in ("obs", "var"):
                _link(path, file, group)
                if group not in file:
                    raise BadInput(f"{path} is HDF5 but not AnnData: no {group!r} group; give a .h5ad file.")
            _require_memory(path, sum(_bytes(d) * (whole or _is_table(d)) for d in _datasets(path, file)))
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:  # h5py's, on damaged structures
            raise BadInput(f"{path} is damaged ({_first_line(error)}); fetch or write it again.") from None
        yield file


def require_file(path: Path) -> None:
    """Refuse a path that is not a file, with the nearest name beside it.

    Raises
    ------
    BadInput
        If there is no such file, or it is a directory.
    """
    if path.is_dir():
        raise BadInput(f"{path} {_folder(path)}")
    if path.is_file():
        return
    try:
        neighbours = [p.name for p in path.parent.iterdir() if p.suffix in {".h5ad", ".toml"}]
    except OSError:
        neighbours = []
    near = difflib.get_close_matches(path.name, neighbours, n=1, cutoff=0.6)
    hint = f" Did you mean {str(path.with_name(near[0]))!r}?" if near else ""
    raise BadInput(f"dataset file not found: {path}.{hint} Datasets that come with bench: bench list datasets.")


def _folder(path: Path) -> str:
    """What a directory is, and what to give instead."""
    what, reader = "", ""
    if path.suffix == ".zarr" or any((path / mark).is_file() for mark in (".zgroup", ".zattrs", "zarr.json")):
        what, reader = "a Zarr store", "anndata.read_zarr"
    elif any((path / f"matrix.mtx{packed}").is_file() for packed in ("", ".gz")):
        what, reader = "10x Genomics' matrix", "scanpy.read_10x_mtx"
    made = f", made of {what} with {reader}(...).write_h5ad(...)" if reader else ""
    return f"is a directory; give a .h5ad file{made}."


def available_memory() -> int:
    """Bytes this process may still use: free memory, or less where its control group (container) says so."""
    import psutil

    available = psutil.virtual_memory().available
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        available = min(available, limit - int((_CGROUP / "memory.current").read_text()))
    except (OSError, ValueError):  # no control group, or its limit is "max"
        pass
    return max(available, 0)


def _unreadable(path: Path, error: OSError) -> BadInput:
    sizes = re.search(r"truncated file: eof = (\d+).*stored_eof = (\d+)", str(error))
    if sizes:
        have, want = (int(n) for n in sizes.groups())
        return BadInput(f"{path} is truncated: {have:,} of {want:,} bytes; delete it and fetch it again.")
    try:
        with path.open("rb") as file:
            signature = file.read(len(_SIGNATURE))
    except OSError as denied:
        return BadInput(f"cannot read {path}: {denied.strerror or denied}; check its permissions.")
    if signature != _SIGNATURE:
        return BadInput(f"{path} is not an HDF5/AnnData file (bad signature); give a .h5ad file.")
    return BadInput(f"{path} is a damaged HDF5 file ({_first_line(error)}); fetch or write it again.")


def _datasets(path: Path, file: h5py.File) -> Iterator[h5py.Dataset]:
    """Every dataset, reached by hard links only, one that has several names once for each."""
    import h5py

    waiting, seen = [(file["/"], 0)], 0
    while waiting:
        group, depth = waiting.pop()
        for name in group:
            seen += 1
            if depth == MAX_DEPTH or seen > MAX_OBJECTS:
                raise BadInput(
                    f"refused: {path} links in a circle, or holds more than {MAX_OBJECTS:,} objects or"
                    f" {MAX_DEPTH} levels; write it again with anndata."
                )
            _link(path, group, name)
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append((item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                yield _inside(path, item)


def _link(path: Path, group: h5py.Group, name: str) -> None:
    """Refuse any link but a hard one, without following it."""
    import h5py

    link = group.get(name, getlink=True)
    if link is None or isinstance(link, h5py.HardLink):
        return
    where = f"{(group.name or '').rstrip('/')}/{name}"
    if isinstance(link, h5py.ExternalLink):
        raise BadInput(f"refused: {path} links to another file ({where} -> {link.filename}).")
    target = f" -> {link.path}" if isinstance(link, h5py.SoftLink) else ""
    raise BadInput(f"refused: {path} holds a soft link ({where}{target}); write the file again with anndata.")


def _inside(path: Path, dataset: h5py.Dataset) -> h5py.Dataset:
    if dataset.external or dataset.is_virtual:
        raise BadInput(f"refused: {path} stores data outside itself ({dataset.name}); write it again with anndata.")
    return dataset


def _is_table(dataset: h5py.Dataset) -> bool:
    """Whether it is of `obs` or `var`; anndata before 0.7 kept the words of their columns in `uns`."""
    name = str(dataset.name)
    return (
        name.startswith("/raw/var/") or name.split("/")[1] in {"obs", "var", "raw.var"} or name.endswith("_categories")
    )


def _bytes(dataset: h5py.Dataset) -> int:
    import h5py

    text = h5py.check_string_dtype(dataset.dtype)
    width = TEXT_BYTES if text is not None and text.length is None else dataset.dtype.itemsize
    return math.prod(dataset.shape or ()) * width


def _require_memory(path: Path, needed: int) -> None:
    available = available_memory()
    if needed > available:
        raise BadInput(
            f"{path} would need {size(needed)} in memory but {size(available)} are available;"
            " give a subset, store X as sparse (CSR) float32, or use a larger machine."
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip("'\"").splitlines() or [type(error).__name__])[0]
