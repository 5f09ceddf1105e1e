"""Findings about size: the memory of the cells, and what earlier runs say about time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.data.safety import available_memory
from bench.diagnosis.case import Case
from bench.diagnosis.finding import Finding
from bench.errors import StoreError
from bench.runs.record import Record
from bench.store.rows import load
from bench.wording import duration, size

SUBJECT = "size"
COPIES = 3
"""The matrix as read, as float32 counts, and as the exam that a model is shown."""
MOST_RECORDS = 5_000


@dataclass(frozen=True)
class Cost:
    """What one attempt took, as measured."""

    cells: int
    seconds: float
    peak_bytes: int


def memory(case: Case) -> list[Finding]:
    """What the cells take in memory, against what there is."""
    if case.matrix is None:
        return []
    cells, features = case.matrix.shape
    sparse_bytes = 8 * case.matrix.nnz + 4 * (cells + 1)
    dense_bytes, available = 4 * cells * features, available_memory()
    text = f"{case.matrix.nnz:,} values that are not zero: {size(sparse_bytes)} as CSR float32"
    text += f", {size(dense_bytes)} as a dense table; {size(available)} of memory are free"
    if COPIES * sparse_bytes > available:
        return [Finding("error", SUBJECT, f"{text}: too little to load them and copy them; take fewer cells")]
    if dense_bytes > available:
        return [Finding("warning", SUBJECT, f"{text}: a model that makes them dense will fail")]
    return [Finding("ok", SUBJECT, text)]


def from_records(results: Path, model: str, cells: int) -> Finding | None:
    """Time and memory of a model on so many cells, scaled from the recorded run that is nearest in size.

    Time is taken to grow with the number of cells, memory to grow or to stay; None where there is no record.
    """
    known = [(found, cost) for found in _records(results) if (cost := _cost(found, model)) is not None]
    if not known:
        return None
    nearest, cost = min(known, key=lambda pair: max(pair[1].cells / cells, cells / pair[1].cells))
    factor = cells / cost.cells
    seconds, peaks = [cost.seconds * factor], [cost.peak_bytes, cost.peak_bytes * max(factor, 1.0)]
    text = f"one run takes {roughly(seconds, peaks)}"
    took = f"{duration(cost.seconds)} and {size(cost.peak_bytes)} on {cost.cells:,} cells"
    name = f"run {nearest['run_id']} ({nearest['task']['name']}: {took})"
    return Finding("ok", f"model {model}", f"{text}, scaled from {name}")


def roughly(seconds: Sequence[float], peaks: Sequence[float]) -> str:
    """Estimates of time and of peak bytes: `about 3.0 s to 1.7 min and 1.4 GiB`, ends that read alike being one."""
    times = dict.fromkeys(map(duration, sorted(seconds)))
    time = "under 1 s" if max(seconds) < 1 else f"about {' to '.join(times)}"
    return f"{time} and {' to '.join(dict.fromkeys(map(size, sorted(peaks))))}"


def _records(results: Path) -> list[Record]:
    """Records of a results folder, of the newest files where there are very many."""
    paths = sorted((results / "records").glob("*/*.json"), key=lambda path: -path.stat().st_mtime)
    found = []
    for path in itertools.islice(paths, MOST_RECORDS):
        try:
            found.append(load(path))
        except (OSError, ValueError, StoreError):
            continue  # `bench doctor` alone reports these
    return found


def _cost(found: Record, model: str) -> Cost | None:
    """What an attempt took; None where it is another model's, did not end well, or was not measured."""
    cells, peak = found["dataset"]["n_obs"], found["cost"]["peak_rss_bytes"]
    if found["model"]["name"] != model or found["status"] != "ok" or not cells or not peak:
        return None
    return Cost(cells, found["cost"]["wall_s"], peak)
