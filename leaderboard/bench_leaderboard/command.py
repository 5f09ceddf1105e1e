"""`bench leaderboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.store.location import results_dir


def leaderboard(
    results: Annotated[
        Path | None, typer.Option(help="Results folder. [default: $BENCH_RESULTS, else ./results]", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the page. [default: RESULTS/leaderboard]", show_default=False)
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Show it on a port of this machine until Ctrl-C.")] = False,
) -> None:
    """Render the results as a static page.

    One HTML file without JavaScript, results.parquet and results.csv beside it, and a copy of every
    record it links to: the folder can be published as it is.

    Examples:

        bench leaderboard

        bench leaderboard --results results --out public --serve
    """
    from bench_leaderboard.page import render
    from bench_leaderboard.serve import serve_folder

    folder = results_dir(results)
    page = render(folder, out or folder / "leaderboard", notify=lambda text: typer.echo(text, err=True))
    typer.echo(str(page))
    if serve:
        serve_folder(page.parent, announce=typer.echo)
