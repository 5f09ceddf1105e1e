"""Cells on disk, read by memory map: what training draws from.

A store is a folder, written once by `bench.data.cells.convert` and never changed:

    meta.json         what it is of, number of cells, genes and entries, categories of the columns
    indptr.npy        int64 (n_cells + 1,): cell i has entries indptr[i] to indptr[i + 1]
    indices.npy       uint16 or uint32 (nnz,): positions of genes, ascending within a cell
    counts.npy        uint16 or uint32 (nnz,): above 0
    totals.npy        int64 (n_cells,): counts of the whole cell
    codes/0.npy ...   int32 (n_cells,): one for each column of obs in meta.json, -1 where missing
    genes.parquet     index: unique names; gene_symbol, ensembl_id, empty where missing
    obs.parquet       all columns; index: unique names of the cells

Every cell has a count. A store is opened at every start of every process, so `open` reads no more than the headers:
an array that is too short is found there, a number that is wrong is not. Compiled code, which would read anywhere,
compares the row ends and gene positions that it is about to use; a test damages them and sees that it does.
"""

from __future__ import annotations

import errno
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.data.identity import file_sha256
from bench.data.names import safe_name, stem
from bench.errors import BadInput, unknown

FORMAT = 1
"""Of the folder; another is not read."""
META = "meta.json"


@dataclass(frozen=True)
class CellStore:
    """One converted file. Arrays are opened when first used and not pickled: a worker process opens its own."""

    path: Path
    """The folder."""
    name: str
    """Of the file it is of, without suffix."""
    identity: str
    """sha256 of that file's content, the options it was converted with, and the format."""
    n_cells: int
    n_genes: int
    nnz: int
    """Number of all entries."""
    categories: Mapping[str, tuple[str, ...]]
    """Column of `obs` -> what its codes stand for, sorted."""
    source: Path
    """The file it is of, where that was."""
    notices: tuple[str, ...]
    """What was changed in conversion."""

    @classmethod
    def open(cls, path: Path) -> CellStore:
        """Open a store by its folder.

        Raises
        ------
        BadInput
            If it is no store, of another format or damaged, or the file it is of has changed.
        """
        store, meta = _read(path)
        _require_unchanged(store, meta)
        return store

    @classmethod
    def of_content(cls, path: Path, source: Path) -> CellStore:
        """The same for a file by whose content the store was found: another one of that content may have made it."""
        return replace(_read(path)[0], name=name_of(source), source=source)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of `obs` that have codes."""
        return tuple(self.categories)

    @cached_property
    def indptr(self) -> np.ndarray:
        """int64 (n_cells + 1,), as are the next ones read-only: see the module."""
        return self._array("indptr.npy", self.n_cells + 1, np.int64)

    @cached_property
    def indices(self) -> np.ndarray:
        """uint16 or uint32 (nnz,)."""
        return self._array("indices.npy", self.nnz, np.uint16, np.uint32)

    @cached_property
    def counts(self) -> np.ndarray:
        """uint16 or uint32 (nnz,)."""
        return self._array("counts.npy", self.nnz, np.uint16, np.uint32)

    @cached_property
    def totals(self) -> np.ndarray:
        """int64 (n_cells,)."""
        return self._array("totals.npy", self.n_cells, np.int64)

    def codes(self, column: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """Codes of a column, int32 (n_cells,), -1 where missing; and its categories.

        Raises
        ------
        BadInput
            If there are no codes of that column.
        """
        if column not in self.categories:
            raise unknown(f"obs column of {self.name}:", column, self.columns)
        file = f"codes/{self.columns.index(column)}.npy"
        if file not in self._codes:
            self._codes[file] = self._array(file, self.n_cells, np.int32)
        return self._codes[file], self.categories[column]

    @property
    def genes(self) -> pd.DataFrame:
        """Names of the genes with `gene_symbol` and `ensembl_id`; read anew at every call, as is `obs`."""
        return self._table("genes.parquet", self.n_genes)

    @property
    def obs(self) -> pd.DataFrame:
        """All columns of all cells, in memory."""
        return self._table("obs.parquet", self.n_cells)

    @cached_property
    def _codes(self) -> dict[str, np.ndarray]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def _open_all(self) -> None:
        """Have every array compared with the length and kind it should have.

        Codes are not kept open: of many columns few are asked for, and a map takes one of the process's open files.
        """
        ends, _ = self.indptr, (self.indices, self.counts, self.totals)
        if ends[0] != 0 or ends[-1] != self.nnz:
            raise damaged(self.path, "indptr.npy does not end where the counts do")
        for number in range(len(self.columns)):
            self._array(f"codes/{number}.npy", self.n_cells, np.int32)

    def _array(self, file: str, length: int, *dtypes: type) -> np.ndarray:
        try:
            array = np.load(self.path / file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            if getattr(error, "errno", None) == errno.EMFILE:
                raise BadInput(
                    f"cannot open {self.path / file}: this process has as many files open as it may; raise the limit"
                    " with ulimit -n, or give fewer files."
                ) from None
            raise damaged(self.path, f"{file}: {error}") from None
        if array.shape != (length,) or array.dtype not in dtypes:
            raise damaged(self.path, f"{file} holds {array.dtype} {array.shape}, not {length:,} numbers of its kind")
        return np.asarray(array)  # a plain array of the same memory: slices of numpy's memmap class are slow

    def _table(self, file: str, length: int) -> pd.DataFrame:
        try:
            table = pd.read_parquet(self.path / file)
        except (OSError, ValueError) as error:
            raise damaged(self.path, f"{file}: {error}") from None
        if len(table) != length:
            raise damaged(self.path, f"{file} has {len(table):,} rows, not {length:,}")
        return table


def name_of(source: Path) -> str:
    """What the store of a file is called."""
    return safe_name(stem(source))


def damaged(path: Path, what: str) -> BadInput:
    """The error for a store that is not as it was written."""
    reason = (what.splitlines() or [""])[0][:200]
    return BadInput(f"{path} is damaged ({reason}); remove that folder and give the .h5ad file: it is converted again.")


def _read(path: Path) -> tuple[CellStore, dict[str, Any]]:
    """A store of which every array has the length and kind it should have."""
    meta = _meta(path)
    try:
        store = CellStore(
            path=path.absolute(),
            name=str(meta["name"]),
            identity=str(meta["identity"]),
            n_cells=int(meta["n_cells"]),
            n_genes=int(meta["n_genes"]),
            nnz=int(meta["nnz"]),
            categories={str(column): tuple(map(str, words)) for column, words in meta["columns"].items()},
            source=Path(meta["source"]["path"]),
            notices=tuple(map(str, meta["notices"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(path, f"{META}: {type(error).__name__} {error}") from None
    store._open_all()
    return store, meta


def _meta(path: Path) -> dict[str, Any]:
    try:
        meta = json.loads((path / META).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} is no store of cells ({META}: {error.strerror}); give a .h5ad file.") from None
    except ValueError as error:
        raise damaged(path, f"{META}: {error}") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        found = meta.get("format") if isinstance(meta, dict) else None
        raise BadInput(
            f"{path} is a store of format {found}, this bench reads {FORMAT}; give the .h5ad file to convert it again."
        )
    return meta


def _require_unchanged(store: CellStore, meta: dict[str, Any]) -> None:
    """Refuse a store of a file that is still there and is another now; a file that is gone cannot be compared."""
    try:
        state = store.source.stat()
    except (OSError, ValueError):  # the latter where a path of another machine is none here
        return
    if stat.S_ISDIR(state.st_mode):
        return
    known = meta["source"]
    if (state.st_size, state.st_mtime_ns) == (known.get("size"), known.get("mtime_ns")):
        return
    if file_sha256(store.source) != known.get("sha256"):
        raise BadInput(
            f"{store.source} has changed since it was converted to {store.path}; give the file itself to convert it"
            " again, or put back what it was."
        )
