"""`bench pretrain`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli import complete, training
from bench.cli.several import TakesSeveral
from bench.config import assignments
from bench.training.request import Request

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command("pretrain", cls=TakesSeveral)
def pretrain(
    model: Annotated[
        str, typer.Option("--model", "-m", help="A model that trains.", autocompletion=complete.pretrained)
    ],
    data: training.Data,
    out: training.Out,
    config: training.Config = "",
    set_: training.Set = None,
    seed: training.Seed = None,
    device: training.OnDevice = "cpu",
    devices: training.Devices = 1,
    nodes: training.Nodes = 1,
    go_on: training.GoOn = False,
    if_there: training.GoOnIfThere = False,
    executor: training.Executor = "local",
    slurm: training.Slurm = None,
    logger: training.Logger = None,
) -> None:
    """Train a model on stored cells, without a task: what `bench run --weights DIR` then examines.

    Cells of whole donors are kept for validation and test. `bench show model NAME` prints every option.

    Examples:

      bench pretrain --model NAME --data a.h5ad b.h5ad --out trained

      bench pretrain --model NAME --data cells/*.h5ad --config small --set trainer.max_steps=20000 --out trained

      bench pretrain --model NAME --data cells --out trained --resume

      bench pretrain --model NAME --data in --out out --device cuda --devices 8 --executor slurm --slurm partition=gpu
    """
    asked = Request(
        verb="pretrain",
        model=model,
        data=tuple(data),
        out=out,
        config=config,
        settings=assignments(set_ or (), "--set"),
        seed=seed,
        device=device,
        devices=devices,
        nodes=nodes,
        resume=training.resume(go_on, if_there),
        loggers=training.loggers(logger),
    )
    training.start(asked, executor, slurm)
