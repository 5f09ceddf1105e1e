"""What a model takes on this dataset, extrapolated from trials on a few of its cells."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.data.exams import visible_cells
from bench.data.splits import GROUP_ROLES
from bench.diagnosis import child
from bench.diagnosis.demand import Cost, roughly
from bench.diagnosis.finding import Finding
from bench.runs.choose import Candidate
from bench.specs import Cap, ModelSpec

if TYPE_CHECKING:
    import anndata as ad

TRIAL_SIZES = (250, 500)
"""Cells of the two trials; on smaller data a quarter and a half of them."""
LIMIT_S = 120.0
TRIED = frozenset({Cap.EMBEDS_CELLS, Cap.PREDICTS_LABELS})
LABEL = "cell_type"


def probe(data: ad.AnnData, candidate: Candidate, limit: float = LIMIT_S) -> Finding:
    """Fit and apply a model on two random parts of the data, in a process of its own, and extrapolate linearly.

    Parameters
    ----------
    data
        Canonical data.
    candidate
        The configured model.
    limit
        Seconds for all trials together.

    Returns
    -------
    A finding with time and peak memory on all cells, as a range: along the line through both trials, and in
    proportion to the larger one. Or the reason why it could not be tried.
    """
    subject = f"model {candidate.spec.name}"
    hindrance = _hindrance(data, candidate.spec)
    if hindrance:
        return Finding("note", subject, f"time and memory are not predicted: {hindrance}")
    sizes = trial_sizes(data.n_obs)
    ending = _tried(data, candidate, sizes, limit)
    answer = ending.answer or {"measured": []}
    measured = [Cost(**one) for one in answer["measured"]]
    if answer.get("error"):
        return Finding("warning", subject, f"failed on {sizes[0]:,} cells of this dataset: {answer['error']}")
    if ending.code is not None and not measured:
        return Finding("warning", subject, f"on {sizes[0]:,} cells of this dataset it {ending.death(limit)}")
    if not measured:
        text = f"{sizes[0]:,} cells were not done within {limit:.0f} s, starting included"
        return Finding("note", subject, f"time and memory are not predicted: {text}")
    text = predicted(measured, data.n_obs)
    if candidate.spec.fits != "no":
        text += "; a few times as long where training goes on for longer with more cells"
    return Finding("ok", subject, text)


def predicted(measured: list[Cost], n_cells: int) -> str:
    """The sentence about time and memory of `n_cells`, from one trial or two."""
    last = measured[-1]
    seconds, peaks = [last.seconds * n_cells / last.cells], [float(last.peak_bytes)]
    if len(measured) > 1:
        first = measured[0]
        seconds.append(_along(first.cells, first.seconds, last.cells, last.seconds, n_cells))
        peaks.append(_along(first.cells, first.peak_bytes, last.cells, last.peak_bytes, n_cells))
    tried = " and ".join(f"{one.cells:,}" for one in measured)
    text = f"fitting and applying it takes {roughly(seconds, peaks)}"
    return f"{text} for {n_cells:,} cells, extrapolated from {tried} cells; scoring not included"


def trial_sizes(n_cells: int) -> tuple[int, int]:
    """Cells of the two trials."""
    small, large = TRIAL_SIZES
    return min(small, max(2, n_cells // 4)), min(large, max(3, n_cells // 2))


def _along(x1: float, y1: float, x2: float, y2: float, x: float) -> float:
    """The line through two points at x; never below the second, as larger data takes no less."""
    slope = (y2 - y1) / (x2 - x1) if x2 != x1 else 0.0
    return max(y2, y2 + slope * (x - x2)) if x >= x2 else y2


def _hindrance(data: ad.AnnData, spec: ModelSpec) -> str:
    if not TRIED & spec.gives:
        return f"nothing is known of how to try a model that gives {', '.join(sorted(spec.gives))}"
    missing = [role for role in (*spec.obs, *([LABEL] if spec.fits == "labels" else [])) if role not in data.obs]
    return f"the data has no {', '.join(missing)}" if missing else ""


def _tried(data: ad.AnnData, candidate: Candidate, sizes: tuple[int, int], limit: float) -> child.Ending:
    spec = candidate.spec
    with tempfile.TemporaryDirectory(prefix="bench-doctor-", ignore_cleanup_errors=True) as folder:
        rows = np.sort(np.random.default_rng(0).permutation(data.n_obs)[: 2 * sizes[1]])
        wanted = {role for role in (*spec.obs, *GROUP_ROLES, LABEL) if role in data.obs}
        columns: dict[str, Any] = {role: data.obs[role].to_numpy()[rows] for role in sorted(wanted)}
        cells = Path(folder) / "cells.h5ad"
        visible_cells(data, rows, columns).write_h5ad(cells)
        job = {
            "model": spec.name,
            "config": dict(candidate.config),
            "weights": candidate.weights,
            "device": "cpu",
            "cells": str(cells),
            "sizes": sizes,
        }
        (Path(folder) / "job.json").write_text(json.dumps(job), encoding="utf-8")
        return child.ask("bench.diagnosis.trial", [str(Path(folder) / "job.json")], limit=limit)
