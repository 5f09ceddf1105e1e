"""What tests of training share: real cells in a file, read once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench_datasets import pbmc68k, plugin


@pytest.fixture(scope="session")
def _pbmc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    cells = pbmc68k.load(plugin._pbmc68k_path())
    cells.write_h5ad(folder / "pbmc.h5ad")
    return folder / "pbmc.h5ad"


@pytest.fixture
def file(_pbmc: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """700 real blood cells and 765 genes, converted once for all tests."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(_pbmc.with_name("cache")))
    return _pbmc
