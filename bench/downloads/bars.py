"""Downloads as a person sees them."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from bench.downloads.sizes import shown


class Bars:
    """Downloads on stderr: bars where a person looks, sentences where a log is kept."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as Rich

        self._console = Console(stderr=True, highlight=False)
        self._bars = Rich(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._shown: dict[str, Any] = {}

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.stop()

    def moved(self, name: str, done: int, total: int | None) -> None:
        """Move the bar of a file."""
        if name not in self._shown:
            self._shown[name] = self._bars.add_task(name, total=total)
            self.note(f"downloading {name} ({shown(total)})" + (f" from byte {done:,} on" if done else ""))
        self._bars.update(self._shown[name], completed=done, total=total)

    def note(self, text: str) -> None:
        """Say one sentence."""
        self._console.print(text, markup=False, soft_wrap=True)
