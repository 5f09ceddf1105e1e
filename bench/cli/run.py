"""`bench run`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench import config
from bench.cli import complete, values
from bench.errors import BadInput

if TYPE_CHECKING:
    from bench.runs.record import Record
    from bench.runs.run import Outcome

OK, BAD_INPUT, FAILED, INTERRUPTED = 0, 2, 3, 130


def run(
    task: Annotated[
        list[str],
        typer.Option("--task", "-t", help="Task; repeat or separate by commas.", autocompletion=complete.tasks),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Model; repeat or separate by commas.", autocompletion=complete.models),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            "-d",
            help="Name, .h5ad file or .toml set; default: each task's own.",
            autocompletion=complete.datasets,
        ),
    ] = None,
    seed: Annotated[list[str] | None, typer.Option(help="Seed of the model: 0, 0,1 or 0..4.")] = None,
    embedding: Annotated[str, typer.Option(help="Score this obsm key of the file instead of a model.")] = "",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Option of the models: key=value, or MODEL.key=value for one.")
    ] = None,
    task_set: Annotated[
        list[str] | None, typer.Option(help="Option of the tasks: key=value, or TASK.key=value for one.")
    ] = None,
    data_set: Annotated[
        list[str] | None, typer.Option(help="Option of the datasets: key=value, or NAME.key=value.")
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="TOML or YAML with tables model, task, data.")
    ] = None,
    obs: Annotated[list[str] | None, typer.Option(help="Role of a column: cell_type=COLUMN, batch=COLUMN ...")] = None,
    layer: Annotated[str, typer.Option(help="Where the counts are: a layer, X or raw.")] = "",
    weights: Annotated[str, typer.Option(help="Folder or file of weights, or 'untrained'.")] = "",
    baselines: Annotated[bool, typer.Option("--baselines", help="Also run each task's baselines.")] = False,
    results: Annotated[Path | None, typer.Option(help="Results folder; else $BENCH_RESULTS, else ./results.")] = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where models run.")] = "cpu",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Runs at a time.")] = 1,
    executor: Annotated[Literal["local", "inline"], typer.Option(help="A process per run, or this process.")] = "local",
    python: Annotated[str, typer.Option(help="Interpreter of the runs.")] = sys.executable,
    timeout: Annotated[str | None, typer.Option(help="Limit of one run: 90s, 30m, 2h.")] = None,
    max_memory: Annotated[str | None, typer.Option(help="Limit of one run: 16G.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Run again what is done.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run again what has failed.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Examine models on tasks: each (model, task, dataset, fold, seed) is one run with one record.

    Finished runs are not run again. Lists make a grid; what does not go together is listed and skipped.

    Examples:

      bench run --model pca --task integration

      bench run --model pca,scvi --task clustering,classification --dataset my.h5ad --obs cell_type=annotation

      bench run --model logreg,pca --set pca.n_components=30 --task classification --task-set probe=knn --seed 0..4

      bench run --embedding X_mine --task integration --dataset my.h5ad --obs batch=sample --obs cell_type=labels

    Exit codes: 0 all done; 2 nothing can run, or all failures are bad input; 3 a run failed; 4 the results
    folder cannot be used; 130 interrupted.
    """
    from bench.cli.progress import Display
    from bench.runs.request import Request
    from bench.runs.run import Policy
    from bench.runs.run import run as run_request
    from bench.runs.supervise import Limits
    from bench.store.location import results_dir

    tables = _tables(config_file)
    request = Request(
        tasks=values.names(task),
        models=values.names(model),
        datasets=values.names(dataset),
        seeds=values.seeds(seed),
        embedding=embedding,
        set=tables["model"] | config.assignments(set_ or (), "--set"),
        task_set=tables["task"] | config.assignments(task_set or (), "--task-set"),
        data_set=tables["data"] | config.assignments(data_set or (), "--data-set"),
        obs=config.assignments(obs or (), "--obs"),
        layer=layer,
        weights=weights,
        baselines=baselines,
        device=values.available(device),
    )
    policy = Policy(
        results=results_dir(results),
        jobs=jobs,
        executor=executor,
        limits=Limits(values.duration(timeout), values.size(max_memory)),
        python=str(Path(python).absolute()) if os.sep in python else python,
        force=force,
        retry_failed=retry_failed,
    )
    try:
        # whatever plugins print here, stdout is for the answer
        with Display(quiet=json_) as display, contextlib.redirect_stdout(sys.stderr):
            outcome = run_request(request, policy, display.progress)
    except KeyboardInterrupt:
        typer.echo("bench: interrupted; what was finished is recorded.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _report(outcome, policy.results, json_)
    raise typer.Exit(exit_code(outcome.records))


def exit_code(records: Sequence[Record]) -> int:
    """What the process returns for these runs."""
    failed = [r for r in records if r["status"] != "ok"]
    if not records:
        return BAD_INPUT
    if not failed:
        return OK
    return BAD_INPUT if all(r["error"] and r["error"]["bad_input"] for r in failed) else FAILED


TABLES = ("model", "task", "data")


def _tables(file: Path | None) -> dict[str, dict[str, object]]:
    """The tables of a config file; `[model.pca] width = 3` is `pca.width = 3` of `[model]`."""
    read = config.read(file) if file else {}
    tables: dict[str, dict[str, object]] = {name: {} for name in TABLES}
    for name, content in read.items():
        if name not in TABLES or not isinstance(content or {}, dict):
            raise BadInput(f"config {file}: {name!r} is not one of the tables [model], [task], [data].")
        for key, value in (content or {}).items():
            nested = value.items() if isinstance(value, dict) else ()
            tables[name] |= {f"{key}.{inner}": item for inner, item in nested} if nested else {key: value}
    return tables


def _report(outcome: Outcome, results: Path, as_json: bool) -> None:
    """Index the records and show what the request has come to."""
    from bench.cli import tables
    from bench.store.index import Store

    store = Store(results)
    for notice in store.sync().notices():
        typer.echo(notice, err=True)
    tables.print_notes(outcome.records)
    tables.print_troubles(outcome.records)
    if as_json:
        typer.echo(tables.outcome_json(outcome))
    elif outcome.records:
        from bench.cli.summary import print_summary

        print_summary(store, *(_names(outcome.records, part) for part in ("model", "task", "dataset")))


def _names(records: Sequence[Record], part: Literal["model", "task", "dataset"]) -> list[str]:
    return sorted({record[part]["name"] for record in records})
