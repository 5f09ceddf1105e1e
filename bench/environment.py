"""What a run ran on: versions, machine, source revision."""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import bench

DISTRIBUTION = "bench-harness"
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
"""Where launchers (torchrun, Lightning, SLURM) say which of several processes this is."""


def first_process() -> bool:
    """Whether this process works alone, or is the one of several that speaks for all."""
    return all(os.environ.get(name, "0") == "0" for name in RANKS)


def describe(device: str) -> dict[str, Any]:
    """Everything about this process that may change a score or a time."""
    return {
        "bench": metadata.version(DISTRIBUTION),
        "git": git_state(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "device": device,
        "gpu": gpu_name(device),
        "packages": packages(),
    }


@functools.cache
def packages() -> dict[str, str]:
    """Versions of bench's own dependencies and of every installed plugin's distribution."""
    names = {re.split(r"[ ;<>=!~\[(]", r, maxsplit=1)[0] for r in metadata.requires(DISTRIBUTION) or ()}
    names |= {e.dist.metadata["Name"] for e in metadata.entry_points(group="bench") if e.dist}
    versions = {}
    for name in sorted(names, key=str.lower):
        try:
            versions[name.lower()] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@functools.cache
def git_state() -> dict[str, Any] | None:
    """Revision of the source checkout bench runs from, and whether it was changed; None when installed."""
    source = Path(bench.__file__).parents[1]
    git = shutil.which("git")
    if git is None or not (source / ".git").exists():
        return None

    def ask(*arguments: str) -> str | None:
        answer = subprocess.run(
            [git, "--no-optional-locks", "-C", str(source), *arguments], capture_output=True, text=True, check=False
        )
        return answer.stdout.strip() if answer.returncode == 0 else None

    sha = ask("rev-parse", "HEAD")
    return {"sha": sha, "dirty": bool(ask("status", "--porcelain"))} if sha else None


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match.group(1) if match else platform.processor()


def gpu_name(device: str) -> str:
    """Name of the GPU that was asked for; empty on a CPU."""
    if not device.startswith("cuda"):
        return ""
    torch = sys.modules.get("torch")
    return str(torch.cuda.get_device_name(device)) if torch is not None and torch.cuda.is_available() else ""
