"""`bench results`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli import complete, values
from bench.errors import BadInput


def results(
    results: Annotated[Path | None, typer.Option(help="Results folder; else $BENCH_RESULTS, else ./results.")] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Only these models.", autocompletion=complete.models)
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="Only these tasks.", autocompletion=complete.tasks)
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option("--dataset", "-d", help="Only these datasets.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout: every run.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="CSV on stdout: one row per run and metric.")] = False,
    sql: Annotated[str, typer.Option(help="Answer a SELECT over runs, scores, units, metrics; CSV on stdout.")] = "",
) -> None:
    """Show what was measured: means over folds and seeds, by task, dataset and track.

    Examples:

      bench results

      bench results --task integration --csv > scores.csv

      bench results --sql "SELECT model, metric, value FROM runs JOIN scores USING (run_id, attempt) LIMIT 5"
    """
    from bench.cli.summary import print_summary
    from bench.store import queries
    from bench.store.index import Store
    from bench.store.location import results_dir

    if json_ + csv + bool(sql) > 1:
        raise BadInput("--json, --csv and --sql exclude each other.")
    store = Store(results_dir(results))
    for notice in store.sync().notices():
        typer.echo(notice, err=True)
    chosen = {"model": values.names(model), "task": values.names(task), "dataset": values.names(dataset)}
    filters: dict[str, Any] = {name: wanted or None for name, wanted in chosen.items()}
    if json_:
        typer.echo(json.dumps(queries.documents(store, **filters), indent=1))
    elif csv:
        queries.results(store, **filters).to_csv(sys.stdout, index=False)
    elif sql:
        queries.sql(store, sql).to_csv(sys.stdout, index=False)
    else:
        print_summary(store, **chosen)
