"""Makes the study's own package importable, and the records of a study that nobody had to run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

STUDY = Path(__file__).parents[2] / "docs" / "study"
sys.path[:0] = [str(STUDY), str(Path(__file__).parent)]


@pytest.fixture(scope="session")
def study_folder() -> Path:
    """The study as it is committed."""
    return STUDY


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the study's tables, with `docs/` above it, that can be written to."""
    folder = tmp_path / "docs" / "study"
    shutil.copytree(STUDY, folder, ignore=shutil.ignore_patterns("bench_study", "kept", "figures"))
    return folder
