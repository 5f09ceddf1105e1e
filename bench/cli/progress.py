"""Progress of a grid on stderr: a bar where a person looks, lines where a log is kept."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from bench.cli import tables
from bench.runs.run import Progress

if TYPE_CHECKING:
    from bench.runs.job import Job
    from bench.runs.plan import Plan
    from bench.runs.record import Record


class Display:
    """Shows what runs, what ended, what was skipped and why.

    Parameters
    ----------
    quiet
        Say nothing but what went wrong.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),  # a donor may be called "[x]"
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
            transient=True,
        )
        self._total: TaskID | None = None
        self._count = 0
        self._ended = 0
        self.progress = Progress(self._planned, self._phase, self._record)

    def __enter__(self) -> Display:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.stop()

    def _planned(self, plan: Plan, done: list[Record]) -> None:
        for refusal in plan.refusals:
            self._say(f"skipped {refusal}", always=True)
        for notice in sorted({n for facts in plan.facts.values() for n in facts.notices}):
            self._say(f"note: {notice}")
        failed = sum(record["status"] != "ok" for record in done)
        if done:
            retry = f", {failed} of them failed (--retry-failed runs those again)" if failed else ""
            self._say(f"{len(done)} of {len(plan.jobs)} runs were done before{retry}")
        self._count = len(plan.jobs) - len(done)
        self._total = self._bars.add_task("runs", total=self._count)

    def _phase(self, job: Job, phase: str) -> None:
        if self._total is not None:
            self._bars.update(self._total, description=f"{job.title}: {phase}")

    def _record(self, record: Record) -> None:
        self._ended += 1
        seconds = record["cost"]["wall_s"]
        name, said = tables.run_name(record), tables.headline(record)
        self._say(f"[{self._ended}/{self._count}] {name}: {said} ({seconds:.0f} s)")
        if self._total is not None:
            self._bars.advance(self._total)

    def _say(self, text: str, always: bool = False) -> None:
        if always or not self._quiet:
            self._console.print(text, markup=False, soft_wrap=True)
