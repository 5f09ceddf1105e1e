"""`bench finetune`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli import complete, training
from bench.cli.several import TakesSeveral
from bench.config import assignments
from bench.training.request import Request

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command("finetune", cls=TakesSeveral)
def finetune(
    model: Annotated[
        str, typer.Option("--model", "-m", help="A model that can be fine-tuned.", autocompletion=complete.finetuned)
    ],
    data: training.Data,
    out: training.Out,
    task: Annotated[str, typer.Option("--task", "-t", help="What for.", autocompletion=complete.tasks)],
    weights: Annotated[str, typer.Option(help="Folder that bench pretrain wrote, or 'untrained'.")] = "",
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
    """Train a pretrained model further for a task, on cells with labels.

    `bench show model NAME` prints every option.

    Examples:

      bench finetune --model NAME --weights trained --data a.h5ad b.h5ad --task classification --out tuned

      bench finetune --model NAME --weights untrained --data a.h5ad --task classification --out from_nothing
    """
    asked = Request(
        verb="finetune",
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
        weights=weights,
        task=task,
    )
    training.start(asked, executor, slurm)
