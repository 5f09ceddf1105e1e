"""`bench diff`."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bench.store.diff.compare import Comparison, RunName, ScoreRow


def diff(
    first: Annotated[str, typer.Argument(help="A run id or its beginning, ID.N for attempt N, or a record file.")],
    second: Annotated[str, typer.Argument(help="The run to compare it with.")],
    results: Annotated[Path | None, typer.Option(help="Results folder; else $BENCH_RESULTS, else ./results.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say what differs between two runs, and whether their scores differ beyond noise.

    Noise is judged by paired differences over donors, batches or perturbations where there are at least 8, else by
    the spread over the seeds in the results folder; where there is neither, it is unknown and said so.

    Examples:

      bench diff 3f2a 9c41

      bench diff 3f2a81.1 3f2a81.2

      bench diff results/records/3f/3f2a81c07de1f9b6aa35.1.json colleague.json --json
    """
    from bench.store.diff.compare import compare
    from bench.store.location import results_dir

    found = compare(results_dir(results), first, second)
    if json_:
        document = {"identical": found.identical, **dataclasses.asdict(found)}
        typer.echo(json.dumps(document, indent=1, default=str))
        return
    _print(found)


def _print(found: Comparison) -> None:
    from bench.cli.tables import print_rows

    typer.echo(f"first:  {_name(found.first)}\nsecond: {_name(found.second)}")
    if found.incomparable:
        typer.echo(f"not comparable: {'; '.join(found.incomparable)}")
    typer.echo()
    changed = [
        {"": d.topic, "what": d.name, "first": _text(d.first), "second": _text(d.second)} for d in found.differences
    ]
    print_rows(changed, title="what differs")
    for note in found.notes:
        typer.echo(f"note: {note}")
    if found.scores:
        print_rows([_score(row) for row in found.scores], title="scores")
    costs = [
        {"what": c.name, "first": _cost(c.first), "second": _cost(c.second), "ratio": _cost(c.ratio)}
        for c in found.costs
    ]
    print_rows(costs, title="cost")
    typer.echo(verdict(found))


def verdict(found: Comparison) -> str:
    """The answer in one sentence."""
    failed = [name for name in (found.first, found.second) if name.status != "ok"]
    if failed:
        return f"No scores to compare: {'; '.join(f'{name.run_id} {name.status}' for name in failed)}."
    if found.incomparable:
        return "Not comparable: the two runs were asked different questions."
    if found.identical:
        return "All scores are identical."
    counts = Counter(row.noise.verdict if row.noise else "not defined in both" for row in found.scores)
    return "Scores: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()) + "."


def _name(run: RunName) -> str:
    model = run.model + (f" + {run.bridge}" if run.bridge else "")
    fold = f" · {run.fold}" if run.fold not in ("", "all") else ""
    error = f": {run.error}" if run.error else ""
    what = f"{model} · {run.task} · {run.dataset}{fold} · seed {run.seed}"
    return f"{run.run_id}.{run.attempt}  {what} · {run.created} · {run.status}{error}"


def _score(row: ScoreRow) -> dict[str, Any]:
    part = ", ".join(f"{key} {value}" for key, value in row.part.items())
    return {
        "metric": f"{row.metric} ({part})" if part else row.metric,
        "first": _amount(row.first),
        "second": _amount(row.second),
        "difference": _signed(row.difference),
        "verdict": row.noise.verdict if row.noise else "–",
        "because": row.noise.basis if row.noise else "",
    }


def _text(value: Any) -> str:
    """A value of a record as a reader wants it: hashes cut, nothing as a dash."""
    text = "–" if value is None or value == "" else str(value)
    return f"{text[:20]}…" if len(text) in (40, 64) and text.isalnum() else text


def _amount(value: float | None) -> str:
    """Four digits behind the point, or two that count of a small number."""
    if value is None:
        return "–"
    return f"{value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"


def _cost(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _signed(value: float | None) -> str:
    return "–" if value is None else ("+" if value >= 0 else "") + _amount(value)
