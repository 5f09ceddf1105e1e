"""Where results are."""

from __future__ import annotations

import os
from pathlib import Path


def results_dir(option: Path | None = None) -> Path:
    """The results folder: the `--results` option, else `$BENCH_RESULTS`, else `./results`."""
    return option or Path(os.environ.get("BENCH_RESULTS") or "results")
