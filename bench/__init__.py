"""bench: is this single-cell model better than PCA, scVI or logistic regression, and at what cost?

`bench.run(...)`, `bench.results()` and `bench.embed(...)` are the verbs of the command line.
"""

from __future__ import annotations

from typing import Any

__all__ = ["embed", "results", "run"]


def __getattr__(name: str) -> Any:
    """Import the verbs when they are used: `import bench` stays light."""
    if name in __all__:
        from bench import api

        return getattr(api, name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
