"""Checks of the answer itself: its shape, its numbers, and how hard cases are met."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.conformance.check import Failure, Skip, raised, refusal
from bench.conformance.subject import LABEL, ModelSubject
from bench.runs.models import configured_model
from bench.specs import Cap

if TYPE_CHECKING:
    import anndata as ad

SUM_TOLERANCE = 1e-3
"""Of probabilities of one cell, as `bench.answers` takes them."""
BEWARE = "; beware of 0/0 and log(0)"


def shape(subject: ModelSubject) -> str:
    """One row per cell, of the kind and type the capability asks for."""
    cells = subject.seen(subject.probe, labels=False)
    try:
        answer = SHAPES[subject.cap](subject, subject.fitted, cells)
    except AttributeError as error:
        if subject.spec.fits == "no":
            raise Failure(f"{raised(error)}; note that fits='no' is declared, so fit() is never called") from None
        raise
    return f"{answer[0]:,} x {answer[1]:,}"


def finite(subject: ModelSubject) -> str:
    """No NaN and no Inf, not even for a cell with one count or a gene with none; not the same for all cells."""
    _numbers(subject.reference, f"ordinary cells{BEWARE}")
    if (subject.reference == subject.reference[0]).all():
        raise Failure("constant: every cell gets the same answer")
    hard = hard_cells(subject.probe)
    _numbers(
        subject.answer(hard, subject.fit(subject.to_fit(hard))),
        f"data with a cell of one count and silent genes{BEWARE}",
    )
    if subject.spec.inductive:
        _numbers(subject.answer(hard), f"a cell of one count, by a model fitted on others{BEWARE}")
    return "no NaN, not constant"


def other_genes(subject: ModelSubject) -> str:
    """Cells that lack genes are answered, or refused in one sentence."""
    if not subject.spec.inductive:
        raise Skip("inductive=False: it is never asked about other cells")
    probe = subject.probe
    half = probe[:, : probe.n_vars // 2].copy()
    filled = np.asarray(half.X.sum(axis=1)).ravel() > 0
    cells = half[filled].copy()
    answers: list[np.ndarray] = []
    sentence = refusal(lambda: answers.append(subject.answer(cells)))
    for answer in answers:
        _numbers(answer, "cells that lack genes; answer, or raise BadInput that names a missing gene")
    return f"refuses: {str(sentence)[:120]}" if sentence else "answers all the same"


def missing_weights(subject: ModelSubject) -> str:
    """Weights that are not there are reported in one sentence."""
    if subject.spec.weights is None:
        raise Skip("it has no weights")
    with tempfile.TemporaryDirectory() as empty:
        make = configured_model(subject.spec, subject.options, str(Path(empty)), subject.seed, subject.device)

        def use() -> None:
            model = make()
            if subject.spec.fits != "no":
                model.fit(subject.to_fit(subject.probe))
            subject.answer(subject.probe, model)

        sentence = refusal(use)
    if sentence is None:
        raise Failure("an empty folder is accepted as weights; raise BadInput that names the file that is missing")
    return f"an empty folder is refused: {str(sentence)[:120]}"


def hard_cells(probe: ad.AnnData) -> ad.AnnData:
    """The probe with three genes silent in all cells, and one cell with a single count."""
    cells = probe.copy()
    counts = cells.X.tolil()
    counts[:, -3:] = 0
    counts[5, :] = 0
    counts[5, 0] = 1
    empty = np.flatnonzero(np.asarray(counts.sum(axis=1)).ravel() == 0)
    counts[empty, 0] = 1
    cells.X = counts.tocsr().astype(np.float32)
    return cells


def _numbers(answer: np.ndarray, of: str) -> None:
    bad = np.flatnonzero(~np.isfinite(answer.reshape(len(answer), -1)).all(axis=1))
    if len(bad):
        raise Failure(f"NaN or Inf for {len(bad):,} cells (first: row {bad[0]}) of {of}")


def _embedding_shape(subject: ModelSubject, model: Any, cells: ad.AnnData) -> tuple[int, int]:
    answer = model.embed(cells)
    if not isinstance(answer, np.ndarray):
        raise Failure(f"embed() returned {type(answer).__name__}; return a numpy array")
    if answer.ndim != 2 or len(answer) != cells.n_obs or not answer.shape[1]:
        raise Failure(f"embed() returned shape {answer.shape} for {cells.n_obs:,} cells; return (n_cells, n_dims)")
    if answer.dtype != np.float32:
        raise Failure(f"embed() returned {answer.dtype}; return float32")
    return answer.shape[0], answer.shape[1]


def _label_shape(subject: ModelSubject, model: Any, cells: ad.AnnData) -> tuple[int, int]:
    import pandas as pd

    frame = model.predict(cells)
    if not isinstance(frame, pd.DataFrame):
        raise Failure(f"predict() returned {type(frame).__name__}; return a DataFrame (obs_names x classes)")
    if sorted(map(str, frame.index)) != sorted(cells.obs_names):
        raise Failure(f"the index of predict()'s {len(frame):,} rows is not the names of the {cells.n_obs:,} cells")
    if not frame.columns.is_unique or not len(frame.columns):
        raise Failure("predict() must return one column per class, each named once")
    strange = sorted(set(map(str, frame.columns)) - set(subject.probe.obs[LABEL]))
    if strange and subject.spec.fits == "labels":
        raise Failure(f"predict() names classes that were not in training: {', '.join(strange[:5])}")
    values = frame.to_numpy(dtype=np.float64)
    sums = values.sum(axis=1)
    if np.isfinite(values).all() and (values.min() < 0 or abs(sums - 1).max() > SUM_TOLERANCE):
        raise Failure(f"predict()'s rows are no probabilities: they sum to {sums.min():.3g} .. {sums.max():.3g}, not 1")
    return frame.shape[0], frame.shape[1]


SHAPES = {Cap.EMBEDS_CELLS: _embedding_shape, Cap.PREDICTS_LABELS: _label_shape}
