"""Each promise a plugin can break has a check that finds it, and no other check is disturbed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.catalogue import catalogue
from bench.conformance import Row
from bench.conformance.examine import requested
from bench.conformance.kit import checks
from bench.conformance.report import Result
from bench.conformance.request import rows

FINE_MODELS = (
    "fine", "fine-fitted", "fine-transductive", "fine-classifier", "fine-both", "fine-genes", "fine-vocabulary",
    "fine-mouse", "kind-weights",
)  # fmt: skip
IMPORTED = ("fine", "fine-task", "heavy")
"""Each in a process of its own; the others come from the same module as the first two."""
FINE_TASKS = ("fine-task", "fine-held-out", "fine-labels")
MODELS = {
    "missing-method": ("spec", "it declares PredictsLabels and has no predict()"),
    "other-constructor": ("spec", "cannot be called as Class(config, *, weights, seed, device)"),
    "contradiction": ("spec", "contradict each other"),
    "strange-role": ("spec", "obs names 'sample', which is no role"),
    "heavy": ("light import", "also imports 'numpy'"),
    "mutable-config": ("config", "is no frozen dataclass"),
    "helpless-config": ("config", "option width has no help"),
    "mistyped-config": ("config", "cannot be written to a record and read again"),
    "unbounded": ("options", "width=-1 raised ValueError"),
    "strange-words": ("options", "scale='no-such-word' raised KeyError"),
    "short": ("shape", "embed() returned shape (239, 8) for 240 cells"),
    "flat": ("shape", "embed() returned shape (240,)"),
    "double": ("shape", "embed() returned float64; return float32"),
    "text": ("shape", "embed() returned <U"),
    "learns-untold": ("shape", "has no attribute 'mean' (misfit_models.py:"),
    "raises": ("shape", "raised RuntimeError: the model broke (misfit_models.py:"),
    "exits": ("shape", "raised SystemExit: 4"),
    "nan": ("finite", "of ordinary cells"),
    "divides-by-zero": ("finite", "of data with a cell of one count and silent genes"),
    "constant": ("finite", "constant: every cell gets the same answer"),
    "restless": ("determinism", "made anew with the same seed, it answers otherwise"),
    "dropout": ("determinism", "asked twice, a model answers otherwise"),
    "sorted-rows": ("cell order", "row order changed: 2"),
    "neighbourly": ("cell order", "depends on the order of the cells"),
    "unstable-refit": ("cell order", "the distances between cells correlate by"),
    "positional-genes": ("gene order", "depends on the order of the genes; find them by name"),
    "centred": ("per cell", "depends on the other cells of the call"),
    "batch-of-two": ("per cell", "depends on the other cells of the call"),
    "second-minibatch": ("per cell", "depends on the other cells of the call"),
    "knows-barcodes": ("cell names", "depends on its name"),
    "remembers-barcodes": ("cell names", "depends on its name"),
    "squeezed": ("one cell", "one cell gives shape (8,)"),
    "knows-only-fitted": ("inductive", "new cells are not answered: raised BadInput"),
    "zeros-for-new": ("inductive", "new cells get NaN, or all the same answer"),
    "unkind-to-new": ("inductive", "raised KeyError"),
    "peeks": ("labels", "model uses labels"),
    "peeks-in-fit": ("labels", "model uses labels"),
    "peeks-when-asked": ("labels", "model uses labels when it is asked"),
    "normalises-in-place": ("input kept", "model changed X in embed()"),
    "adds-column": ("input kept", "model changed obs in fit()"),
    "adds-uns": ("input kept", "model changed uns in embed()"),
    "prints": ("manners", "prints 'embedding ...' on stdout"),
    "unkind-to-genes": ("other genes", "raised KeyError"),
    "gaps-for-genes": ("other genes", "of cells that lack genes"),
    "unkind-weights": ("weights", "raised FileNotFoundError"),
    "careless-weights": ("weights", "an empty folder is accepted as weights"),
    "unnormalised": ("shape", "rows are no probabilities: they sum to 2 .. 2"),
    "unseen-class": ("shape", "classes that were not in training: no such type"),
    "unnamed-rows": ("shape", "is not the names of the 240 cells"),
    "cannot-be-made": ("answers of EmbedsGenes", "raised FileNotFoundError: table.npz"),
    "swapped-names": ("cell order", "row order changed"),
}
TASKS = {
    "no-floor": ("spec", "it names no floor"),
    "unknown-baseline": ("spec", "baseline 'no-such-model' is not registered"),
    "strange-main-metric": ("spec", "main_metric 'beauty' is none of its metrics"),
    "helpless-options": ("config", "option width has no help"),
    "touchy-options": ("options", "shots=-1 raised TypeError: bad"),
    "touchy-score": ("options", "power=-1 raised KeyError: 'power' (misfit_tasks.py:"),
    "new-folds": ("folds", "let them follow from the data"),
    "no-folds": ("folds", "return a list of names, at least one"),
    "unseeded-split": ("split", "makes another exam"),
    "other-rows": ("split", "the rows of the exam are not those of the truth"),
    "writes-on-source": ("source kept", "task changed obs of the dataset in split()"),
    "window-on-source": ("source kept", "part 'cells' shares memory with the dataset"),
    "overlap": ("held out", "cells that are asked about are in part 'train' too"),
    "learns-asked": ("held out", "sit() hands fit() 120 cells that are asked about"),
    "generous": ("allow-list", "part 'cells' holds obs[planted], obs[batch], obs[donor]"),
    "generous-corners": ("allow-list", "part 'cells' holds layers, obsm, varm, uns, raw, var[planted]"),
    "sorted-by-type": ("hidden truth", "the exam changes when cell_type of scored cells is permuted"),
    "shows-labels": ("hidden truth", "part 'cells' tells cell_type of 240 scored cells in obs['cell_type']"),
    "coded-truth": ("hidden truth", "part 'cells' tells cell_type of 240 scored cells in obs['cell_type']"),
    "file-order": ("hidden truth", "the rows stand in the order of the file"),
    "renamed": ("hidden truth", "the rows do not have the names of the dataset's cells"),
    "half-an-answer": ("sit", "does not fit the exam"),
    "whispers": ("no peeping", "hands fit() the cell_type of 240 scored cells in obs['hint']"),
    "undeclared-metric": ("scores", "returns 'beauty', which the spec does not declare"),
    "out-of-bounds": ("scores", "outside of the bounds"),
    "nan-score": ("scores", "purity is nan; return None"),
    "other-version": ("scores", "is scored as version '2', the spec says '1'"),
    "unscored": ("scores", "purity is None for a plain model"),
    "forgets-metric": ("scores", "leaves out purity"),
    "moody": ("stable score", "scored twice, the same answer gets another purity"),
    "remembers": ("stable score", "raised AttributeError"),
    "by-position": ("rows by name", "with its rows in another order the same answer gets another purity"),
    "upside-down": ("controls", "the floor 'shuffled' scores as well as ceiling 'truth'"),
    "no-such-control": ("controls", "the spec names majority, controls() makes"),
}


def examined(name: str, kind: str) -> list[Row]:
    """All rows of a misfit, made in this process."""
    weights = "untrained" if kind == "model" and catalogue().model(name).weights else ""
    earlier: dict[str, Result] = {} if name in IMPORTED else {"light import": "ok"}
    return list(rows(requested(name, kind, {}, weights, 0, "cpu"), earlier))  # type: ignore[arg-type]


def failures(found: list[Row]) -> dict[str, str]:
    return {row.check: row.found for row in found if row.result == "FAILED"}


@pytest.mark.parametrize("name", FINE_MODELS)
def test_a_model_that_keeps_its_promises_passes(misfits: Path, name: str) -> None:
    assert failures(examined(name, "model")) == {}


@pytest.mark.parametrize("name", FINE_TASKS)
def test_a_task_that_keeps_its_promises_passes(misfits: Path, name: str) -> None:
    assert failures(examined(name, "task")) == {}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_breaks_one_promise_fails_that_check_and_no_other(misfits: Path, name: str) -> None:
    check, found = MODELS[name]
    failed = failures(examined(name, "model"))
    assert set(failed) == {check}
    assert found in failed[check]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_that_breaks_one_promise_fails_that_check_and_no_other(misfits: Path, name: str) -> None:
    check, found = TASKS[name]
    failed = failures(examined(name, "task"))
    assert set(failed) == {check}
    assert found in failed[check]


def test_a_model_that_cannot_do_without_labels_is_told_so(misfits: Path) -> None:
    failed = failures(examined("needs-labels", "model"))
    assert set(failed) == {"shape", "labels"}
    assert failed["labels"].startswith("model uses labels: with them it answers, without them it raises KeyError")


def test_every_check_has_a_misfit(misfits: Path) -> None:
    """Else there would be a check of which nobody knows whether it can fail."""
    known = {name for table in (MODELS, TASKS) for name, _ in table.values()}
    models = (catalogue().model(name) for name in ("fine", "fine-classifier", "fine-genes"))
    specs = (*models, catalogue().task("fine-task"))
    assert {check.name for spec in specs for check, _ in checks(spec)} == known


def test_a_capability_without_checks_of_its_own_says_so(misfits: Path) -> None:
    row = examined("fine-genes", "model")[-1]
    assert (row.check, row.result) == ("answers of EmbedsGenes", "skipped")
    assert "no checks of its own" in row.found


def test_a_floor_with_nothing_above_it_is_noted(misfits: Path) -> None:
    row = examined("lonely-floor", "task")[-1]
    assert (row.check, row.result) == ("controls", "ok")
    assert row.found == "shuffled; note: the floor is compared with none, give a control that is above it"


def test_a_model_that_gives_two_things_is_asked_for_both(misfits: Path) -> None:
    names = [row.check for row in examined("fine-both", "model")]
    assert {"shape (EmbedsCells)", "shape (PredictsLabels)"} <= set(names)
    assert len(names) == len(set(names))
