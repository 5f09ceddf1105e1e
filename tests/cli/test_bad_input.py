"""Bad input through the installed console script: one clear sentence, the right exit code, no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.cli.conftest import Bench

BAD_INPUT = 2


def cells(n: int = 120) -> ad.AnnData:
    """Clean data: three cell types, two batches, integer counts."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {"cell_type": np.resize(["T", "B", "NK"], n), "batch": np.resize(["a", "a", "b"], n)},
        index=[f"cell{i}" for i in range(n)],
    )
    counts = sparse.csr_matrix(rng.poisson(1.0, (n, 60)).astype(np.float32))
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"GENE{i}" for i in range(60)]))


def edited(change: Callable[[ad.AnnData], ad.AnnData | None]) -> Callable[[Path], None]:
    """A file of clean data with one thing wrong."""

    def write(path: Path) -> None:
        data = cells()
        changed = change(data)
        (data if changed is None else changed).write_h5ad(path)

    return write


def drop_column(data: ad.AnnData) -> None:
    del data.obs["cell_type"]
    data.obs["celltype"] = "T"


def normalise(data: ad.AnnData) -> None:
    data.X = data.X.multiply(0.37).tocsr()


def negative(data: ad.AnnData) -> None:
    data.X[5, 9] = -3


def nan(data: ad.AnnData) -> None:
    data.X[5, 9] = np.nan


def duplicate_genes(data: ad.AnnData) -> None:
    data.var_names = ["GENE1", "GENE1", *data.var_names[2:]]


def unlabelled(data: ad.AnnData) -> None:
    data.obs["cell_type"] = data.obs["cell_type"].where(np.arange(data.n_obs) > 9)


def one_type(data: ad.AnnData) -> None:
    data.obs["cell_type"] = "T"


def one_batch(data: ad.AnnData) -> None:
    data.obs["batch"] = "a"


def all_empty(data: ad.AnnData) -> None:
    data.X = sparse.csr_matrix(data.shape, dtype=np.float32)


def rare_type(data: ad.AnnData) -> None:
    del data.obs["batch"]
    data.obs["cell_type"] = ["rare", *data.obs["cell_type"][1:]]


FILES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "random bytes": (lambda p: p.write_bytes(b"\x00\x01" * 500), "clustering", "not an HDF5"),
    "no column": (edited(drop_column), "clustering", "needs obs cell_type"),
    "not counts": (edited(normalise), "clustering", "not integer counts"),
    "negative": (edited(negative), "clustering", "negative value"),
    "NaN": (edited(nan), "clustering", "NaN"),
    "duplicate genes": (edited(duplicate_genes), "clustering", "duplicate gene names"),
    "unlabelled": (edited(unlabelled), "clustering", "cell_type is missing for 10 cells"),
    "one type": (edited(one_type), "clustering", "found 1"),
    "one batch": (edited(one_batch), "integration", "needs at least 2 batches, found 1"),
    "empty": (edited(all_empty), "clustering", "0 of 120 cells left"),
    "few cells": (edited(lambda d: d[:3].copy()), "clustering", "cells"),
    "rare type": (edited(rare_type), "classification", "min_class_size"),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_files(bench: Bench, tmp_path: Path, case: str) -> None:
    write, task, message = FILES[case]
    write(tmp_path / "x.h5ad")
    answer = bench("run", "--model", "pca", "--task", task, "--dataset", "x.h5ad", cwd=tmp_path)
    assert message in answer.stderr
    assert answer.returncode == BAD_INPUT
    assert "Traceback" not in answer.stderr


COMMANDS = {
    "run --model pcaa --task clustering": "unknown model 'pcaa'. Did you mean 'pca'?",
    "run --model pca --task clusterin": "unknown task 'clusterin'. Did you mean 'clustering'?",
    "run --model pca --task clustering --dataset pbmc68": "unknown dataset 'pbmc68'. Did you mean 'pbmc68k'?",
    "run --model pca --task clustering --dataset no/such.h5ad": "not found",
    "run --model pca --task clustering --set n_component=3": "Did you mean 'n_components'?",
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


def test_an_unwritable_results_folder_is_exit_4(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file stands here")
    answer = bench("run", "--model", "pca", "--task", "clustering", "--dataset", "simulated", cwd=tmp_path)
    assert answer.returncode == 4
    assert "results" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_empty_cells_are_dropped_with_a_notice(bench: Bench, tmp_path: Path) -> None:
    data = cells()
    data.X[3] = 0
    data.write_h5ad(tmp_path / "x.h5ad")
    answer = bench("run", "--model", "pca", "--task", "clustering", "--dataset", "x.h5ad", cwd=tmp_path)
    assert answer.returncode == 0
    assert "1 cells have no counts (first: 'cell3'); dropped" in answer.stderr
