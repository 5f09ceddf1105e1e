"""The real gene tables, and a cache of its own for every test."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; no local tables are named, and the network is closed."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    monkeypatch.delenv("BENCH_GENE_TABLES", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def published(shared: Path) -> Path:
    """The folder that holds the published files."""
    folder = shared / "tables"
    if not (folder / "cxg_genes_homo_sapiens.csv.gz").is_file():
        pytest.skip(f"no gene tables in {folder}")
    return folder


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the published files stay parsed."""
    return tmp_path_factory.mktemp("parsed")


@pytest.fixture
def real(published: Path, cache: Path, parsed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published files as local tables."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(parsed))
    monkeypatch.setenv("BENCH_GENE_TABLES", str(published))
    return published
