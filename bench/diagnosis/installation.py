"""`bench doctor` without a dataset: is this installation able to do its work?"""

from __future__ import annotations

import os
from pathlib import Path

from bench.diagnosis import folders, packages, plugins
from bench.diagnosis.finding import Finding


def examine(results: Path) -> list[Finding]:
    """Packages and devices, plugins, the results folder, the cache, the disk and environment variables.

    Nothing is changed, and nothing that a plugin does can end this process.

    Parameters
    ----------
    results
        The results folder, whether it exists or not.
    """
    return [
        *packages.examine(),
        *plugins.examine(),
        *folders.results(results),
        *folders.cache(),
        *folders.disk(results),
        *folders.environment(os.environ),
    ]
