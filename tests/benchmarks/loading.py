"""Cells per CPU second that loaders deliver on one core, side by side on one generated file, and ours' memory.

    python tests/benchmarks/loading.py --cells 100000

- AnnLoader: anndata's, on an AnnCollection of the file, backed, shuffled.
- scDataset: of PyPI, on the file, backed: blocks of 64 cells, 64 batches fetched at once.
- ours, ragged: random order, the genes with counts of each cell and their counts.
- ours, padded: the same made ready for a model: 1,024 random genes with counts, half of them masked.

Batches of 64 cells, the file in the page cache, loaders in turn, medians of several times. First, each loader gives
every cell once, and it is seen that they give the same counts. Memory is that which no file backs (RssAnon) while
ours, padded, gives cells (`--watched`), in processes of their own, of all cells and of a fifth.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import anndata as ad
import numpy as np
import synthetic
import torch

from bench.data.cells.batch import CellBatch, Cells
from bench.data.cells.collate import Collator
from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset
from bench.data.cells.loader import CellLoader
from bench.data.cells.options import CollatorConfig
from bench.data.cells.orders import Random
from bench.data.cells.samplers import CellSampler
from bench.data.cells.vocabulary import Vocabulary

BATCH, LENGTH = 64, 1024
GOALS = {"ours, ragged": 250_000, "ours, padded": 80_000}
TIMES_SCDATASET = 5
MOST_GROWTH = 2**24
"""Bytes by which memory may differ between few and many cells."""


@dataclass(frozen=True)
class Loader:
    """How one loader is measured."""

    epoch: Callable[[], Iterable[Any]]
    """Its batches, each cell once."""
    n: Callable[[Any], int]
    """Cells of a batch, its counts read."""
    sums: Callable[[Any, np.ndarray], np.ndarray] | None
    """Weighted sum of each cell's counts, one weight per gene; None where only some genes are given."""


class _Rows:
    """What scDataset needs of a matrix."""

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix

    def __len__(self) -> int:
        return int(self._matrix.shape[0])

    def __getitem__(self, rows: np.ndarray) -> Any:
        return self._matrix[rows]


def annloader(path: Path) -> Loader:
    """The one of anndata."""
    from anndata.experimental import AnnCollection, AnnLoader

    collection = AnnCollection([ad.read_h5ad(path, backed="r")], join_vars="inner", join_obs="inner")
    return Loader(
        lambda: AnnLoader(collection, batch_size=BATCH, shuffle=True),
        lambda batch: len(batch.X),
        lambda batch, weights: batch.X.numpy() @ weights,
    )


def scdataset(path: Path) -> Loader:
    """The one of PyPI."""
    from scdataset import BlockShuffling, scDataset

    rows = _Rows(ad.read_h5ad(path, backed="r").X)
    return Loader(
        lambda: scDataset(rows, BlockShuffling(block_size=64), batch_size=BATCH, fetch_factor=64),
        lambda batch: int(batch.shape[0]),
        lambda batch, weights: batch @ weights,
    )


def ours(path: Path, collate: Callable[[Cells], Any] | None = None) -> Loader:
    """Cells as they are stored, or made into something."""
    stores = [store_of(path)]
    dataset = CellDataset(stores, Vocabulary.of(stores))
    return Loader(
        lambda: CellLoader(dataset, CellSampler(Random(len(dataset)), BATCH, complete=True), collate or _as_they_are),
        lambda batch: len(batch.cells),
        None if collate else _sums,
    )


def padded(path: Path) -> Loader:
    """Ready for a model."""
    config = CollatorConfig(length=LENGTH, genes="nonzero_random", corruption="mask")
    return ours(path, Collator(config, len(Vocabulary.of([store_of(path)]).names), seed=0))


LOADERS: dict[str, Callable[[Path], Loader]] = {
    "AnnLoader": annloader,
    "scDataset": scdataset,
    "ours, ragged": ours,
    "ours, padded": padded,
}


def same_counts(path: Path, loaders: dict[str, Loader]) -> int:
    """Number of cells, after each loader has given all of them with the same counts of the same genes.

    Raises
    ------
    AssertionError
        If one gives others.
    """
    matrix = ad.read_h5ad(path, backed="r").X
    weights = np.random.default_rng(0).integers(1, 1000, matrix.shape[1]).astype(np.float64)
    blocks = (matrix[start : start + 4096] @ weights for start in range(0, matrix.shape[0], 4096))
    expected = np.sort(np.concatenate(list(blocks)))
    for name, loader in loaders.items():
        if loader.sums is not None:
            found = np.sort(np.concatenate([loader.sums(batch, weights) for batch in loader.epoch()]))
            assert np.array_equal(found, expected), f"{name} gives other counts than the file has"
    return len(expected)


def same_genes(path: Path) -> None:
    """See that what is padded and masked are counts of the store, of as many genes as there is room for.

    Raises
    ------
    AssertionError
        If not.
    """
    dataset: CellDataset = padded(path).epoch().dataset  # type: ignore[attr-defined]
    for number, batch in enumerate(padded(path).epoch()):
        _require_same(batch, dataset.__getitems__(batch.cells.numpy()), len(dataset.vocabulary))
        if number == 20:
            return


def speed(loaders: dict[str, Loader], times: int, seconds: float) -> dict[str, list[float]]:
    """Cells per CPU second of each loader, several times, the loaders taking turns."""
    batches: dict[str, Iterator[Any]] = {name: iter(()) for name in loaders}
    found: dict[str, list[float]] = {name: [] for name in loaders}
    for _ in range(times + 1):
        for name, loader in loaders.items():
            cells, start = 0, time.process_time()
            while (used := time.process_time() - start) < seconds:
                try:
                    cells += loader.n(next(batches[name]))
                except StopIteration:
                    batches[name] = iter(loader.epoch())
            found[name].append(cells / used)
    return {name: rates[1:] for name, rates in found.items()}  # the first time warms up


def anonymous_memory() -> int:
    """Bytes of this process that no file backs."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", text)[1]) * 1024  # type: ignore[index]


def watch_memory(path: Path, cells: int) -> int:
    """Highest anonymous memory, in bytes, while so many cells are loaded."""
    highest, seen = 0, 0
    while seen < cells:
        for batch in padded(path).epoch():
            seen += len(batch.cells)
            highest = max(highest, anonymous_memory())
            if seen >= cells:
                break
    return highest


def memory_elsewhere(path: Path, cells: int) -> int:
    """The same in a process of its own."""
    asked = ["--folder", str(path.parent), "--watched", str(cells), "--watch-memory", str(path)]
    command = [sys.executable, __file__, *asked]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _as_they_are(cells: Cells) -> Cells:
    return cells


def _sums(cells: Cells, weights: np.ndarray) -> np.ndarray:
    parts = np.concatenate([[0.0], np.cumsum(cells.counts * weights[cells.genes])])  # whole numbers: exact
    return np.diff(parts[cells.offsets])


def _require_same(batch: CellBatch, cells: Cells, n_genes: int) -> None:
    for row in range(len(cells)):
        stored = np.zeros(n_genes)
        part = slice(cells.offsets[row], cells.offsets[row + 1])
        stored[cells.genes[part]] = cells.counts[part]
        present = batch.inputs.present[row].numpy()
        genes, counts = batch.targets.genes[row].numpy()[present], batch.targets.counts[row].numpy()[present]
        assert np.array_equal(stored[genes], counts), "padded cells have other counts than the store"
        assert len(set(genes)) == len(genes) == min(LENGTH, np.count_nonzero(stored)), "genes repeat or are missing"


def _describe(rates: dict[str, list[float]], memory: tuple[int, int]) -> list[str]:
    middle = {name: median(values) for name, values in rates.items()}
    lines = [
        f"{name:14}{middle[name]:>10,.0f} cells per CPU second  ({min(values):,.0f} to {max(values):,.0f})"
        for name, values in rates.items()
    ]
    few, many = (n / 2**20 for n in memory)
    lines.append(f"anonymous memory of ours, padded: {many:,.1f} MiB, with a fifth of the cells {few:,.1f} MiB")
    times = middle["ours, ragged"] / middle["scDataset"]
    judged = [(f"{name} {middle[name] / goal:.2f} of {goal:,}", middle[name] >= goal) for name, goal in GOALS.items()]
    judged.append((f"{times:.1f} times scDataset of {TIMES_SCDATASET}", times >= TIMES_SCDATASET))
    judged.append((f"memory grows by {many - few:.1f} MiB", memory[1] - memory[0] <= MOST_GROWTH))
    return [*lines, "goals: " + "; ".join(f"{text}: {'met' if met else 'MISSED'}" for text, met in judged)]


def main() -> None:
    """Measure, and print a line per loader and one for the goals."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bench-synthetic")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="CPU time for each loader, each time")
    parser.add_argument("--watched", type=int, default=30_000, help="cells loaded while memory is watched")
    parser.add_argument("--watch-memory", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # AnnCollection is experimental, and says so
    torch.set_num_threads(1)
    os.environ["BENCH_CACHE_DIR"] = str(asked.folder.absolute())
    if asked.watch_memory:
        print(watch_memory(asked.watch_memory, asked.watched))
        return
    path, fifth = (synthetic.h5ad(asked.folder.absolute(), n) for n in (asked.cells, asked.cells // 5))
    store_of(fifth)
    loaders = {name: make(path) for name, make in LOADERS.items()}
    same_genes(path)
    cells = same_counts(path, loaders)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("anndata", "scdataset", "torch"))
    print(
        f"{cells:,} cells, all loaders give the same counts; {platform.processor() or platform.machine()}, {versions}"
    )
    rates = speed(loaders, asked.times, asked.seconds)
    few, many = (memory_elsewhere(file, asked.watched) for file in (fifth, path))
    print("\n".join(_describe(rates, (few, many))))


if __name__ == "__main__":
    main()
