"""`bench plugin new` as a user calls it; what it writes is tested in `tests/scaffold`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

KINDS = {"model": "bench run --model tiny --task clustering", "task": "bench run --model pca --task tiny"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_is_written_and_the_next_commands_are_named(bench: Any, tmp_path: Path, kind: str) -> None:
    answer = bench("plugin", "new", "tiny", "--kind", kind, "--out", tmp_path)
    assert answer.returncode == 0, answer.stderr
    project = tmp_path / "bench-tiny"
    written = [line.removeprefix("wrote ") for line in answer.stdout.splitlines() if line.startswith("wrote ")]
    on_disk = [os.path.join(folder, name) for folder, _, names in os.walk(project) for name in names]
    assert sorted(written) == sorted(on_disk)
    assert [line for line in answer.stdout.splitlines() if line.startswith("next: ")] == [
        f"next: pip install -e {project}",
        f"next: python -m pytest {project}",
        "next: bench plugin check tiny",
        f"next: {KINDS[kind]}",
    ]


def test_a_folder_with_a_space_is_quoted(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "my plugins").mkdir()
    answer = bench("plugin", "new", "tiny", "--out", tmp_path / "my plugins")
    assert f"next: pip install -e '{tmp_path}/my plugins/bench-tiny'" in answer.stdout.splitlines()


def test_a_name_that_is_taken_exits_2_and_writes_nothing(bench: Any, tmp_path: Path) -> None:
    answer = bench("plugin", "new", "pca", "--out", tmp_path)
    assert answer.returncode == 2
    assert "pca" in answer.stderr
    assert list(tmp_path.iterdir()) == []
