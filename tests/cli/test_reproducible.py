"""The same command twice gives the same scores to the last bit, for every built-in model and every task.

On a CPU, with a fixed seed: each command is a process of its own, `--force` computes everything again, controls too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Bench

from bench.catalogue import catalogue
from bench.runs import record as records
from bench.store.diff.compare import compare

SIZES = ("n_cells=160", "n_genes=120", "n_donors=2", "n_batches=2")
SMALL = ["--dataset", "simulated", *(word for size in SIZES for word in ("--data-set", size))]
CURVE = ["--task-set", "shots=5"]
COMMANDS = {
    "clustering": ["--model", "pca,hvg,random-projection", "--task", "clustering", "--executor", "inline"],
    "classification": ["--model", "pca,logreg,mlp,knn", "--task", "classification", *CURVE, "--executor", "inline"],
    "a process per run": ["--model", "pca", "--task", "clustering", "--seed", "3", "--jobs", "2"],
    "integration": ["--model", "pca,hvg,combat,harmony", "--task", "integration", "--executor", "inline"],
    "scVI": [
        *("--model", "scvi,scanvi", "--set", "max_epochs=2", "--task", "clustering,classification", *CURVE),
        *("--executor", "inline"),
    ],
    "pretrained": [
        *("--model", "ours,ours-finetuned,mae-mlp,scvi-pretrained", "--weights", "untrained", "--executor", "inline"),
        *("--set", "ours.size=nano", "--set", "ours-finetuned.size=nano", "--set", "ours-finetuned.max_epochs=1"),
        *("--task", "classification", *CURVE),
    ],
}
CHECKOUT = {"git sha", "git dirty"}
"""Somebody may work on the source tree while this runs."""
SLOW = COMMANDS.keys() - {"clustering"}


def attempts(results: Path) -> dict[str, dict[int, records.Record]]:
    """Records by run and attempt."""
    found: dict[str, dict[int, records.Record]] = {}
    for path in sorted(results.glob("records/*/*.json")):
        record = records.read(path)
        found.setdefault(record["run_id"], {})[record["attempt"]] = record
    return found


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in COMMANDS])
def test_the_same_command_twice_is_identical(bench: Bench, tmp_path: Path, name: str) -> None:
    for _ in range(2):
        answer = bench("run", *COMMANDS[name], *SMALL, "--force", cwd=tmp_path)
        assert answer.returncode == 0, answer.stderr
    known = attempts(tmp_path / "results")
    for run_id, both in known.items():
        assert both.keys() == {1, 2}
        found = compare(tmp_path / "results", f"{run_id}.1", f"{run_id}.2")
        assert found.identical, [(row.metric, row.difference) for row in found.scores if row.difference]
        assert {d.name for d in found.differences} <= CHECKOUT
        assert both[1]["controls"] == both[2]["controls"]
    said = bench("diff", f"{run_id}.1", f"{run_id}.2", cwd=tmp_path)
    assert said.returncode == 0
    assert said.stdout.splitlines()[-1] == "All scores are identical."


def test_diff_is_one_document_and_names_what_differs(bench: Bench, tmp_path: Path) -> None:
    for width in ("4", "5"):
        command = ["run", "--model", "pca", "--task", "clustering", *SMALL, "--executor", "inline"]
        assert bench(*command, "--set", f"n_components={width}", cwd=tmp_path).returncode == 0
    first, second = attempts(tmp_path / "results")
    document: dict[str, Any] = json.loads(bench("diff", first[:10], second[:10], "--json", cwd=tmp_path).stdout)
    assert not document["identical"]
    assert document["incomparable"] == []
    (changed,) = document["differences"]
    assert (changed["topic"], changed["name"]) == ("option", "n_components")
    assert {changed["first"], changed["second"]} == {4, 5}
    judged = [row["noise"] for row in document["scores"] if row["noise"]["verdict"] != "identical"]
    assert {noise["verdict"] for noise in judged} == {"unknown"}
    assert "run more seeds (--seed 0..4)" in judged[0]["basis"]


def test_every_built_in_model_is_here() -> None:
    """Those of distributions of their own have tests of their own."""
    found = catalogue()
    built_in = {model.name for model in found.models if found.models.origins[model.name].startswith("bench-harness ")}
    named = {name for arguments in COMMANDS.values() for name in arguments[1].split(",")}
    assert built_in <= named
    asked = {name for arguments in COMMANDS.values() for name in arguments[arguments.index("--task") + 1].split(",")}
    assert {task.name for task in found.tasks if found.tasks.origins[task.name].startswith("bench-harness ")} == asked
