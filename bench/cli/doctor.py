"""`bench doctor`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import complete, values
from bench.config import assignments
from bench.errors import BadInput

if TYPE_CHECKING:
    from bench.diagnosis.finding import Finding

OK, STOPPED = 0, 2


def doctor(
    data: Annotated[
        str,
        typer.Argument(help="Name, .h5ad file or .toml set; left out: this installation.", show_default=False),
    ] = "",
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Models it is meant for.", autocompletion=complete.models),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="Tasks it is meant for; default: all.", autocompletion=complete.tasks),
    ] = None,
    obs: Annotated[list[str] | None, typer.Option(help="Role of a column: cell_type=COLUMN, batch=COLUMN ...")] = None,
    layer: Annotated[str, typer.Option(help="Where the counts are: a layer, X or raw.")] = "",
    data_set: Annotated[list[str] | None, typer.Option(help="Option of the data: key=value.")] = None,
    task_set: Annotated[list[str] | None, typer.Option(help="Option of the tasks: key=value.")] = None,
    weights: Annotated[str, typer.Option(help="Folder or file of weights, or 'untrained'.")] = "",
    results: Annotated[Path | None, typer.Option(help="Results folder; else $BENCH_RESULTS, else ./results.")] = None,
    trials: Annotated[
        bool, typer.Option("--trials/--no-trials", help="Try models that have no record on a few cells.")
    ] = True,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say what is wrong with a dataset for a run, all at once, each with the option that mends it.

    Without DATA: what is wrong with this installation, its plugins and its results folder.

    Examples:

      bench doctor my.h5ad

      bench doctor my.h5ad --model scvi --task integration --obs batch=sample --obs cell_type=annotation

      bench doctor

    Exit codes: 0 nothing stops a run; 2 something does.
    """
    from bench.store.location import results_dir

    folder = results_dir(results)
    if not data:
        if model or task or obs or layer or data_set or task_set or weights:
            raise BadInput("--model, --task, --obs and the like are about a dataset: bench doctor DATA ...")
        from bench.diagnosis.installation import examine

        _print(examine(folder), "", json_)
        return
    from bench.diagnosis.data import diagnose
    from bench.diagnosis.query import Query

    query = Query(
        data=data,
        models=values.names(model),
        tasks=values.names(task),
        obs=assignments(obs or (), "--obs"),
        layer=layer,
        data_set=assignments(data_set or (), "--data-set"),
        task_set=assignments(task_set or (), "--task-set"),
        weights=weights,
        results=folder,
        trials=trials,
    )
    with contextlib.redirect_stdout(sys.stderr):  # whatever plugins print here, stdout is for the answer
        found = diagnose(query)
    _print(found.findings, found.command, json_, found.verdict)


def _print(findings: Sequence[Finding], command: str, as_json: bool, verdict: str = "") -> None:
    """The findings grouped by subject, then the verdict and the command it recommends."""
    stopped = any(finding.level == "error" for finding in findings)
    if not verdict:
        verdict = "Something is broken." if stopped else "Nothing is broken."
    if as_json:
        rows = [dataclasses.asdict(finding) for finding in findings]
        typer.echo(json.dumps({"findings": rows, "verdict": verdict, "command": command}, indent=1))
    else:
        _print_table(findings)
        typer.echo(verdict)
        if command:
            typer.echo(command)
    raise typer.Exit(STOPPED if stopped else OK)


def _print_table(findings: Sequence[Finding]) -> None:
    from bench.cli import tables

    subjects = list(dict.fromkeys(finding.subject for finding in findings))
    mends = any(finding.mend for finding in findings)
    rows = []
    for subject in subjects:
        for position, finding in enumerate(f for f in findings if f.subject == subject):
            row = {"about": "" if position else subject, "": finding.level, "found": finding.text}
            rows.append(row | ({"mended by": finding.mend} if mends else {}))
    tables.print_rows(rows)
