"""Plugins as the scaffold writes them, and the command line to run them with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a module of this Python: `run("pytest", ..., plugins=folder)`; `bench` is the installed script."""
    cache = tmp_path_factory.mktemp("cache")

    def start(
        module: str, *arguments: str | Path, cwd: Path, plugins: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("BENCH_", "PYTHONPATH", "PYTEST_"))}
        paths = {"PYTHONPATH": str(plugins)} if plugins else {}
        program = (
            [str(Path(sys.executable).with_name("bench"))] if module == "bench" else [sys.executable, "-m", module]
        )
        return subprocess.run(
            [*program, *map(str, arguments)],
            cwd=cwd,
            env={**inherited, **paths, "BENCH_CACHE_DIR": str(cache), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return start
