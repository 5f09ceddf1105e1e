"""A third party's plugin: a model that is pretrained and fine-tuned; light, its network is in `trainees_net`."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import option
from bench.data.cells.options import DataConfig, PartsConfig
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec, WeightsSpec
from bench.training.command import TrainingCommand
from bench.training.options import OptimConfig, TrainerConfig


@dataclass(frozen=True)
class Net:
    """Options of the network."""

    width: int = option(8, "of a cell's vector", low=1)
    length: int = option(64, "genes of a cell that are seen", low=1)


SECTIONS = {"trainer": TrainerConfig, "optim": OptimConfig, "model": Net, "data": DataConfig, "parts": PartsConfig}
PRETRAIN = TrainingCommand(
    "a bag of genes that predicts counts",
    "trainees_net:pretrain",
    SECTIONS,
    configs="trainees_configs",
    default="quick",
)
FINETUNE = TrainingCommand("learns nothing", "trainees_net:finetune", SECTIONS, tasks=("classification",))
STRANGE = ("not", "a command")


def spec(name: str, **commands: str) -> ModelSpec:
    return ModelSpec(
        name,
        "a bag of genes",
        "trainees_net:Bag",
        frozenset({Cap.EMBEDS_CELLS}),
        fits="no",
        weights=WeightsSpec("Made by bench pretrain."),
        commands=commands,
    )


@hookimpl
def bench_models() -> list[ModelSpec]:
    return [
        spec("bag", pretrain="trainees:PRETRAIN", finetune="trainees:FINETUNE"),
        spec("strange", pretrain="trainees:STRANGE"),
        spec("lost", pretrain="trainees:NOWHERE"),
    ]
