"""The plugin module is light and its specs can be overridden by plain values."""

from __future__ import annotations

import subprocess
import sys

from bench.specs import load_target
from bench_datasets.plugin import bench_datasets


def test_listing_datasets_imports_nothing_heavy() -> None:
    code = (
        "import sys; from bench_datasets.plugin import bench_datasets; bench_datasets();"
        "print([m for m in ('numpy', 'h5py', 'anndata', 'pandas', 'scanpy', 'sklearn') if m in sys.modules])"
    )
    path = ":".join(sys.path)
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )
    assert shown.stdout.strip() == "[]"


def test_every_target_exists_and_every_parameter_is_plain() -> None:
    for spec in bench_datasets():
        assert callable(load_target(spec.target))
        assert all(type(value) in {int, float, str} for value in spec.params.values())
