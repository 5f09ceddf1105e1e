"""The tables: which checks there are, and which apply to whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.conformance import declared, exams, fairness, form, invariance, scoring
from bench.conformance.check import Check, Skip
from bench.conformance.subject import ASK, ModelSubject
from bench.specs import Cap, ModelSpec, TaskSpec

SPEC, SHAPE, FINITE, ORDER, NEW = "spec", "shape", "finite", "cell order", "inductive"
FOLDS, SPLIT, SIT, STABLE = "folds", "split", "sit", "stable score"

DECLARED = (
    Check("light import", "commands start fast, whatever the plugin needs to run", declared.light_import),
    Check("config", "options survive a record, and `bench show` explains them", declared.serialisable_config),
    Check("options", "a wrong option is refused in one sentence that names it", declared.refused_options),
)
MODEL = (Check(SPEC, "the class does what the spec declares", declared.model_spec), *DECLARED)
CELLS = (
    Check(SHAPE, "one row per cell, of the type the capability asks for", form.shape, (SPEC,)),
    Check(FINITE, "no NaN and no constant, for hard cells too", form.finite, (SHAPE,)),
    Check("determinism", "the same seed gives the same bits", invariance.determinism, (SHAPE,)),
    Check(ORDER, "permuted cells give permuted rows", invariance.cell_order, (SHAPE,)),
    Check("gene order", "genes are known by name, not by place", invariance.gene_order, (SHAPE,)),
    Check(NEW, "cells that were not in fit are answered, if declared", invariance.inductive, (SHAPE,)),
    Check("per cell", "a cell gets the same answer in any company", invariance.per_cell, (SHAPE, ORDER, NEW)),
    Check("one cell", "a single cell gets one row", invariance.one_cell, (SHAPE,)),
    Check("cell names", "a cell is known by its counts, not by its name", invariance.cell_names, (SHAPE, FINITE, NEW)),
    Check("labels", "no look at labels, unless declared", fairness.labels, (SPEC,)),
    Check("input kept", "the cells it is given are the same afterwards", fairness.input_kept, (SHAPE,)),
    Check("manners", "stdout belongs to answers", fairness.manners, (SHAPE,)),
    Check("other genes", "cells that lack genes are answered or refused in words", form.other_genes, (SHAPE, FINITE)),
    Check("weights", "weights that are not there are reported in words", form.missing_weights, (SHAPE,)),
)
"""Checks of capabilities that answer about cells."""

TASK = (Check(SPEC, "the spec is complete and all it names exists", declared.task_spec), *DECLARED)
EXAM = (
    Check(FOLDS, "there are folds, always the same", exams.folds, (SPEC,)),
    Check(SPLIT, "the split follows from data and split_seed alone", exams.split, (FOLDS,)),
    Check("source kept", "the dataset is the same afterwards and shares no memory", exams.source_kept, (SPLIT,)),
    Check("held out", "cells that are asked about are not learned from", exams.held_out, (SPLIT,)),
    Check("allow-list", "an exam holds only what the spec says is shown", exams.allow_list, (SPLIT,)),
    Check("hidden truth", "labels of scored cells leave no trace in the exam", exams.hidden_truth, (SPLIT,)),
    Check(SIT, "a plain model sits the exam and its answer fits", scoring.sit, (SPLIT,)),
    Check("no peeping", "what a model is handed during the exam holds no answers", scoring.no_peeping, (SIT,)),
    Check("scores", "metrics, versions and bounds are those of the spec", scoring.scores, (SIT,)),
    Check(STABLE, "the same answer scores the same, from a fresh task too", scoring.stable, (SIT,)),
    Check("rows by name", "rows are joined by name, not by place", scoring.rows_by_name, (SIT, STABLE)),
    Check("controls", "floor and ceiling exist and stand in their order", scoring.controls, (SPLIT,)),
)


def checks(spec: ModelSpec | TaskSpec) -> list[tuple[Check, Cap | None]]:
    """All checks of a plugin in their order, each with the capability it asks; None: of the spec."""
    if isinstance(spec, TaskSpec):
        return [(check, None) for check in (*TASK, *EXAM)]
    return [*((check, None) for check in MODEL), *_asking(spec)]


def _asking(spec: ModelSpec) -> Iterator[tuple[Check, Cap | None]]:
    """Checks that ask the model; where it gives several things, each names what it asked for."""
    for cap in sorted(spec.gives):
        suffix = f" ({cap})" if len(spec.gives) > 1 else ""
        if cap not in ASK:
            yield _unknown(cap), None
            continue
        for check in CELLS:
            needs = tuple(name if name == SPEC else name + suffix for name in check.needs)
            yield replace(check, name=check.name + suffix, needs=needs), cap


def _unknown(cap: Cap) -> Check:
    def skip(subject: ModelSubject) -> str:
        subject.make()
        raise Skip(f"it can be made; the kit has no checks of its own for {cap} yet")

    return Check(f"answers of {cap}", "what it answers can be trusted", skip, (SPEC,))
