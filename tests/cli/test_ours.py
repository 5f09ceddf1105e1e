"""`ours` from cells to a record, through the installed command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest

from bench_datasets import pbmc68k, plugin

pytestmark = pytest.mark.slow

NANO = (
    "--config",
    "nano",
    "--set",
    "objective.length=48",
    "--set",
    "data.batch_size=16",
    "--set",
    "trainer.val_every=0",
)


@pytest.fixture(scope="module")
def blood() -> ad.AnnData:
    return pbmc68k.load(plugin._pbmc68k_path())


@pytest.fixture(scope="module")
def trained(bench: Callable[..., Any], blood: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `half.h5ad` and what was pretrained on it."""
    home = tmp_path_factory.mktemp("ours")
    blood[::2].copy().write_h5ad(home / "half.h5ad")
    done = bench(
        "pretrain", "--model", "ours", "--data", "half.h5ad", "--out", "model", *NANO, "--set", "trainer.max_steps=4",
        cwd=home,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "bench run --model ours --weights" in done.stdout
    return home


def test_a_trained_folder_is_run_and_scored(bench: Callable[..., Any], trained: Path) -> None:
    done = bench("run", "--model", "ours", "--weights", "model", "--task", "clustering", "--json", cwd=trained)
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    assert run["status"] == "ok"
    assert {score["metric"] for score in run["scores"]} >= {"nmi", "ari"}


def test_a_file_is_embedded(bench: Callable[..., Any], trained: Path) -> None:
    done = bench(
        "embed", "--model", "ours", "--weights", "model", "--data", "half.h5ad", "--out", "out.h5ad", cwd=trained
    )
    assert done.returncode == 0, done.stderr
    vectors = ad.read_h5ad(trained / "out.h5ad").obsm["X_ours"]
    assert vectors.shape == (350, 32)
    assert np.isfinite(vectors).all()


def test_training_does_not_go_on_with_other_genes(bench: Callable[..., Any], trained: Path, blood: ad.AnnData) -> None:
    blood[::2, 5:].copy().write_h5ad(trained / "other.h5ad")
    done = bench(
        "pretrain", "--model", "ours", "--data", "other.h5ad", "--out", "model", *NANO, "--set", "trainer.max_steps=6",
        "--resume", cwd=trained,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "the checkpoint knows other genes than these data have; give the vocabulary it came with." in done.stderr
    assert "Traceback" not in done.stderr
