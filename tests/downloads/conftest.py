"""A local server, and no waiting between tries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.downloads.server import Server, serving

from bench.downloads import transfer


@pytest.fixture
def server() -> Iterator[Server]:
    """A server without answers yet."""
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAUSE_S", 0.0)
    monkeypatch.setattr(transfer, "SILENCE_S", 0.5)
    monkeypatch.delenv("BENCH_OFFLINE", raising=False)
