"""Findings about the Python, the packages and the devices bench runs with."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib import metadata

from bench.diagnosis import child
from bench.diagnosis.finding import Finding
from bench.environment import DISTRIBUTION
from bench.wording import counted

SUBJECT = "packages"
LIMIT_S = 120.0
"""Importing torch for the first time reads a gigabyte."""


def examine() -> list[Finding]:
    """Versions against what bench declares, and what torch sees."""
    return [*_python(), *_floors(), _torch()]


def unmet(requirements: Iterable[str]) -> list[tuple[str, str]]:
    """Requirements that this installation does not meet, each with what is there instead; nothing is imported."""
    from packaging.requirements import InvalidRequirement, Requirement

    found = []
    for text in requirements:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            found.append((text, f"{text!r} is no requirement"))
            continue
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        bare = f"{wanted.name}{wanted.specifier}"
        try:
            installed = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            found.append((bare, f"{wanted.name} is not installed"))
            continue
        if not wanted.specifier.contains(installed, prereleases=True):
            found.append((bare, f"{wanted.name} {installed} is installed, needed is {bare}"))
    return found


def _python() -> list[Finding]:
    from packaging.specifiers import SpecifierSet

    wanted = metadata.metadata(DISTRIBUTION)["Requires-Python"] or ""
    version = platform.python_version()
    text = f"bench {metadata.version(DISTRIBUTION)} on Python {version}, {platform.system()} {platform.machine()}"
    if wanted and not SpecifierSet(wanted).contains(version, prereleases=True):
        return [Finding("error", SUBJECT, f"{text}: needed is Python {wanted}")]
    return [Finding("ok", SUBJECT, text)]


def _floors() -> list[Finding]:
    requires = metadata.requires(DISTRIBUTION) or []
    missing = unmet(requires)
    if missing:
        return [Finding("error", SUBJECT, text, f"pip install '{wanted}'") for wanted, text in missing]
    return [Finding("ok", SUBJECT, f"{counted(len(requires), 'requirement')} met")]


def _torch() -> Finding:
    """torch is imported in a child process: a broken build ends that one."""
    ending = child.ask("bench.diagnosis.devices", [], limit=LIMIT_S, device="any")
    if ending.answer is None:
        return Finding("error", SUBJECT, f"importing torch {ending.death(LIMIT_S)}: install it again")
    if "error" in ending.answer:
        return Finding("error", SUBJECT, f"torch cannot be imported: {ending.answer['error']}; install it again")
    devices = ", ".join(ending.answer["devices"])
    return Finding("ok", SUBJECT, f"torch {ending.answer['version']}; devices: {devices}")
