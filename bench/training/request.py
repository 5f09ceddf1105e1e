"""A training as it was asked for, and everything that can be refused before a training framework is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from bench.capabilities import Weights
from bench.catalogue import catalogue, unmet
from bench.environment import RANKS, first_process
from bench.errors import BadInput, unknown
from bench.specs import load_target
from bench.training import begun, loggers
from bench.training.command import Device, Training, TrainingCommand, Verb
from bench.training.configure import command_of, configured
from bench.training.curves import CURVES
from bench.training.fitted import Fitted
from bench.training.options import TrainerConfig
from bench.weights.trained import FILES, is_trained
from bench.wording import counted, listed

Resume = Literal["no", "yes", "if-there"]
"""Begin; go on from the last checkpoint; go on if there is one, else begin, as a job that may be requeued has to."""


@dataclass(frozen=True)
class Request:
    """What the options of `bench pretrain` and `bench finetune` say; not yet looked at."""

    verb: Verb
    model: str
    data: tuple[str, ...]
    out: Path
    config: str = ""
    """A named configuration of the model, or a file; empty: the model's default."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """`section.option` -> value."""
    seed: int | None = None
    """None: the one of the configuration, or 0."""
    device: Device = "cpu"
    devices: int = 1
    nodes: int = 1
    resume: Resume = "no"
    loggers: tuple[str, ...] = Training.loggers
    weights: str = ""
    """Of a fine-tuning: a folder, or `untrained`."""
    task: str = ""
    """Of a fine-tuning."""


@dataclass(frozen=True)
class Checked:
    """A request without a mistake that can be seen from here."""

    command: TrainingCommand
    training: Training

    def train(self) -> Fitted:
        """Load the model's own function and run it."""
        fitted: Fitted = load_target(self.command.target)(self.training)
        return fitted


def checked(request: Request, here: bool = True) -> Checked:
    """Look up what a request names and refuse what cannot be trained. Imports no training framework.

    Parameters
    ----------
    here
        Whether this machine will train; else nothing is said of its devices.

    Raises
    ------
    BadInput
        For unknown models, configurations, options, loggers and tasks; missing packages, weights and data; a folder
        that cannot be written to or holds something else; devices that are not there.
    """
    spec = catalogue().model(request.model)
    if missing := unmet(spec.requires):
        raise BadInput(f"model {spec.name}: {'; '.join(missing)}.")
    command = command_of(spec, request.verb)
    training = _training(request, command)
    _require_strategy(training)
    # a job that starts again, and other processes of this training, find what was written before
    _require_place(training, shared=request.resume == "if-there" or not first_process())
    _require_data(request.data)
    if here:
        _require_devices(request)
    return Checked(command, training)


def _training(request: Request, command: TrainingCommand) -> Training:
    """The request with its options built, its names looked up and its paths made absolute."""
    if request.device not in get_args(Device):
        raise BadInput(f"device {request.device!r} is none of {', '.join(get_args(Device))}.")
    for name, number in (("devices", request.devices), ("nodes", request.nodes)):
        if number < 1:
            raise BadInput(f"{name}={number}: a training needs at least 1.")
    loggers.require(request.loggers)
    out = request.out.expanduser().absolute()
    stands = request.resume != "no" and (out / begun.LAST).is_file()
    before = begun.begun_with(out) if stands else None
    options = configured(command, request.config, request.settings, request.seed, before)
    return Training(
        model=request.model,
        verb=request.verb,
        data=request.data,
        out=out,
        config=options.sections,
        seed=options.seed,
        device=request.device,
        devices=request.devices,
        nodes=request.nodes,
        resume=stands or request.resume == "yes",
        loggers=request.loggers,
        weights=_weights(request, command),
        task=request.task,
    )


def _weights(request: Request, command: TrainingCommand) -> Weights:
    """What a fine-tuning begins with; a pretraining begins with nothing."""
    if request.verb != "finetune":
        if request.weights or request.task:
            raise BadInput(f"{request.verb} takes neither weights nor a task; leave them out, or finetune.")
        return None
    tasks = command.tasks or tuple(catalogue().tasks.specs)
    if request.task not in tasks:
        raise unknown(f"task to fine-tune {request.model} for:", request.task, tasks)
    if not request.weights:
        raise BadInput(
            f"finetune needs weights to begin with: --weights DIR, a folder that bench pretrain --model"
            f" {request.model} wrote, or --weights untrained to compare with."
        )
    if request.weights == "untrained":
        return "untrained"
    folder = Path(request.weights).expanduser().absolute()
    if not folder.is_dir():
        raise BadInput(f"--weights {request.weights}: there is no such folder; name one that bench pretrain wrote.")
    return folder


def _require_place(training: Training, shared: bool) -> None:
    """Refuse a folder that is not free to begin in, or holds nothing that could be resumed as what is asked for.

    What stands in a folder that is shared stays, if a training writes nothing of that name.
    """
    out = training.out
    standing = next(path for path in (out, *out.parents) if path.exists())
    if not standing.is_dir():
        raise BadInput(f"--out {out}: {standing} is a file; name a folder.")
    if not os.access(standing, os.W_OK | os.X_OK):
        raise BadInput(f"--out {out}: folder {standing} cannot be written to.")
    if training.resume:
        begun.require_same(training)
    elif held := [name for name in _held(training) if not shared or name in (*FILES, *CURVES)]:
        way = "go on with --resume, or name" if (out / begun.LAST).is_file() else "name"
        raise BadInput(f"--out {out} is not empty ({listed(held, 3)}); {way} another folder.")


def _held(training: Training) -> list[str]:
    """What stands in the folder, but for a job to train there and what a training left that came to nothing."""
    out = training.out
    kept = (out / begun.LAST).is_file() or is_trained(out)
    if not out.is_dir() or ((out / begun.NOTE).is_file() and not kept):
        return []
    of_job = (f"{training.verb}.sbatch", "slurm-*.out")
    return sorted(path.name for path in out.iterdir() if not any(map(path.match, of_job)))


def _require_data(names: tuple[str, ...]) -> None:
    from bench.data.cells import sources  # numpy and pandas: half a second that no mistake above has to wait for

    sources.require(names)


def _require_strategy(training: Training) -> None:
    """Refuse to share out a model to devices that cannot hold a share of it."""
    trainer = training.config.get("trainer")
    if isinstance(trainer, TrainerConfig) and trainer.strategy == "fsdp" and training.device == "cpu":
        raise BadInput("trainer.strategy=fsdp shares a model out to GPUs; take ddp, or --device cuda.")


def _require_devices(request: Request) -> None:
    """Refuse devices that are not there, and nodes on which nothing was started."""
    if request.nodes > 1 and not any(name in os.environ for name in RANKS):
        raise BadInput(
            f"--nodes {request.nodes}: nothing starts bench on the other nodes; use --executor slurm, or torchrun."
        )
    there = _gpus() if request.device == "cuda" else os.cpu_count() or 1
    if not there:
        raise BadInput("--device cuda: torch sees no GPU here; use --device cpu.")
    if request.devices > there:
        kind = "GPU" if request.device == "cuda" else "core"
        raise BadInput(f"--devices {request.devices}: this machine has {counted(there, kind)}; ask for no more.")


def _gpus() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
