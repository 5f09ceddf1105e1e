"""Which engine the integration metrics come from: stored with every value, for values of two engines differ."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

LIBRARY = "scib-metrics"


def engine() -> str:
    """Name and version, such as `"scib-metrics 0.5.10"`."""
    try:
        return f"{LIBRARY} {version(LIBRARY)}"
    except PackageNotFoundError:
        return f"{LIBRARY} (not installed)"
