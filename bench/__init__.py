"""bench: is this single-cell model better than PCA, scVI or logistic regression, and at what cost?

The verbs of the command line are functions: `bench.run(...)`, `bench.results()`, `bench.embed(...)`,
`bench.doctor(...)` and so on (see `bench.api`). What `bench list` and `bench show` read is
`bench.catalogue.catalogue()`.
"""

from __future__ import annotations

from typing import Any

VERBS = (
    "check",
    "diff",
    "doctor",
    "embed",
    "fetch",
    "finetune",
    "index",
    "outline",
    "prepare",
    "pretrain",
    "results",
    "run",
)


def __getattr__(name: str) -> Any:
    """Import the verbs when they are used: `import bench` stays light."""
    if name in VERBS:
        from bench import api

        return getattr(api, name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
