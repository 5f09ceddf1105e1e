"""What `bench pretrain` and `bench finetune` have in common: their options, and what is said in the end."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.catalogue import catalogue, check
from bench.cli import values
from bench.config import assignments
from bench.environment import first_process
from bench.errors import BadInput
from bench.specs import ModelSpec
from bench.training import begun, request
from bench.training.command import Training, TrainingCommand
from bench.training.fitted import Fitted
from bench.training.loggers import LOGGERS
from bench.training.request import Checked, Request, Resume
from bench.wording import counted

INTERRUPTED = 130
ENDS: Mapping[str, str] = {
    "early stopping": "; stopped early, as validations no longer got better",
    **dict.fromkeys(("stop_after", "max_time", "interrupted"), "; stopped before its end, go on with --resume"),
}
"""What is said of trainings that ended before `trainer.max_steps`."""

Data = Annotated[
    list[str],
    typer.Option(
        "--data", "-d", metavar="PATH...", help=".h5ad files, folders, patterns, stores or addresses; several at once."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder of the trained model; new, or empty.")]
Config = Annotated[
    str,
    typer.Option("--config", metavar="NAME|FILE", help="A configuration of the model's own, or a YAML or TOML file."),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="One option: trainer.max_steps=1000.")
]
Seed = Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Of everything random; else the configuration's.")]
OnDevice = Annotated[Literal["cpu", "cuda"], typer.Option("--device", help="Where it trains.")]
Devices = Annotated[int, typer.Option(min=1, help="Devices on each node.")]
Nodes = Annotated[int, typer.Option(min=1, help="Machines.")]
GoOn = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in --out.")]
GoOnIfThere = Annotated[
    bool, typer.Option("--resume-if-there", help="Go on if there is a checkpoint, else begin: for jobs that restart.")
]
Executor = Annotated[
    Literal["local", "slurm"], typer.Option(help="Train here, or write a script for SLURM and submit it.")
]
Slurm = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="Option of sbatch: partition=gpu, time=12:00:00 ...")
]
Logger = Annotated[list[str] | None, typer.Option(help=f"Logs: {', '.join(LOGGERS)}; repeat or separate by commas.")]


def resume(go_on: bool, if_there: bool) -> Resume:
    """What the two flags of going on mean together."""
    return "if-there" if if_there else "yes" if go_on else "no"


def loggers(logger: list[str] | None) -> tuple[str, ...]:
    """Names of logs; those of every training where none are asked for."""
    return tuple(values.names(logger)) or Training.loggers


def start(asked: Request, executor: Literal["local", "slurm"], slurm: list[str] | None) -> None:
    """Check a training, run it here or submit it, and say where the model is and what can be done with it."""
    options = assignments(slurm or (), "--slurm")
    if options and executor != "slurm":
        raise BadInput("--slurm sets options of a job; add --executor slurm.")
    checked = request.checked(asked, here=executor == "local")
    if executor == "slurm":
        from bench.training.slurm import submit

        path, number = submit(asked, options)
        typer.echo(f"submitted {path} as job {number}")
        return
    fitted = _trained(checked)
    if first_process():
        _report(asked, fitted, checked.command)
        if fitted.stopped == "interrupted":  # of the others SLURM would take that for a failure, and kill the first one
            raise typer.Exit(INTERRUPTED)


def _trained(checked: Checked) -> Fitted:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # whatever is printed on the way, stdout is for the answer
            return checked.train()
    except KeyboardInterrupt:
        there = (checked.training.out / begun.LAST).is_file()
        typer.echo(f"bench: interrupted; {'go on with --resume' if there else 'nothing was kept'}.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _report(asked: Request, fitted: Fitted, command: TrainingCommand) -> None:
    for notice in fitted.notices:
        typer.echo(f"note: {notice}", err=True)
    typer.echo(said(asked, fitted))
    if fitted.stopped != "interrupted":  # which leaves no model
        typer.echo(f"next: {following(asked, command)}")


def said(asked: Request, fitted: Fitted) -> str:
    """What a training has come to, in one line."""
    best = f", best validation loss {fitted.best.loss:.4g} at step {fitted.best.step:,}" if fitted.best else ""
    return f"{asked.model}: {counted(fitted.steps, 'step')}{best}, in {asked.out}{ENDS.get(fitted.stopped, '')}"


def following(asked: Request, command: TrainingCommand) -> str:
    """A command that examines the trained model on a task it can sit."""
    model = catalogue().models.specs.get(command.run_as or asked.model)
    weights = f"--weights {shlex.quote(str(asked.out))}"
    if model is None:
        return f"bench list models  # to see which takes {weights}"
    options = "".join(f" --set {name}={value}" for name, value in command.run_with.items())
    return f"bench run --model {model.name} {weights} --task {asked.task or _task(model)}{options}"


def _task(model: ModelSpec) -> str:
    """A task that goes together with the model on its default dataset; else a word to replace."""
    datasets = catalogue().datasets.specs
    for task in catalogue().tasks:
        default = datasets.get(task.default_dataset)
        if default and not check(model, task, default):
            return task.name
    return "TASK"
