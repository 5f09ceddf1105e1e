"""Fixtures every test may use, and what holds for all of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.turns import Turns, take_one_core

ROOT = Path(__file__).parents[1]
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ

if IS_WORKER:
    take_one_core(os.environ)


def pytest_configure(config: pytest.Config) -> None:
    if IS_WORKER:
        config.pluginmanager.register(Turns(Path(config.option.basetemp).parent / "turns"), "turns")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real datasets beside the project; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("BENCH_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data at {folder}; point BENCH_SHARED at it")
    return folder
