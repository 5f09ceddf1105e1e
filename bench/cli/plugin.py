"""`bench plugin`: start a plugin, and examine any."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench.cli import complete, tables, values
from bench.config import assignments
from bench.errors import BadOutput
from bench.runs.request import MAX_SEED

if TYPE_CHECKING:
    from bench.conformance.report import Report, Row

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Start a plugin of your own (new), and examine any (check)."
)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What the model or task is to be called.")],
    kind: Annotated[Literal["model", "task"], typer.Option(help="What the plugin brings.")] = "model",
    out: Annotated[Path, typer.Option(help="The folder in which its folder is made.")] = Path(),
) -> None:
    """Write a complete small plugin: it installs, passes its test, and can be run as it is.

    Examples:

      bench plugin new mymodel

      bench plugin new mytask --kind task --out plugins
    """
    from bench.scaffold.create import create

    written = create(name, kind, out)
    for path in written:
        typer.echo(f"wrote {path}")
    project = next(path.parent for path in written if path.name == "pyproject.toml")
    example = f"--model {name} --task clustering" if kind == "model" else f"--model pca --task {name}"
    for command in (
        f"pip install -e {shlex.quote(str(project))}",
        f"python -m pytest {shlex.quote(str(project))}",
        f"bench plugin check {name}",
        f"bench run {example}",
    ):
        typer.echo(f"next: {command}")


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A model or a task.", autocompletion=complete.examinable)],
    kind: Annotated[
        Literal["model", "task"] | None, typer.Option(help="Which of the two, where both have the name.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Option of the plugin: key=value.")] = None,
    weights: Annotated[str, typer.Option(help="Folder or file of weights, or 'untrained'.")] = "",
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the model.")] = 0,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where the model runs.")] = "cpu",
    timeout: Annotated[str, typer.Option(help="Longest that one check may take: 90s, 5m.")] = "5m",
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Examine a model or a task: is it what it says it is?

    Generated cells are given to the plugin in a process of its own. A plugin that crashes or hangs fails that
    check, and the others go on. The exit code is 0 where nothing failed, else 3.

    Examples:

      bench plugin check pca

      bench plugin check scvi --set max_epochs=2 --timeout 10m

      bench plugin check classification --json
    """
    from bench.conformance import examine

    report = examine(
        name,
        kind=kind,
        set=assignments(set_ or (), "--set"),
        weights=weights,
        seed=seed,
        device=values.available(device),
        timeout=values.duration(timeout) or 0.0,
        on_row=_show if sys.stderr.isatty() else lambda row: None,
    )
    if json_:
        typer.echo(json.dumps(report.as_dict(), indent=1))
    else:
        _print(report)
    if not report.passed:
        names = ", ".join(row.check for row in report.failed)
        raise BadOutput(
            f"{report.kind} {report.name} fails {len(report.failed)} of {len(report.rows)} checks: {names}."
        )


def _show(row: Row) -> None:
    """How far it has come, for who waits; the table says the rest."""
    typer.echo(f"{row.result:7} {row.check}", err=True)


def _print(report: Report) -> None:
    rows = [{"check": row.check, "result": row.result, "found": row.found} for row in report.rows]
    tables.print_rows(rows, f"{report.kind} {report.name}")
    skipped = sum(row.result == "skipped" for row in report.rows)
    passed = len(report.rows) - skipped - len(report.failed)
    typer.echo(f"{passed} ok, {len(report.failed)} failed, {skipped} skipped")
