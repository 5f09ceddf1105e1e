"""Where fetched files are kept, and whether the network may be used at all."""

from __future__ import annotations

import os
from pathlib import Path

from bench.data.cache import cache_dir


def dataset_folder(name: str) -> Path:
    """Where the files of a registered dataset are kept; not created here."""
    return cache_dir() / "datasets" / name


def weights_folder(name: str) -> Path:
    """Where the published weights of a model are kept; not created here."""
    return cache_dir() / "weights" / name


def tables_folder() -> Path:
    """Where gene tables are kept; not created here."""
    return cache_dir() / "tables"


def offline() -> bool:
    """Whether `BENCH_OFFLINE` forbids the network; `0`, `no`, `off` and `false` do not."""
    return os.environ.get("BENCH_OFFLINE", "").strip().lower() not in {"", "0", "no", "off", "false"}
