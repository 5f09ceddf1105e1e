"""What tests of models with an input for each gene share: two files of real cells, and trainings by the verb."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import pytest
import torch

from bench.data.canonical import canonicalise
from bench.specs import DatasetSpec

FIRST = 420
"""Cells of the first file; the other 280 are in the second, which lacks every eighth gene."""


@pytest.fixture(scope="session")
def files(pbmc: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """700 blood cells of seven donors in two files, 765 genes and 669 of them."""
    folder = tmp_path_factory.mktemp("panels")
    cells = pbmc.copy()
    cells.obs["donor"] = [f"d{k % 7}" for k in range(cells.n_obs)]
    cells[:FIRST].copy().write_h5ad(folder / "first.h5ad")
    cells[FIRST:, [k for k in range(cells.n_vars) if k % 8]].copy().write_h5ad(folder / "second.h5ad")
    return folder / "first.h5ad", folder / "second.h5ad"


@pytest.fixture(autouse=True)
def cache(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are converted once for all tests."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(files[0].with_name("cache")))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums of floating-point numbers in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def pretrain(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`pretrain("mae-mlp", {"panel.n_genes": 50}, resume=True)` trains and returns the folder."""
    import bench

    def run(model: str, settings: dict[str, Any], out: Path | None = None, **options: Any) -> Path:
        out = out or tmp_path_factory.mktemp("trained") / model
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BENCH_CACHE_DIR", str(files[0].with_name("cache")))
            bench.pretrain(model, options.pop("data", list(files)), out, set=settings, loggers=("csv",), **options)
        return out

    return run


@pytest.fixture(scope="session")
def asked(pbmc: ad.AnnData) -> ad.AnnData:
    """The same cells with all their genes, as a model of the benchmark gets them."""
    return canonicalise(pbmc.copy(), DatasetSpec("blood", "", "a:b"))
