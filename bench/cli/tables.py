"""Tables on a terminal, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from bench.metrics.aggregate import aggregate, group_means
from bench.specs import MetricSpec

if TYPE_CHECKING:
    from bench.runs.record import Record
    from bench.runs.run import Outcome


MANY_COLUMNS = 10
"""From here on, words of a header stand below each other."""


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
    crowded = len(rows[0]) > MANY_COLUMNS
    for i, (key, value) in enumerate(rows[0].items()):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        header = key.replace("_", "\n") if crowded else key
        table.add_column(header, justify="right" if number else "left", overflow="fold", no_wrap=i == 0)
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


def print_troubles(records: Sequence[Record]) -> None:
    """Say on stderr what failed, and what is not to be believed."""
    for record in records:
        if record["error"]:
            typer.echo(f"{record['status']}: {run_name(record)}: {record['error']['message']}", err=True)
        for flag in record["flags"]:
            typer.echo(f"{flag['kind']}: {run_name(record)}: {flag['reason']}", err=True)


def print_notes(records: Sequence[Record]) -> None:
    """Say on stderr what tasks had to say about the data, each once: types never seen, confounded batches."""
    folds: dict[str, dict[str, None]] = {}
    for record in records:
        for note in record["split"]["notes"] if record["split"] else ():
            text = f"{record['task']['name']} · {record['dataset']['name']}: {note}"
            folds.setdefault(text, {})[record["fold"]] = None
    for text, of in folds.items():
        typer.echo(f"note: {text}{'' if 'all' in of else ' (fold ' + ', '.join(of) + ')'}", err=True)


def headline(record: Record) -> str:
    """The numbers a run is ranked by, or how it ended."""
    task = record["task"]
    values = {s["metric"]: s["value"] for s in record["scores"] if not s["part"]}
    if not values:
        return record["status"]
    if task["main_metric"]:
        return f"{task['main_metric']} {cell(values.get(task['main_metric']))}"
    means = group_means(values, [MetricSpec(**m) for m in task["metrics"]], task["aggregate"])
    whole = {"aggregate": aggregate(means, task["aggregate"]), **dict(zip(task["aggregate"], means, strict=True))}
    return ", ".join(f"{name} {cell(value)}" for name, value in whole.items())


def run_name(record: Record) -> str:
    """How a run is called in a sentence."""
    model = record["model"]["name"] + (f" + {record['task']['bridge']}" if record["task"]["bridge"] else "")
    parts = [model, record["task"]["name"], record["dataset"]["name"], record["fold"]]
    return " · ".join(part for part in parts if part and part != "all")


def outcome_json(outcome: Outcome) -> str:
    """The document `bench run --json` prints."""
    refused = [
        {"model": r.model.name, "task": r.task.name, "dataset": r.dataset.name, "reasons": [str(x) for x in r.reasons]}
        for r in outcome.refusals
    ]
    return json.dumps({"runs": [run_document(r) for r in outcome.records], "refused": refused}, indent=1)


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
