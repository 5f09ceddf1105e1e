"""One plugin loaded in a process of its own: `python -m bench.diagnosis.plugin ANSWER NAME VALUE DISTRIBUTION`."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any


def main(answer: Path, name: str, value: str, distribution: str) -> int:
    """Load the entry point as the catalogue does; leave what it brings, or why it does not load."""
    from bench.catalogue import discover
    from bench.diagnosis.child import leave
    from bench.hookspecs import GROUP
    from bench.runs.worker import die_with_parent

    die_with_parent()
    wanted = [
        entry
        for entry in metadata.entry_points(group=GROUP, name=name)
        if entry.value == value and (entry.dist is None or entry.dist.metadata["Name"] == distribution)
    ]
    found = discover(wanted[:1])
    specs: dict[str, Any] = {
        "model": {spec.name: list(spec.requires) for spec in found.models},
        "task": {spec.name: [] for spec in found.tasks},
        "dataset": {spec.name: [] for spec in found.datasets},
        "command": {spec.name: [] for spec in found.commands},
    }
    leave(answer, {"specs": specs, "broken": [broken.reason for broken in found.broken]})
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:5]))
