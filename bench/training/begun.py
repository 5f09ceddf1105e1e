"""The note in a folder of what is trained there, by which a training is resumed as what it was. Light."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.atomic import replacing
from bench.config import as_dict
from bench.errors import BadInput
from bench.training.command import Training
from bench.weights import trained

CHECKPOINTS, LOGS = "checkpoints", "logs"
"""Folders in that of a trained model."""
LAST = f"{CHECKPOINTS}/last.ckpt"
NOTE = f"{CHECKPOINTS}/training.json"

FREE = "trainer"
"""The section of which a resumed training may have other options."""
FIXED = "trainer.accumulate"
"""But for this one: checkpoints count batches, and a step would begin in the middle of another."""


def note(training: Training) -> None:
    """Write down what a training is, over what was begun before and came to nothing."""
    path = training.out / NOTE
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_told(training), indent=1, ensure_ascii=False), encoding="utf-8")


def begun_with(out: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """Seed, and the options of each section, of the training in a folder.

    Raises
    ------
    BadInput
        If the note of it is missing or damaged.
    """
    found = _read(out / NOTE)
    return found["seed"], found["config"]


def require_free(training: Training) -> None:
    """Refuse to begin where another training stands.

    Raises
    ------
    BadInput
        If the folder holds a checkpoint or a trained model, or is a file.
    """
    out = training.out
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out} is a file; name a folder.")
    if (out / LAST).exists():
        raise BadInput(f"--out {out} holds a training; go on with --resume, or name another folder.")
    if trained.is_trained(out):
        raise BadInput(f"--out {out} holds a trained model; name another folder.")


def require_same(training: Training) -> None:
    """Refuse to resume what was not begun, or was begun as something else.

    Raises
    ------
    BadInput
        If there is no checkpoint, or the model, seed or an option is another: the first that differs.
    """
    out = training.out
    if not (out / LAST).is_file():
        raise BadInput(f"--resume: {out} holds no checkpoint to go on from; leave --resume out to begin.")
    before, now = _read(out / NOTE), json.loads(json.dumps(_told(training)))
    if before["model"] != now["model"]:
        raise BadInput(
            f"--resume: {out} holds a training of {before['model']}, not of {now['model']}; name another folder."
        )
    for name, was, asked in _differences(before, now):
        raise BadInput(
            f"--resume: {out} was begun with {name}={was}, not {asked}; leave that as it was (only options of {FREE}"
            " may change), or begin anew in another folder."
        )


def _told(training: Training) -> dict[str, Any]:
    return {
        "model": training.model,
        "verb": training.verb,
        "task": training.task,
        "weights": str(training.weights or ""),
        "seed": training.seed,
        "config": {section: as_dict(options) for section, options in training.config.items()},
    }


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Name, what it was and what it is, of all that both know of."""
    for name in ("verb", "task", "weights", "seed"):
        if before[name] != now[name]:
            yield name, before[name], now[name]
    for section, options in before["config"].items():
        for option, was in options.items():
            name, asked = f"{section}.{option}", now["config"].get(section, {}).get(option, was)
            if asked != was and (section != FREE or name == FIXED):
                yield name, was, asked


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        whole = all(isinstance(found[name], str) for name in ("model", "verb", "task", "weights"))
        whole = whole and isinstance(found["seed"], int) and all(isinstance(o, dict) for o in found["config"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise BadInput(f"--resume: {path} is missing or damaged, so what was begun there is not known; begin anew.")
    return dict(found)
