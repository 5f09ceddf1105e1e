"""The notebook's cells run, in order, on records of a study, without Jupyter."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from made_up import DONORS, keep_study

NOTEBOOK = "compare_models.ipynb"


@pytest.fixture(autouse=True)
def _without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])  # the notebook adds to it
    matplotlib.use("agg")


def cells(docs: Path) -> list[dict[str, Any]]:
    notebook = json.loads((docs / NOTEBOOK).read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(docs: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Names that the cells leave behind."""
    import matplotlib.pyplot as plt

    monkeypatch.chdir(docs)
    names: dict[str, Any] = {}
    for cell in cells(docs):
        exec("".join(cell["source"]), names)
        plt.close("all")
    return names


@pytest.mark.slow
def test_cells_run_on_the_records_of_a_study(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_study(copied / "study.toml", lambda name: 0.05 if name == "ours-finetuned" else 0.0)
    shutil.copy(Path(__file__).parents[2] / "docs" / NOTEBOOK, copied.parent)
    names = run(copied.parent, monkeypatch)
    f1 = names["f1"]
    assert f1.shape == (len(DONORS), 13)
    assert f1.columns[0] == "ours-finetuned, pretrained"
    gains = names["against"]("logreg")
    assert gains.loc["ours-finetuned, pretrained", "low"] > 0.04
    assert gains["p"].between(0, 1).all()
    assert list(names["few"].columns) == ["1", "10", "all"]
    assert names["by_type"].shape == (13, 3)
    assert np.isfinite(names["seconds"]).all()


@pytest.mark.slow
def test_the_committed_notebook_shows_what_its_cells_give(study_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = study_folder.parent
    shown = "".join(json.dumps(cell["outputs"]) for cell in cells(docs))
    assert all(cell["execution_count"] for cell in cells(docs)), "execute the notebook again"
    best = run(docs, monkeypatch)["f1"].mean()
    assert best.index[0] in shown
    assert f"{best.iloc[0]:.3f}" in shown
