"""`bench list`."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer

from bench.catalogue import Catalogue, catalogue, check
from bench.cli import tables
from bench.specs import DatasetSpec

Kind = Literal["models", "tasks", "datasets", "pairs"]


def list_(
    kind: Annotated[Kind | None, typer.Argument(help="What to list; everything but pairs if left out.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """List models, tasks and datasets, or which models can sit which tasks.

    Examples:

      bench list

      bench list pairs

      bench list models --json
    """
    found = catalogue()
    kinds: tuple[Kind, ...] = (kind,) if kind else ("models", "tasks", "datasets")
    content = {k: _ROWS[k](found) for k in kinds}
    if json_:
        typer.echo(json.dumps({**content, "troubles": found.troubles()}, indent=1))
        return
    for name, rows in content.items():
        away = [row["name"] for row in rows if row.get("here", "yes") != "yes"] if kind is None else []
        tables.print_rows([row for row in rows if row["name"] not in away] if away else rows, title=name)
        if away:  # an overview, and quick: a table of all of them takes longer than everything else here
            typer.echo(f"{len(away)} more can be fetched (bench list datasets tells more): {', '.join(away)}")
    for trouble in found.troubles():
        typer.echo(f"bench: {trouble}", err=True)


def model_rows(found: Catalogue) -> list[dict[str, Any]]:
    """One row per model."""
    return [
        {
            "name": m.name,
            "learns from": {"no": "nothing (zero-shot)", "cells": "cells", "labels": "cells and labels"}[m.fits],
            "gives": ", ".join(sorted(m.gives)),
            "summary": m.summary,
            "from": found.models.origins[m.name],
        }
        for m in found.models
    ]


def task_rows(found: Catalogue) -> list[dict[str, Any]]:
    """One row per task."""
    return [
        {
            "name": t.name,
            "needs": f"{t.needs}; obs {', '.join(t.obs)}" if t.obs else str(t.needs),
            "ranked by": t.main_metric or "aggregate",
            "default dataset": t.default_dataset,
            "summary": t.summary,
            "from": found.tasks.origins[t.name],
        }
        for t in found.tasks
    ]


def dataset_rows(found: Catalogue) -> list[dict[str, Any]]:
    """One row per dataset."""
    return [
        {
            "name": d.name,
            "cells": "" if d.n_obs is None else f"{d.n_obs:,}",
            "obs": ", ".join(sorted(d.roles)),
            "kind": "simulated" if d.simulated else "semi-simulated" if d.semi_simulated else "real",
            "here": _here(d),
            "summary": d.summary,
            "from": found.datasets.origins[d.name],
        }
        for d in found.datasets
    ]


def _here(spec: DatasetSpec) -> str:
    """Whether a dataset is on this machine: `yes`, `fetch` (by `bench fetch`), or `manual` where that needs a login."""
    from bench.downloads.fetch import located
    from bench.downloads.places import dataset_folder

    if not spec.files or located(spec.files, dataset_folder(spec.name)):
        return "yes"
    return "fetch" if all(file.urls for file in spec.files) else "manual"


def pair_rows(found: Catalogue) -> list[dict[str, Any]]:
    """One row per model and task, on the task's default dataset, with all reasons against it."""
    rows = []
    for task in found.tasks:
        dataset = found.datasets.specs.get(task.default_dataset)
        for model in found.models:
            reasons = check(model, task, dataset) if dataset else [f"no dataset {task.default_dataset!r} is installed"]
            rows.append(
                {
                    "model": model.name,
                    "task": task.name,
                    "fits": not reasons,
                    "why not": "; ".join(map(str, reasons)),
                }
            )
    return rows


_ROWS = {"models": model_rows, "tasks": task_rows, "datasets": dataset_rows, "pairs": pair_rows}
