"""Tables on a terminal, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from bench.runs.record import Record


def print_rows(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print rows as a table on stdout; long cells wrap, nothing is cut off in a pipe."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        typer.echo(f"{title}: none" if title else "none")
        return
    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for key, value in rows[0].items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        table.add_column(key, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(value)) for value in row.values()))
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


def cell(value: Any) -> str:
    """A value as a reader wants it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def print_runs(records: Sequence[Record]) -> None:
    """Print each run with its headline."""
    if records:
        print_rows([run_row(record) for record in records], title="runs")
    for record in records:
        if record["error"]:
            typer.echo(f"{record['status']}: {run_name(record)}: {record['error']['message']}", err=True)
        for flag in record["flags"]:
            typer.echo(f"{flag['kind']}: {run_name(record)}: {flag['reason']}", err=True)


def run_row(record: Record) -> dict[str, Any]:
    """One line about a run."""
    task = record["task"]
    shown = [task["main_metric"]] if task["main_metric"] else [m["name"] for m in task["metrics"] if m["group"]]
    values = {s["metric"]: s["value"] for s in record["scores"] if not s["part"]}
    scores = ", ".join(f"{name} {cell(values[name])}" for name in shown if name in values)
    return {
        "model": record["model"]["name"] + (f" + {task['bridge']}" if task["bridge"] else ""),
        "task": task["name"],
        "dataset": record["dataset"]["name"],
        "fold": record["fold"],
        "seed": record["seed"],
        "track": record["track"],
        "scores": scores or record["status"],
        "seconds": record["cost"]["wall_s"],
    }


def run_name(record: Record) -> str:
    """How a run is called in a sentence."""
    parts = [record["model"]["name"], record["task"]["name"], record["dataset"]["name"], record["fold"]]
    return " · ".join(part for part in parts if part and part != "all")


def runs_json(records: Sequence[Record]) -> str:
    """The document `bench run --json` prints."""
    return json.dumps({"runs": [run_document(record) for record in records]}, indent=1)


def run_document(record: Record) -> dict[str, Any]:
    """A record with the names of its parts at the top."""
    return {
        **record,
        "model": record["model"]["name"],
        "task": record["task"]["name"],
        "dataset": record["dataset"]["name"],
        "bridge": record["task"]["bridge"],
        "provenance": {key: record[key] for key in ("model", "task", "dataset")},
    }
