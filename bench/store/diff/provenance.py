"""What differs between two records but their scores: who ran what on which cells, where, and with what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.runs.record import Record

Key = TypeVar("Key")
HASH = 24
"""Characters of a hash that are enough to tell two apart."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same; None where a record does not have it."""

    topic: str
    """exam | model | option | data | software | machine | run"""
    name: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Cost:
    """What something took, in both runs; None where it was not measured."""

    name: str
    first: float | None
    second: float | None

    @property
    def ratio(self) -> float | None:
        """Second over first; None where there is nothing to divide by."""
        return self.second / self.first if self.first and self.second is not None else None


def differences(first: Record, second: Record) -> list[Difference]:
    """Everything that differs, what decides about scores first."""
    split = bool(first["split"] and second["split"])  # a run that failed early never came to one
    pairs = joined(dict(_facts(first, split)), dict(_facts(second, split)))
    return [Difference(*key, *values) for key, values in pairs.items() if values[0] != values[1]]


def incomparable(first: Record, second: Record) -> list[str]:
    """Why the scores of two runs are no answers to one question; empty where they are."""
    found = [d for d in differences(first, second) if d.topic == "exam"]
    large = [d for d in found if d.name in ("task", "task version", "data identity")]  # explain the small ones
    return [f"{d.name} {_shown(d.first)} and {_shown(d.second)}" for d in large or found]


def untold(first: Record, second: Record) -> list[str]:
    """What may differ although the records agree."""
    states = [record["environment"].get("git") or {} for record in (first, second)]
    if all(state.get("dirty") for state in states) and states[0].get("sha") == states[1].get("sha"):
        return ["both ran from a changed source tree (git dirty): what was changed may not be the same"]
    return []


def costs(first: Record, second: Record) -> list[Cost]:
    """Seconds by phase, throughput (cells/s) and peak memory (bytes)."""
    pairs = joined(dict(_costs(first)), dict(_costs(second)))
    return [Cost(name, *values) for name, values in pairs.items() if values != (None, None)]


def joined(first: Mapping[Key, Any], second: Mapping[Key, Any]) -> dict[Key, tuple[Any, Any]]:
    """Values of both by key, in the order of their first appearance; None where one has no such key."""
    return {key: (first.get(key), second.get(key)) for key in {**first, **second}}


def _facts(record: Record, split: bool) -> Iterator[tuple[tuple[str, str], Any]]:
    """All that may differ, as ((topic, name), value)."""
    for topic, values in (
        ("exam", _exam(record)),
        ("exam", _split(record) if split else {}),
        ("model", _picked(record["model"], "name", "version", "fits", "weights", "weights_sha256", "distribution")),
        ("model", {"track": record["track"], "bridge": record["task"]["bridge"], "embedding": record["embedding"]}),
        ("option", record["model"]["config"]),
        ("run", {"seed": record["seed"], "status": record["status"]}),
        ("data", _picked(record["dataset"], "name", "version", "layer", "n_obs", "n_vars")),
        ("data", {f"obs {role}": column for role, column in record["dataset"]["roles"].items()}),
        ("data", {f"option {name}": value for name, value in record["dataset"]["options"].items()}),
        ("software", _software(record["environment"])),
        ("machine", _picked(record["environment"], "platform", "cpu", "cores", "threads", "device", "gpu")),
    ):
        yield from (((topic, name), value) for name, value in values.items())


def _exam(record: Record) -> dict[str, Any]:
    """What makes the question: runs that agree in all of it were asked the same."""
    task = record["task"]
    return {
        "protocol": record["protocol"],
        "task": task["name"],
        "task version": task["version"],
        **{f"task option {name}": value for name, value in task["config"].items()},
        **{f"metric {metric['name']} version": metric["version"] for metric in task["metrics"]},
        "data identity": record["dataset"]["identity"],
        "fold": record["fold"],
        "split seed": record["split_seed"],
    }


def _split(record: Record) -> dict[str, Any]:
    found = record["split"]
    return {"split by": found["by"], **{f"cells of {k}": n for k, n in found["sizes"].items()}} if found else {}


def _software(environment: Mapping[str, Any]) -> dict[str, Any]:
    git, packages = environment.get("git") or {}, environment.get("packages") or {}
    return {
        "bench": environment.get("bench"),
        "git sha": git.get("sha"),
        "git dirty": git.get("dirty"),
        "python": environment.get("python"),
        **dict(packages),
    }


def _costs(record: Record) -> Iterator[tuple[str, float | None]]:
    cost = record["cost"]
    yield from ((f"{phase} (s)", seconds) for phase, seconds in cost["phases"].items())
    yield "whole (s)", cost["wall_s"]
    yield "cells/s", cost["cells_per_s"]
    yield "peak memory (bytes)", cost["peak_rss_bytes"]
    yield "peak GPU memory (bytes)", cost["peak_vram_bytes"]


def _picked(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values.get(name) for name in names}


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)[:HASH]
