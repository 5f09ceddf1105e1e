"""Which cells of a test set are among the cells of a fingerprinted file.

Both are reduced to the genes that both have measured. A fingerprint that is full says nothing of genes after its last
one, so two cells are compared up to there: they are the same cell if they express the same genes with the same counts
that far, at least `FEWEST` of them. Candidates are cells whose first `FEWEST` agree, found by a sorted join.

Cells of other studies, and other cells of the same study, are not taken for each other, and the same cells are found
whatever genes were left out: `tests/data/test_overlap.py` measures both on real files. Counts that were made anew from
reads, scaled, corrected, thinned or added up over genes are other counts: such copies are not found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.data.fingerprints import Fingerprints, row_blocks

FEWEST = 12
"""Expressed genes, measured by both, that a cell must have to be told from all others. Among the 2,000 to 20,729 cells
of six real files, on panels of 50 to 1,300 genes, up to 8 cells have a twin in the first 8 genes, none in the first 12.
"""


@dataclass(frozen=True)
class Overlap:
    """How a test set and one file of a training go together."""

    seen: np.ndarray
    """bool (n,): cells of the test set that the model has seen in the file."""
    kept: np.ndarray
    """bool (n,): cells of the test set that are in the file and were kept from the model."""
    genes: int
    """Measured by both."""
    comparable: float
    """Share, 0 to 1, of pairs of cells that have enough genes to be compared."""


class Sought:
    """Cells of a test set, known whole (see `bench.data.fingerprints.of_anndata`), to be looked for in many files."""

    def __init__(self, prints: Fingerprints) -> None:
        self._prints = prints
        self._reduced: _Reduced | None = None

    def __len__(self) -> int:
        return len(self._prints)

    def overlap(self, file: Fingerprints) -> Overlap:
        """Look for each cell among those of a file whose genes are called by names of the same kind."""
        common = np.intersect1d(file.genes, self._prints.genes)
        own = self._reduce(common)
        found, n_known = np.zeros((2, len(self)), dtype=bool), 0
        for start, stop in row_blocks(file.offsets):
            theirs = _reduce(file, common, start, stop)
            n_known += int(theirs.known.sum())
            for ours, same in own.among(theirs):
                found[file.seen[start + same].astype(int), ours] = True
        comparable = own.known.mean() * n_known / len(file) if len(self) and len(file) else 0.0
        return Overlap(found[1], found[0], len(common), float(comparable))

    def _reduce(self, common: np.ndarray) -> _Reduced:
        """Files of one pipeline have the same genes, so the last result is kept."""
        if self._reduced is None or not np.array_equal(self._reduced.common, common):
            self._reduced = _reduce(self._prints, common, 0, len(self._prints))
        return self._reduced


@dataclass(frozen=True)
class _Reduced:
    """Some cells, on some genes only."""

    common: np.ndarray
    """uint64 (C,) hashes of the genes, ascending."""
    offsets: np.ndarray
    """int64 (n + 1,) into the next one."""
    places: np.ndarray
    """uint32 (m,) of expressed genes in `common`, ascending within a cell."""
    sums: np.ndarray
    """uint64 (m + 1,) running sums, modulo 2**64, of a hash of each entry: two differ by what is between them."""
    ends: np.ndarray
    """int64 (n,): the cell's counts are known of the first so many of `common`."""

    @cached_property
    def known(self) -> np.ndarray:
        """bool (n,): cells with enough genes to be compared."""
        return np.diff(self.offsets) >= FEWEST

    @cached_property
    def keys(self) -> np.ndarray:
        """uint64 (n,) hash of the first genes of each cell, and of nothing in cells that are not `known`."""
        begins = self.offsets[:-1]
        return self.sums[np.where(self.known, begins + FEWEST, begins)] - self.sums[begins]

    @cached_property
    def _by_key(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions of known cells in the order of their keys, and these keys."""
        cells = np.flatnonzero(self.known)
        order = cells[np.argsort(self.keys[cells], kind="stable")]
        return order, self.keys[order]

    def among(self, others: _Reduced) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Positions of cells, and of those of the others that each of them is; the others may be known in part."""
        order, keys = self._by_key
        asked = np.flatnonzero(others.known)
        first = np.searchsorted(keys, others.keys[asked], side="left")
        last = np.searchsorted(keys, others.keys[asked], side="right")
        while len(asked := asked[first < last]):
            first, last = first[first < last], last[first < last]
            cells = order[first]
            agree = self._up_to(cells, others.ends[asked]) == others._whole(asked)
            yield cells[agree], asked[agree]
            first = first + 1  # the next cell with the same key, if there is one

    def _up_to(self, cells: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """uint64 (n,) hashes of what cells express of the first genes of `common`, as many as `ends` says."""
        stops = np.searchsorted(self._packed, cells << 32 | ends)
        return self.sums[stops] - self.sums[self.offsets[cells]]

    def _whole(self, cells: np.ndarray) -> np.ndarray:
        return self.sums[self.offsets[cells + 1]] - self.sums[self.offsets[cells]]

    @cached_property
    def _packed(self) -> np.ndarray:
        """int64 (m,), ascending: cell and place of every entry."""
        cells = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        return cells << 32 | self.places


def _reduce(prints: Fingerprints, common: np.ndarray, start: int, stop: int) -> _Reduced:
    """Some of the cells of a file on genes that it has measured."""
    bounds = prints.offsets[start : stop + 1]
    entries = slice(int(bounds[0]), int(bounds[-1]))
    place = _places(prints.genes, common)[prints.places[entries]]
    kept = place >= 0
    offsets = np.concatenate([[0], np.cumsum(kept)])[bounds - bounds[0]]
    place = place[kept]
    hashes = _mixed(common[place] + _mixed(prints.counts[entries][kept].astype(np.uint64)))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(hashes, dtype=np.uint64)])
    return _Reduced(common, offsets, place.astype(np.uint32), sums, _ends(prints, common, start, stop))


def _places(genes: np.ndarray, common: np.ndarray) -> np.ndarray:
    """int64 (G,) place of each gene among those in common, -1 for the others."""
    if not len(common):
        return np.full(len(genes), -1)
    places = np.searchsorted(common, genes)
    return np.where(common[np.minimum(places, len(common) - 1)] == genes, places, -1)


def _ends(prints: Fingerprints, common: np.ndarray, start: int, stop: int) -> np.ndarray:
    """How many of the genes in common come up to the last gene of each cell; all, where a cell is known whole."""
    bounds = prints.offsets[start : stop + 1]
    full = np.diff(bounds) >= prints.longest
    ends = np.full(stop - start, len(common))
    last = prints.genes[prints.places[bounds[1:][full] - 1]]
    ends[full] = np.searchsorted(common, last, side="right")
    return ends


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """uint64: the finaliser of SplitMix64 (Steele, Lea, Flood 2014, https://doi.org/10.1145/2660193.2660195)."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
