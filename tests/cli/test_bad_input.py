"""Bad commands through the installed console script: one clear sentence, the right exit code, no traceback."""

from __future__ import annotations

import pytest
from tests.cli.broken_files import cells  # noqa: F401 - others look for it here
from tests.cli.conftest import Bench

BAD_INPUT = 2


COMMANDS = {
    "run --model pcaa --task clustering": "unknown model 'pcaa'. Did you mean 'pca'?",
    "run --model pca --task clusterin": "unknown task 'clusterin'. Did you mean 'clustering'?",
    "run --model pca --task clustering --dataset pbmc68": "unknown dataset 'pbmc68'. Did you mean 'pbmc68k'?",
    "run --model pca --task clustering --set n_components=many": "option 'n_components' of model pca",
    "run --model pca --task clustering --set n_components": "must look like key=value",
    "run --model pca --task clustering --task-set resolution=1": "option of task clustering",
    "run --model pca --task clustering --data-set n_cell=3": "option of dataset pbmc68k",
    "run --model pca --task clustering --obs celltype=bulk_labels": "Did you mean 'cell_type'?",
    "run --model pca --task clustering --obs cell_type=labels": "labels",
    "run --model pca --task clustering --seed -1": "seed -1 is out of range",
    "run --model pca --task clustering --seed 4294967296": "out of range",
    "run --model pca --task clustering --seed x": "--seed 'x' must be a number or a range",
    "run --model pca --task clustering --timeout soon": "--timeout 'soon'",
    "run --model pca --task clustering --max-memory lots": "--max-memory 'lots'",
    "run --model pca --task clustering --weights w": "model pca has no weights",
    "run --model pca --task clustering --config c.toml": "cannot read config c.toml",
    "run --model pca --task clustering --device cuda": "no GPU",
    "run --task clustering": "name a model",
    "run --task clustering --embedding X_pca --model pca": "instead of a model",
    "run --model logreg --task clustering": "needs EmbedsCells",
    "show model pcaa": "Did you mean 'pca'?",
    "results": "no results folder",
    "leaderboard": "no results folder",
    "embed --model logreg --data x.h5ad --out y.h5ad": "model logreg does not embed cells",
    "embed --model pca --data x.h5ad --out y.csv": "must end in .h5ad",
    "embed --model pca --data x.h5ad --out no/y.h5ad": "there is no folder",
    "embed --model pca --data x.h5ad --out y.h5ad": "not found",
    "diff abc def": "no results folder",
    "runn": "Did you mean 'run'?",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_commands(bench: Bench, command: str) -> None:
    answer = bench(*command.split())
    assert COMMANDS[command] in answer.stderr
    assert answer.returncode == BAD_INPUT
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


def test_debug_shows_the_traceback(bench: Bench) -> None:
    answer = bench("run", "--model", "pcaa", "--task", "clustering", "--debug")
    assert "Traceback" in answer.stderr
