"""`bench fetch`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.catalogue import catalogue, check
from bench.cli import complete, tables
from bench.downloads.bars import Bars
from bench.downloads.fetch import fetch, located
from bench.downloads.places import dataset_folder, kept_name, weights_folder
from bench.downloads.sizes import shown
from bench.errors import BadInput
from bench.specs import DatasetSpec, ModelSpec, RemoteFile

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="""Download public datasets and published weights.

    Files land in the cache ($BENCH_CACHE_DIR) and are checked: size, kind, and the published checksum where there
    is one. A download that broke off is resumed. BENCH_OFFLINE=1 forbids the network; the message then says how to
    get the files by hand.
    """,
)

Force = Annotated[bool, typer.Option("--force", help="Download again, and take what the address holds now.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def dataset(
    name: Annotated[str, typer.Argument(help="A registered dataset.", autocompletion=complete.datasets)],
    force: Force = False,
    json_: Json = False,
) -> None:
    """Download the files of a registered dataset.

    Examples:

      bench fetch dataset NAME

      bench list datasets
    """
    spec = catalogue().dataset(name)
    if not spec.files:
        _nothing(f"dataset {name} needs no fetching: it comes with bench or is generated.", spec.name, json_)
        return
    if spec.unverified:
        typer.echo(f"note: not checked against a public source: {spec.unverified}", err=True)
    _fetch(spec.files, dataset_folder(name), f"dataset {name}", spec.manual, _run_dataset(spec), force, json_)


@app.command()
def weights(
    model: Annotated[str, typer.Argument(help="A model with published weights.", autocompletion=complete.models)],
    force: Force = False,
    json_: Json = False,
) -> None:
    """Download the published weights of a model.

    Examples:

      bench fetch weights MODEL

      bench list models
    """
    spec = catalogue().model(model)
    if spec.weights is None:
        _nothing(f"model {model} needs no fetching: it has no weights.", model, json_)
        return
    if not spec.weights.files:
        raise BadInput(
            f"the weights of model {model} cannot be fetched: {spec.weights.summary} Get them from"
            f" {spec.weights.source or 'its authors'} and name the folder with --weights DIR."
        )
    manual = f"The weights are at {spec.weights.source}" if spec.weights.source else ""
    folder = weights_folder(model)
    _fetch(spec.weights.files, folder, f"weights of model {model}", manual, _run_model(spec), force, json_)


def _fetch(
    files: Sequence[RemoteFile], folder: Path, what: str, manual: str, command: str, force: bool, json_: bool
) -> None:
    from bench.downloads import receipt

    with Bars() as progress:
        paths = fetch(files, folder, what=what, manual=manual, progress=progress, force=force)
    receipts = receipt.read(folder)
    rows = [
        {
            "file": kept_name(file),
            "size": receipts[kept_name(file)].kept_size,
            "checked": receipts[kept_name(file)].status,
            "sha256": receipts[kept_name(file)].kept_sha256 or receipts[kept_name(file)].sha256,
            "path": str(path),
        }
        for file, path in zip(files, paths, strict=True)
    ]
    if json_:
        document = {"what": what, "path": str(located(files, folder)), "files": rows, "next": command}
        typer.echo(json.dumps(document, indent=1))
        return
    tables.print_rows([{**row, "size": shown(int(str(row["size"])))} for row in rows], title=what)
    if any(row["checked"] == "unverified" for row in rows):
        typer.echo("unverified: nobody published a checksum; the sha256 is noted, and a change will be told.", err=True)
    typer.echo(f"next: {command}")


def _nothing(sentence: str, name: str, json_: bool) -> None:
    typer.echo(json.dumps({"what": name, "path": None, "files": [], "next": ""}, indent=1) if json_ else sentence)


def _run_dataset(spec: DatasetSpec) -> str:
    """A command that examines something on the dataset, chosen by what goes together."""
    for task in catalogue().tasks:
        for name in task.baselines:
            model = catalogue().models.specs.get(name)
            if model and not check(model, task, spec):
                return f"bench run --model {name} --task {task.name} --dataset {spec.name}"
    return f"bench doctor {spec.name}"


def _run_model(spec: ModelSpec) -> str:
    """A command that examines the model on a task it can sit."""
    datasets = catalogue().datasets.specs
    for task in catalogue().tasks:
        default = datasets.get(task.default_dataset)
        if default and not check(spec, task, default):
            return f"bench run --model {spec.name} --task {task.name}"
    return f"bench show model {spec.name}"
