"""What a download tells while it runs."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Whoever shows how far a download is."""

    def moved(self, name: str, done: int, total: int | None) -> None:
        """`done` bytes of the file are here, of `total` where the server says so."""

    def note(self, text: str) -> None:
        """One sentence the user should know."""


class Silent:
    """Shows nothing."""

    def moved(self, name: str, done: int, total: int | None) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""
