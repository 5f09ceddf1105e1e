"""Fingerprints of cells: whether a test set was trained on is computed, also where the two have other genes.

A cell's fingerprint is its first expressed genes, in an order that is the same everywhere, with their counts: a
bottom-k sketch (Broder 1997, https://doi.org/10.1109/SEQUEN.1997.666900; Cohen and Kaplan 2007,
https://doi.org/10.1145/1281100.1281133). The order is that of a hash of the gene's name. So the fingerprint says of
every gene up to its last one what the cell's count is, 0 included, and two files can be compared on the genes that both
have measured, whatever other genes they have.

Fingerprints are data: they hold counts of 48 to 256 genes of every cell. Whoever may not pass the cells on takes
`fingerprints.npz` out of the folder of the model before passing that on; its weights then count as unverified.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.atomic import replacing
from bench.data.modalities import GENE_EXPRESSION
from bench.errors import BadInput
from bench.weights import arrays

if TYPE_CHECKING:
    import anndata as ad

    from bench.data.cells.dataset import CellDataset
    from bench.data.cells.store import CellStore
    from bench.data.cells.vocabulary import GeneKind

FEWEST_GENES, MOST_GENES = 48, 256
"""Genes of a cell that are kept: as many as `BUDGET` allows, within these limits."""
BUDGET = 1 << 26
"""Bytes that all fingerprints of a training may take, where `FEWEST_GENES` do not need more."""
MOST_COUNT = 255
"""Larger counts are taken for this one."""

Csr = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Row ends, columns and values of a sparse matrix."""

_COLUMNS: dict[GeneKind, str] = {"ensembl": "ensembl_id", "symbol": "gene_symbol"}
_BLOCK = 1 << 22
_COUNT_BITS, _GENE_BITS = 8, 28
_BYTES = 3
"""Of a gene and its count, on disk."""
_ABOUT = "about"
_WHOLE = 1 << 31
"""More genes than a cell has."""


@dataclass(frozen=True)
class Fingerprints:
    """Of all cells of one file."""

    name: str
    """Of the file."""
    kind: GeneKind
    """What genes are called by."""
    genes: np.ndarray
    """uint64 (G,) hashes of the genes that were measured, ascending."""
    longest: int
    """Genes that a cell has at most; one that has fewer is known whole."""
    offsets: np.ndarray
    """int64 (n_cells + 1,): cell i has `places[offsets[i]:offsets[i + 1]]`."""
    places: np.ndarray
    """uint32 (m,) of expressed genes in `genes`, ascending within a cell."""
    counts: np.ndarray
    """uint8 (m,), 1 to `MOST_COUNT`."""
    seen: np.ndarray
    """bool (n_cells,): whether the model has learned from a cell, or was chosen by it; not those kept for the test."""

    def __len__(self) -> int:
        return len(self.offsets) - 1


def of_dataset(dataset: CellDataset, unseen: np.ndarray | None = None) -> list[Fingerprints]:
    """Fingerprints of all cells of a dataset, file by file, of all genes of a file that have a name of their own.

    Not only of those of the vocabulary: the more genes, the surer a cell is known.

    Parameters
    ----------
    unseen
        int64 positions of cells that were neither trained nor validated on, such as `Parts.test`; None: there are none.
    """
    longest, kind = _longest(len(dataset)), dataset.vocabulary.kind
    seen = np.ones(len(dataset), dtype=bool)
    seen[[] if unseen is None else unseen] = False
    parts = np.split(seen, dataset.starts[1:-1])
    return [_of_store(store, kind, longest, part) for store, part in zip(dataset.stores, parts, strict=True)]


def of_anndata(cells: ad.AnnData, name: str, kind: GeneKind, *, whole: bool = False) -> Fingerprints:
    """Fingerprints of canonical cells.

    Parameters
    ----------
    name
        Of their file.
    kind
        What genes are to be called by; one without such a name is left out.
    whole
        Whether all genes of a cell are kept, as for cells that are looked for among others.
    """
    matrix: Any = cells.X
    measured = (cells.var["feature_types"] == GENE_EXPRESSION).to_numpy(dtype=bool)
    names = np.where(measured, cells.var[_COLUMNS[kind]].to_numpy(dtype=object), "")
    longest = _WHOLE if whole else _longest(cells.n_obs)
    csr = (matrix.indptr, matrix.indices, matrix.data)
    return _sketches(name, kind, names.tolist(), longest, csr, np.ones(cells.n_obs, dtype=bool))


def write(path: Path, prints: Sequence[Fingerprints]) -> None:
    """Write an `.npz` file, whole or not at all; files that measured the same genes share one list of them."""
    genes = {one.genes.tobytes(): one.genes for one in prints}
    numbers = {content: number for number, content in enumerate(genes)}
    about = [[one.name, one.kind, one.longest, numbers[one.genes.tobytes()]] for one in prints]
    held: dict[str, np.ndarray] = {_ABOUT: np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)}
    held |= {f"genes/{number}": array for number, array in enumerate(genes.values())}
    for number, one in enumerate(prints):
        lengths, steps = np.diff(one.offsets).astype(np.uint32), _steps(one)
        held |= {f"{number}/lengths": lengths, f"{number}/steps": steps}
        held |= {f"{number}/counts": one.counts, f"{number}/seen": one.seen}
    # numpy's own writer has no fast compression: a million cells would take it a minute
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, array in held.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read(path: Path) -> Iterator[Fingerprints]:
    """Read what `write` wrote, one file of cells after the other.

    Raises
    ------
    BadInput
        If it is no such file, or its arrays contradict each other.
    """
    held = arrays.read(path)
    try:
        for number, entry in enumerate(json.loads(held[_ABOUT].tobytes())):
            yield _read(held, number, *entry)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} holds no fingerprints of cells ({str(error)[:100]}); copy the folder again.") from None


def _steps(one: Fingerprints) -> np.ndarray:
    """From each place to the next, and from 0 to the first of a cell: smaller numbers than places."""
    steps = np.diff(one.places, prepend=np.uint32(0))
    begins = one.offsets[:-1][np.diff(one.offsets) > 0]
    steps[begins] = one.places[begins]
    return steps.astype(np.uint16) if len(one.genes) <= np.iinfo(np.uint16).max else steps


def _read(
    held: dict[str, np.ndarray], number: int, name: str, kind: GeneKind, longest: int, genes: int
) -> Fingerprints:
    known = held[f"genes/{genes}"]
    lengths, steps, counts, seen = (held[f"{number}/{part}"] for part in ("lengths", "steps", "counts", "seen"))
    if kind not in _COLUMNS or not isinstance(longest, int) or longest < 1:
        raise ValueError(f"file {number} is not described")
    kinds = [(array.ndim, array.dtype.name) for array in (known, lengths, counts, seen, steps)]
    fixed = [(1, "uint64"), (1, "uint32"), (1, "uint8"), (1, "bool")]
    if kinds not in ([*fixed, (1, "uint16")], [*fixed, (1, "uint32")]):
        raise ValueError(f"file {number} is of other kinds")
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    if not offsets[-1] == len(steps) == len(counts) or len(seen) != len(lengths):
        raise ValueError(f"file {number} does not end where its cells do")
    ends = np.concatenate([[0], np.cumsum(steps, dtype=np.int64)])
    places = ends[1:] - np.repeat(ends[offsets[:-1]], lengths)
    if len(places) and places.max() >= len(known):
        raise ValueError(f"file {number} has genes that it did not measure")
    return Fingerprints(str(name), kind, known, longest, offsets, places.astype(np.uint32), counts, seen)


def _longest(n_cells: int) -> int:
    return int(np.clip(BUDGET // (_BYTES * max(n_cells, 1)), FEWEST_GENES, MOST_GENES))


def _of_store(store: CellStore, kind: GeneKind, longest: int, seen: np.ndarray) -> Fingerprints:
    names = store.genes[_COLUMNS[kind]].tolist()
    return _sketches(store.name, kind, names, longest, (store.indptr, store.indices, store.counts), seen)


def _sketches(
    name: str, kind: GeneKind, names: Sequence[str], longest: int, csr: Csr, seen: np.ndarray
) -> Fingerprints:
    """Fingerprints of the rows of a matrix with named columns."""
    genes, places = _order(gene_hashes(names))
    rows = [(0, 0), *row_blocks(csr[0])]  # there may be none
    blocks = [_block(places, longest, csr, start, stop) for start, stop in rows]
    lengths, found, numbers = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Fingerprints(name, kind, genes, longest, offsets, found, numbers, seen)


def gene_hashes(names: Sequence[str]) -> np.ndarray:
    """uint64 (G,) of names, 0 for one that is missing or that several genes share: whose counts these are is open."""
    shared = pd.Index(names).duplicated(keep=False)
    return np.array(
        [0 if again or not name else _hash(name) for name, again in zip(names, shared, strict=True)], dtype=np.uint64
    )


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def _order(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of named genes, ascending, and int64 (G,) the place of each gene among them, -1 without a name."""
    genes = np.unique(hashes[hashes > 0])
    return genes, np.where(hashes > 0, np.searchsorted(genes, hashes), -1)


def row_blocks(indptr: np.ndarray) -> Iterator[tuple[int, int]]:
    """First row and the one after the last, of blocks of rows of about four million entries, at least a row each."""
    start, n_rows = 0, len(indptr) - 1
    while start < n_rows:
        stop = int(np.searchsorted(indptr, indptr[start] + _BLOCK, side="right")) - 1
        stop = min(max(stop, start + 1), n_rows)
        yield start, stop
        start = stop


def _block(
    places: np.ndarray, longest: int, csr: Csr, start: int, stop: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lengths of the fingerprints of some rows, their genes and counts."""
    indptr, indices, counts = csr
    ends = np.asarray(indptr[start : stop + 1], dtype=np.int64)
    entries = slice(int(ends[0]), int(ends[-1]))
    place = places[np.asarray(indices[entries], dtype=np.int64)]
    row = np.repeat(np.arange(stop - start), np.diff(ends))
    count = np.minimum(counts[entries], MOST_COUNT).astype(np.int64)
    kept = (place >= 0) & (count > 0)
    packed = (((row << _GENE_BITS) | place) << _COUNT_BITS | count)[kept]
    packed.sort()
    n_of_row = np.bincount(row[kept], minlength=stop - start)
    begins = np.repeat(np.cumsum(n_of_row) - n_of_row, n_of_row)
    packed = packed[np.arange(len(packed)) - begins < longest]
    gene = (packed >> _COUNT_BITS) & ((1 << _GENE_BITS) - 1)
    return np.minimum(n_of_row, longest), gene.astype(np.uint32), (packed & MOST_COUNT).astype(np.uint8)
