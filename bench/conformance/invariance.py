"""Checks of what must not change an answer: order of cells and genes, company, chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.conformance.check import Failure, Skip, raised, refusal
from bench.conformance.compare import difference, repeated, same, same_geometry, same_rows
from bench.conformance.subject import ModelSubject

if TYPE_CHECKING:
    import anndata as ad

TIMES = 3
"""How often the probe is repeated, so that a call takes several minibatches: 720 cells, where 512 is a usual size."""


def determinism(subject: ModelSubject) -> str:
    """The same seed gives the same bits: from a fresh model, and from one that is asked twice."""
    again = subject.answer(subject.probe)
    fresh = subject.answer(subject.probe, subject.fit(subject.to_fit(subject.probe)))
    for answer, when in ((again, "asked twice, a model"), (fresh, "made anew with the same seed, it")):
        if not repeated(answer, subject.reference, subject.device):
            apart = difference(answer, subject.reference)
            raise Failure(
                f"{when} answers otherwise (differs by {apart:.1e} of its scale);"
                " draw all randomness from a generator made of seed, and switch dropout off"
            )
    return f"equal {'bit for bit' if subject.device == 'cpu' else 'but for rounding'}, from a fresh model too"


def cell_order(subject: ModelSubject) -> str:
    """Permuted cells give permuted rows."""
    order = subject.permutation(subject.probe.n_obs)
    moved = subject.probe[order].copy()
    back = np.argsort(order)
    complaint = "the answer for a cell depends on the order of the cells"
    found = same_rows(_rows(subject.answer(moved), len(order))[back], subject.reference, complaint)
    if subject.spec.inductive:
        return found
    refitted = subject.answer(moved, subject.fit(subject.to_fit(moved)))
    return f"{found}; {same_geometry(refitted[back], subject.reference, complaint)}"


def gene_order(subject: ModelSubject) -> str:
    """Genes are known by name: permuted columns give the same answer."""
    moved = subject.probe[:, subject.permutation(subject.probe.n_vars)].copy()
    complaint = "the answer depends on the order of the genes; find them by name, in var"
    if subject.spec.inductive:
        return same(subject.answer(moved), subject.reference, complaint)
    refitted = subject.answer(moved, subject.fit(subject.to_fit(moved)))
    return same_geometry(refitted, subject.reference, complaint)


def per_cell(subject: ModelSubject) -> str:
    """A cell gets the same answer alone, among half of the cells, and among more than a minibatch holds."""
    if not subject.spec.per_cell:
        raise Skip("per_cell=False is declared: the answer for a cell may depend on the other cells of the call")
    complaint = "the answer for a cell depends on the other cells of the call; mend it, or declare per_cell=False"
    half = np.arange(0, subject.probe.n_obs, 2)
    rows = _rows(subject.answer(subject.probe[half].copy()), len(half))
    found = f"half of the cells: {same(rows, subject.reference[half], complaint)}"
    if subject.spec.inductive:
        many = _repeated(subject.probe)
        rows = _rows(subject.answer(many), many.n_obs)
        found += f"; {many.n_obs} cells: {same(rows, np.tile(subject.reference, (TIMES, 1)), complaint)}"
    try:
        alone = subject.answer(subject.probe[[3]].copy())
    except Exception:
        return found  # 'one cell' tells
    if alone.shape != subject.reference[[3]].shape:
        return found
    return f"{found}; one cell: {same(alone, subject.reference[[3]], complaint)}"


def cell_names(subject: ModelSubject) -> str:
    """Cells are known by their counts: under another name a cell gets the same answer."""
    if not subject.spec.inductive:
        raise Skip("inductive=False: it knows the cells of fit by their names")
    renamed = subject.probe.copy()
    renamed.obs_names = subject.probe.obs_names[subject.permutation(subject.probe.n_obs)]
    complaint = "the answer for a cell depends on its name; compute it from the counts"
    return same(_rows(subject.answer(renamed), renamed.n_obs), subject.reference, complaint)


def one_cell(subject: ModelSubject) -> str:
    """A single cell gets one row."""
    answer = subject.answer(subject.probe[[3]].copy())
    if answer.shape != (1, subject.reference.shape[1]):
        raise Failure(
            f"one cell gives shape {answer.shape}, not {(1, subject.reference.shape[1])}; beware of squeeze()"
        )
    return "one row"


def inductive(subject: ModelSubject) -> str:
    """Cells that were not in `fit` are answered, if the spec says so."""
    if subject.spec.fits == "no":
        return "fits='no': every cell is new to it"
    known, new = (subject.probe[np.arange(start, subject.probe.n_obs, 2)].copy() for start in (0, 1))
    model = subject.fit(subject.to_fit(known))
    if not subject.spec.inductive:
        sentence = refusal(lambda: subject.answer(new, model))
        return (
            "refuses new cells in one sentence" if sentence else "note: declared inductive=False, yet takes new cells"
        )
    try:
        rows = subject.answer(new, model)
    except Exception as error:
        raise Failure(
            f"inductive is declared, but new cells are not answered: {raised(error)}; declare False"
        ) from None
    if rows.ndim != 2 or len(rows) != new.n_obs:
        raise Failure(
            f"{new.n_obs} new cells give shape {rows.shape}; declare inductive=False if it knows no new cells"
        )
    if not np.isfinite(rows).all() or not (rows != rows[0]).any():
        raise Failure("new cells get NaN, or all the same answer; declare inductive=False if it knows no new cells")
    return f"{new.n_obs} new cells answered"


def _repeated(probe: ad.AnnData) -> ad.AnnData:
    """Every cell three times, each with a name of its own."""
    import anndata as ad

    again = {str(copy): probe for copy in range(TIMES)}
    return ad.concat(again, index_unique="-", merge="same")


def _rows(answer: np.ndarray, n: int) -> np.ndarray:
    """The answer, if it has a row for each cell."""
    if answer.ndim != 2 or len(answer) != n:
        raise Failure(f"{n} cells give shape {answer.shape}; return one row per cell of the call")
    return answer
