"""How models and settings are called on the page, and which links are safe to follow."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from bench.catalogue import catalogue
from bench.wording import counted, listed

Defaults = Callable[[str, str, str], Mapping[str, Any] | None]
"""(kind, name, version) -> default options, or None where that is not known."""

_DOI = re.compile(r"(?:doi:)?(10\.\d{4,9}/\S+)", re.IGNORECASE)

TRACKS: Mapping[str, str] = {
    "zero-shot": "nothing is fitted on this dataset",
    "fitted": "fitted on cells without their labels",
    "label-aware": "labels of some cells are visible; scored on the others",
    "fine-tuned": "pretrained, then trained on this dataset",
}

SPLITS: Mapping[str, str] = {
    "donor": "whole donors held out",
    "batch": "whole batches held out",
    "cells": "random cells held out",
    "none": "nothing held out",
}

WEIGHTS: Mapping[str, str] = {
    "untrained": "untrained weights",
    "unverified": "unverified weights",
    "own": "own pretraining",
}
"""What is said of weights; published ones and models without weights need no remark."""


def installed_defaults(kind: str, name: str, version: str) -> Mapping[str, Any] | None:
    """Default options of an installed model or task of exactly this version."""
    shelf = catalogue().models if kind == "model" else catalogue().tasks
    spec = shelf.specs.get(name)
    if spec is None or spec.version != version:
        return None
    try:
        return json.loads(json.dumps(dataclasses.asdict(spec.config()), default=str))
    except TypeError:  # an option without a default
        return None


def changed(
    config: Mapping[str, Any], default: Mapping[str, Any] | None, others: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Options worth showing: those that differ from the default or, where that is unknown, from `others`."""
    if default is not None:
        return {k: v for k, v in config.items() if k not in default or default[k] != v}
    return {k: v for k, v in config.items() if any(k not in other or other[k] != v for other in others)}


def options(values: Mapping[str, Any]) -> str:
    """Options as text: `n_components=30, scale=false`."""
    return ", ".join(f"{k}={v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}" for k, v in values.items())


def trained(training: Mapping[str, Any]) -> str:
    """One training behind a model's weights: `pretrained on a, b: 2,000 cells, 100 steps`."""
    verbs = {"pretrain": "pretrained", "finetune": "fine-tuned"}
    how = f"{counted(training['cells'], 'cell')}, {counted(training['steps'], 'step')}"
    return f"{verbs.get(training['verb'], training['verb'])} on {listed(training['files'], 3)}: {how}"


def safe_link(reference: str) -> str:
    """The https address of a reference (an address or a DOI); empty where there is none to trust."""
    if doi := _DOI.fullmatch(reference.strip()):
        return f"https://doi.org/{quote(doi[1], safe='/().;:-_')}"
    try:
        parts = urlsplit(reference.strip())
    except ValueError:
        return ""
    return parts.geturl() if parts.scheme == "https" and parts.hostname else ""
