"""The misfits, installed as a distribution of their own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.catalogue import catalogue

SOURCE = Path(__file__).parent / "misfits"


@pytest.fixture(scope="module")
def misfits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder they are installed in, on the path of this process and its children."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(SOURCE, site, dirs_exist_ok=True)
    info = site / "misfits-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: misfits\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bench]\nmisfits = misfits\nmisfit_heavy = misfit_heavy\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]))
        catalogue.cache_clear()
        yield site
    for name in [name for name in sys.modules if name.startswith("misfit")]:
        del sys.modules[name]
    catalogue.cache_clear()
