"""What is seen of a cell's counts and what is to be predicted: views of it, thinned counts, noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bench.data.cells import kernels
from bench.data.cells.batch import Cells
from bench.data.cells.options import CollatorConfig

_THINNING_VIEWS: Mapping[str, tuple[int, bool]] = {
    "mcv": (kernels.BINOMIAL, True),
    "genes": (kernels.GENES, True),
    "binomial": (kernels.BINOMIAL, False),
    "poisson": (kernels.POISSON, False),
}
"""How a view's counts are drawn, and whether the second view is what the first leaves."""
_THINNINGS: Mapping[str, int] = {
    "mcv": kernels.BINOMIAL,
    "binomial": kernels.BINOMIAL,
    "poisson": kernels.POISSON,
}


@dataclass(frozen=True)
class Rows:
    """Rows of a batch before their genes are chosen; entries are ragged as in `Cells`."""

    starts: np.ndarray
    """uint64 (R,) where a row's random numbers start."""
    offsets: np.ndarray
    """int64 (R + 1,)."""
    genes: np.ndarray
    """int32 (nnz,) positions in the vocabulary."""
    seen: np.ndarray
    """float32 (nnz,) counts that the model may see; may be 0."""
    wanted: np.ndarray
    """float32 (nnz,) counts to be predicted; may be 0."""
    seen_totals: np.ndarray
    """float32 (R,) counts of the whole row, genes outside the vocabulary included."""
    wanted_totals: np.ndarray
    """The same of what is to be predicted."""
    log_ratio: np.ndarray
    """float32 (R,), see `Targets.offset`."""

    def __len__(self) -> int:
        return len(self.starts)


def views(cells: Cells, keys: np.ndarray, config: CollatorConfig, seed: int, segment: int = 0) -> Rows:
    """A row per cell; with `config.view` two, those of the first views before those of the second.

    Parameters
    ----------
    cells
        Whose counts.
    keys
        uint64 (n,), see `Cells.keys`.
    config
        `view`, `view_low` and `view_high` are read.
    seed
        From 0 to 2**63 - 1.
    segment
        Tells cells apart that have the same key.
    """
    first, second = (_whole(cells, keys, seed, 2 * segment + view) for view in (0, 1))
    if config.view == "none":
        return first
    if config.view in _THINNING_VIEWS:
        kind, complementary = _THINNING_VIEWS[config.view]
        low, high = (0.5, 0.5) if complementary else (config.view_low, config.view_high)
        counts, totals = _viewed(first, kind, low, high)
        rest = cells.counts - counts, cells.totals - totals
        first = _of_counts(first, counts, totals)
        second = _of_counts(second, *(rest if complementary else _viewed(second, kind, low, high)))
    return _stacked(first, second)


def spoiled(rows: Rows, config: CollatorConfig) -> Rows:
    """The same rows, of which is seen what `config.corruption` leaves, with the noise of gaussian views at last.

    Molecular cross-validation (`mcv`) predicts the counts that are not seen: Batson, Royer, Webber (2019),
    https://doi.org/10.1101/786269. Noise is for what is seen alone, and is added last: only counts can be thinned.
    """
    if config.corruption in _THINNINGS:
        shares = np.empty(len(rows))
        kernels.shares_of(rows.starts, kernels.SHARE, config.keep_low, config.keep_high, shares)
        seen, totals = _resampled(rows, _THINNINGS[config.corruption], kernels.KEEP, shares)
        rows = replace(rows, seen=seen, seen_totals=totals)
        if config.corruption == "mcv":
            rows = replace(
                rows,
                wanted=rows.wanted - seen,
                wanted_totals=rows.wanted_totals - totals,
                log_ratio=np.log((1 - shares) / shares).astype(np.float32),
            )
    if config.view == "gaussian":
        rows = _noisy(rows, kernels.VIEW, config.view_noise)
    if config.corruption == "gaussian":
        rows = _noisy(rows, kernels.SPOIL, config.noise)
    return rows


def _whole(cells: Cells, keys: np.ndarray, seed: int, number: int) -> Rows:
    """Cells as they are, with random numbers of their own for each `number`."""
    starts, nothing = np.empty_like(keys), np.zeros(len(cells), dtype=np.float32)
    kernels.starts_of(keys, seed, number, starts)
    counts, totals = cells.counts, cells.totals
    return Rows(starts, cells.offsets, cells.genes, counts, counts, totals, totals, nothing)


def _of_counts(rows: Rows, counts: np.ndarray, totals: np.ndarray) -> Rows:
    """The same rows with other counts, to be seen and to be predicted."""
    return replace(rows, seen=counts, wanted=counts, seen_totals=totals, wanted_totals=totals)


def _stacked(first: Rows, second: Rows) -> Rows:
    """Rows of which all is seen that is to be predicted, one after the other."""
    counts = np.concatenate([first.seen, second.seen])
    totals = np.concatenate([first.seen_totals, second.seen_totals])
    return Rows(
        starts=np.concatenate([first.starts, second.starts]),
        offsets=np.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]]),
        genes=np.concatenate([first.genes, second.genes]),
        seen=counts,
        wanted=counts,
        seen_totals=totals,
        wanted_totals=totals,
        log_ratio=np.concatenate([first.log_ratio, second.log_ratio]),
    )


def _viewed(rows: Rows, kind: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Counts of one view, and their totals; of two views with the same share the totals would tell which cell it is."""
    shares = np.empty(len(rows))
    kernels.shares_of(rows.starts, kernels.VIEW_SHARE, low, high, shares)
    return _resampled(rows, kind, kernels.VIEW, shares)


def _resampled(rows: Rows, kind: int, purpose: int, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts drawn from those that are seen, and their totals: genes outside the vocabulary count as one more gene."""
    drawn, sums = np.empty_like(rows.seen), np.empty_like(rows.seen_totals)
    kernels.resample(kind, purpose, rows.starts, rows.offsets, rows.genes, rows.seen, shares, drawn)
    kernels.sums_of(rows.offsets, rows.seen, sums)
    rest, drawn_rest = np.maximum(rows.seen_totals - sums, 0), np.empty_like(sums)
    ends, outside = np.arange(len(rows) + 1), np.full(len(rows), -1, dtype=np.int32)
    kind = kernels.BINOMIAL if kind == kernels.GENES else kind  # half of many genes have half of their counts
    kernels.resample(kind, purpose, rows.starts, ends, outside, rest, shares, drawn_rest)
    kernels.sums_of(rows.offsets, drawn, sums)
    return drawn, sums + drawn_rest


def _noisy(rows: Rows, purpose: int, deviation: float) -> Rows:
    """What is seen, with noise on log1p; genes without counts stay so."""
    noisy = np.empty_like(rows.seen)
    deviations = np.full(len(rows), deviation)
    kernels.resample(kernels.GAUSSIAN, purpose, rows.starts, rows.offsets, rows.genes, rows.seen, deviations, noisy)
    return replace(rows, seen=noisy)
