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
        `view` and `view_keep` are read.
    seed
        From 0 to 2**63 - 1.
    segment
        Tells cells apart that have the same key.
    """
    number = 1 if config.view == "none" else 2
    starts = [_starts(keys, seed, 2 * segment + view) for view in range(number)]
    parts = [(cells.counts, cells.totals)] * number
    if config.view in _THINNING_VIEWS:
        kind, complementary = _THINNING_VIEWS[config.view]
        shares = np.full(len(cells), 0.5 if complementary else config.view_keep)
        parts = [_resampled(kind, kernels.VIEW, start, cells, shares) for start in starts[: 2 - complementary]]
        if complementary:
            counts, totals = parts[0]
            parts.append((cells.counts - counts, cells.totals - totals))
    counts, totals = (_stacked(list(arrays)) for arrays in zip(*parts, strict=True))
    return Rows(
        starts=_stacked(starts),
        offsets=np.concatenate([cells.offsets, *[cells.offsets[1:] + cells.offsets[-1]] * (number - 1)]),
        genes=_stacked([cells.genes] * number),
        seen=counts,
        wanted=counts,
        seen_totals=totals,
        wanted_totals=totals,
        log_ratio=np.zeros(number * len(cells), dtype=np.float32),
    )


def spoiled(rows: Rows, config: CollatorConfig) -> Rows:
    """The same rows, of which is seen what `config.corruption` leaves, with the noise of gaussian views at last.

    Molecular cross-validation (`mcv`) predicts the counts that are not seen: Batson, Royer, Webber (2019),
    https://doi.org/10.1101/786269. Noise is for what is seen alone, and is added last: only counts can be thinned.
    """
    if config.corruption in _THINNINGS:
        shares = np.empty(len(rows))
        kernels.shares_of(rows.starts, kernels.SHARE, config.keep_low, config.keep_high, shares)
        seen, totals = _resampled(_THINNINGS[config.corruption], kernels.KEEP, rows.starts, rows, shares)
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


def _resampled(
    kind: int, purpose: int, starts: np.ndarray, of: Cells | Rows, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Counts drawn from those of cells, and the new totals: genes outside the vocabulary are drawn as one gene more."""
    counts, totals = (of.counts, of.totals) if isinstance(of, Cells) else (of.seen, of.seen_totals)
    drawn, sums = np.empty_like(counts), np.empty_like(totals)
    kernels.resample(kind, purpose, starts, of.offsets, of.genes, counts, shares, drawn)
    kernels.sums_of(of.offsets, counts, sums)
    rest, drawn_rest = np.maximum(totals - sums, 0), np.empty_like(totals)
    ends, outside = np.arange(len(starts) + 1), np.full(len(starts), -1, dtype=np.int32)
    kind = kernels.BINOMIAL if kind == kernels.GENES else kind  # half of many genes have half of their counts
    kernels.resample(kind, purpose, starts, ends, outside, rest, shares, drawn_rest)
    kernels.sums_of(of.offsets, drawn, sums)
    return drawn, sums + drawn_rest


def _noisy(rows: Rows, purpose: int, deviation: float) -> Rows:
    """What is seen, with noise on log1p; genes without counts stay so."""
    noisy = np.empty_like(rows.seen)
    deviations = np.full(len(rows), deviation)
    kernels.resample(kernels.GAUSSIAN, purpose, rows.starts, rows.offsets, rows.genes, rows.seen, deviations, noisy)
    return replace(rows, seen=noisy)


def _starts(keys: np.ndarray, seed: int, number: int) -> np.ndarray:
    starts = np.empty_like(keys)
    kernels.starts_of(keys, seed, number, starts)
    return starts


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    """One array after the other; a single one as it is."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
