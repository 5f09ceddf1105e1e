"""Findings about plugins: each is loaded in a process of its own, so that it can do no harm to the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import metadata

from bench.diagnosis import child
from bench.diagnosis.finding import Finding
from bench.hookspecs import GROUP
from bench.wording import counted, listed

SUBJECT = "plugins"
LIMIT_S = 20.0
AT_A_TIME = 2


@dataclass(frozen=True)
class Loaded:
    """What came of loading one plugin."""

    name: str
    origin: str
    """Its distribution and version."""
    specs: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """Kind -> name -> requirements."""
    fault: str = ""
    printed: str = ""
    """What it said while it was loaded."""


def examine(limit: float = LIMIT_S) -> list[Finding]:
    """Load every installed plugin, each within so many seconds, and compare what they bring."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        loaded = list(pool.map(lambda entry: load(entry, limit), _entry_points()))
    found = [_summary(loaded)]
    for plugin in loaded:
        if plugin.fault:
            found.append(Finding("error", SUBJECT, f"{plugin.name!r} ({plugin.origin}) not loaded: {plugin.fault}"))
        elif plugin.printed:
            text = f"{plugin.name!r} ({plugin.origin}) prints while it is loaded: {plugin.printed!r}"
            found.append(Finding("warning", SUBJECT, text))
    return found + _clashes(loaded) + _requirements(loaded)


def load(entry: metadata.EntryPoint, limit: float) -> Loaded:
    """Load one plugin in a child process."""
    distribution = entry.dist.metadata["Name"] if entry.dist else ""
    origin = f"{distribution} {entry.dist.version}" if entry.dist else entry.value
    ending = child.ask("bench.diagnosis.plugin", [entry.name, entry.value, distribution], limit=limit)
    if ending.answer is None or ending.code != 0:
        fault = f"it {ending.death(limit)} while it was loaded{ending.last_words}"
        return Loaded(entry.name, origin, fault=fault)
    broken: list[str] = ending.answer["broken"]
    first = next((line[:80] for line in ending.printed if line.strip()), "")
    return Loaded(entry.name, origin, ending.answer["specs"], broken[0] if broken else "", first)


def _entry_points() -> list[metadata.EntryPoint]:
    return sorted(metadata.entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))


def _summary(loaded: Sequence[Loaded]) -> Finding:
    sizes = {kind: sum(len(plugin.specs.get(kind, ())) for plugin in loaded) for kind in ("model", "task", "dataset")}
    brought = ", ".join(counted(n, kind) for kind, n in sizes.items())
    working = sum(not plugin.fault for plugin in loaded)
    return Finding("ok", SUBJECT, f"{working} of {counted(len(loaded), 'plugin')} load: {brought}")


def _clashes(loaded: Sequence[Loaded]) -> list[Finding]:
    """Names that several plugins claim."""
    origins: dict[tuple[str, str], list[str]] = {}
    for plugin in loaded:
        for kind, names in plugin.specs.items():
            for name in names:
                origins.setdefault((kind, name), []).append(plugin.origin)
    return [
        Finding(
            "error",
            SUBJECT,
            f"{kind} {name!r} is registered by {listed(claimed)}: nobody has it; uninstall one of them",
            f"pip uninstall {claimed[-1].split(' ')[0]}",
        )
        for (kind, name), claimed in origins.items()
        if len(claimed) > 1
    ]


def _requirements(loaded: Sequence[Loaded]) -> list[Finding]:
    """What models need and is not installed."""
    from bench.diagnosis.packages import unmet

    found = []
    for plugin in loaded:
        for name, requires in plugin.specs.get("model", {}).items():
            found += [
                Finding("warning", SUBJECT, f"model {name!r} cannot run: {text}", f"pip install '{wanted}'")
                for wanted, text in unmet(requires)
            ]
    return found
