"""Tab completion of names; comma-separated lists complete their last part."""

from __future__ import annotations

from bench.catalogue import catalogue


def models(incomplete: str) -> list[str]:
    """Names of models."""
    return _complete(incomplete, list(catalogue().models.specs))


def pretrained(incomplete: str) -> list[str]:
    """Names of models that `bench pretrain` trains."""
    return _complete(incomplete, _with("pretrain"))


def finetuned(incomplete: str) -> list[str]:
    """Names of models that `bench finetune` trains."""
    return _complete(incomplete, _with("finetune"))


def tasks(incomplete: str) -> list[str]:
    """Names of tasks."""
    return _complete(incomplete, list(catalogue().tasks.specs))


def datasets(incomplete: str) -> list[str]:
    """Names of datasets."""
    return _complete(incomplete, list(catalogue().datasets.specs))


def examinable(incomplete: str) -> list[str]:
    """Names of what `bench plugin check` examines."""
    return sorted({*models(incomplete), *tasks(incomplete)})


def everything(incomplete: str) -> list[str]:
    """Names of anything `bench show` knows."""
    return sorted({*models(incomplete), *tasks(incomplete), *datasets(incomplete)})


def _with(verb: str) -> list[str]:
    return [model.name for model in catalogue().models if verb in model.commands]


def _complete(incomplete: str, names: list[str]) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in sorted(names) if name.startswith(last)]
