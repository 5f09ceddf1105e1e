"""`bench show`."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any, Literal, get_args

import typer

from bench.catalogue import catalogue
from bench.cli import complete, tables
from bench.config import describe
from bench.downloads.sizes import shown
from bench.specs import DatasetSpec, ModelSpec, RemoteFile, TaskSpec
from bench.training.command import Verb


def show(
    kind: Annotated[Literal["model", "task", "dataset"], typer.Argument(help="What it is.")],
    name: Annotated[str, typer.Argument(help="Its name.", autocompletion=complete.everything)],
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Show what a model, task or dataset is, and the options it takes.

    Examples:

      bench show model scvi

      bench show task classification
    """
    found = catalogue()
    spec: Any = {"model": found.model, "task": found.task, "dataset": found.dataset}[kind](name)
    if json_:
        typer.echo(json.dumps({**facts(spec), "options": options(spec), "training": training(spec)}, indent=1))
        return
    for key, value in facts(spec).items():
        if key != "files" and value not in ("", None, [], {}):
            typer.echo(f"{key + ':':16} {_line(value)}")
    if isinstance(spec, TaskSpec):
        tables.print_rows([_metric_row(m) for m in spec.metrics], title="metrics")
    if remote := files(spec):
        tables.print_rows([_file_row(f) for f in remote], title="files")
    tables.print_rows(options(spec), title={"model": "--set", "task": "--task-set", "dataset": "--data-set"}[kind])
    for verb, trains in training(spec).items():
        _print_training(verb, trains)


def facts(spec: Any) -> dict[str, Any]:
    """The fields of a spec as JSON-ready data, without its options."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if field.name in ("config", "params", "options"):
            continue
        if field.name in ("metrics", "bridges"):
            value = [v.name for v in value]
        elif field.name == "files":
            value = [dataclasses.asdict(v) for v in value]
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = dataclasses.asdict(value)
        values[field.name] = sorted(value) if isinstance(value, frozenset) else value
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def files(spec: Any) -> tuple[RemoteFile, ...]:
    """What `bench fetch` downloads for a dataset, or for the weights of a model."""
    if isinstance(spec, ModelSpec):
        return spec.weights.files if spec.weights else ()
    return getattr(spec, "files", ())


def options(spec: ModelSpec | TaskSpec | DatasetSpec) -> list[dict[str, str]]:
    """What can be set, with types, defaults and help."""
    if isinstance(spec, DatasetSpec):
        from bench.data.options import DataOptions

        own = [
            {"name": k, "type": type(v).__name__, "default": str(v), "help": "parameter of the generator"}
            for k, v in spec.params.items()
        ]
        return own + describe(DataOptions)
    if isinstance(spec, TaskSpec):
        from bench.runs.request import Splitting

        return describe(spec.config) + describe(Splitting)
    return describe(spec.config)


def training(spec: Any) -> dict[str, dict[str, Any]]:
    """For each verb that trains a model: what it does, its named configurations, and its options by section."""
    if not isinstance(spec, ModelSpec) or not spec.commands:
        return {}
    from bench.training.configure import command_of, configured, names

    found = {verb: command_of(spec, verb) for verb in get_args(Verb) if verb in spec.commands}
    return {
        verb: {
            "summary": command.summary,
            "configs": names(command),
            "default": command.default,
            "options": [
                {**row, "name": f"{section}.{row['name']}"}
                for section, chosen in configured(command).sections.items()
                for row in describe(type(chosen), chosen)
            ],
        }
        for verb, command in found.items()
    }


def _print_training(verb: str, trains: dict[str, Any]) -> None:
    """Lines as they are given to `--set`; as a table, a hundred options would take longer than all else."""
    configs = [f"{name} (default)" if name == trains["default"] else name for name in trains["configs"]]
    left = [f"{row['name']}={row['default']}" for row in trains["options"]]
    width = max(map(len, left))
    typer.echo(f"bench {verb}: {trains['summary']}")
    typer.echo(f"  --config {' | '.join(configs) or 'FILE'}")
    typer.echo("  --set")
    for text, row in zip(left, trains["options"], strict=True):
        typer.echo(f"    {text:{width}}  {row['help']} ({row['type']})")


def _metric_row(metric: Any) -> dict[str, str]:
    return {
        "name": metric.name,
        "better": "higher" if metric.higher_is_better else "lower",
        "range": f"{_bound(metric.lower)} to {_bound(metric.upper)}",
        "group": metric.group,
        "summary": metric.summary,
    }


def _file_row(file: RemoteFile) -> dict[str, str]:
    return {
        "name": file.name,
        "size": shown(file.size),
        "checksum": "published" if file.sha256 or file.md5 else "none published",
        "urls": "\n".join(file.urls) or "none",
    }


def _bound(value: float | None) -> str:
    return "∞" if value is None else f"{value:g}"


def _line(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{k}={v}" for k, v in value.items() if k != "files" and v not in ("", None))
    return str(value)
