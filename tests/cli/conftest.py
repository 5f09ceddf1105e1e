"""The installed console script, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.cli.sites import install

BENCH = Path(sys.executable).with_name("bench")
Bench = Callable[..., subprocess.CompletedProcess[str]]


def source_of(plugin: str) -> str:
    """A plugin module that lies beside these tests."""
    return Path(__file__).with_name(f"{plugin}.py").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Run `bench ARGUMENTS` in an empty folder; results land in `results/` of that folder unless told."""
    home = tmp_path_factory.mktemp("home")

    def run(
        *arguments: str | Path, cwd: Path | None = None, plugins: Sequence[Path] = (), **environment: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Variables that are None are taken away."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("BENCH_", "PYTHONPATH"))}
        paths = {"PYTHONPATH": os.pathsep.join(map(str, plugins))} if plugins else {}
        chosen = {**inherited, "BENCH_CACHE_DIR": str(home / "cache"), "NO_COLOR": "1", **paths, **environment}
        return subprocess.run(
            [BENCH, *map(str, arguments)],
            cwd=cwd or tmp_path_factory.mktemp("cwd"),
            env={name: value for name, value in chosen.items() if value is not None},
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=600,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def hazards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed distribution whose models go wrong in every way a model can."""
    return install(tmp_path_factory.mktemp("site"), "hazards", source_of("hazards"))
