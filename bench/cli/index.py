"""`bench index`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def index(
    results: Annotated[Path | None, typer.Option(help="Results folder; else $BENCH_RESULTS, else ./results.")] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Delete the index and make it anew.")] = False,
) -> None:
    """Bring the DuckDB index up to date with the records. The records are the truth: the index can be rebuilt.

    Examples:

      bench index

      bench index --rebuild --results results
    """
    from bench.store.index import Store
    from bench.store.location import results_dir

    report = Store(results_dir(results)).sync(rebuild=rebuild)
    for line in report.notices():
        typer.echo(line, err=True)
    typer.echo(f"{report.ingested} records added")
