"""Examines a plugin in processes of its own: one, and another one whenever it has killed the last."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bench.catalogue import catalogue, unmet
from bench.conformance.check import Check
from bench.conformance.kit import checks
from bench.conformance.report import Report, Row
from bench.conformance.request import Request
from bench.errors import BadInput, unknown
from bench.runs import child
from bench.runs.choose import configured, task_options
from bench.runs.supervise import POLL_SECONDS

Kind = Literal["model", "task"]
TIMEOUT = 300.0
"""Seconds for one check."""


def examine(
    name: str,
    *,
    kind: Kind | None = None,
    set: Mapping[str, Any] | None = None,
    weights: str = "",
    seed: int = 0,
    device: str = "cpu",
    timeout: float = TIMEOUT,
    on_row: Callable[[Row], None] = lambda row: None,
) -> Report:
    """Run the conformance kit on a registered model or task.

    Parameters
    ----------
    name
        Of the model or task.
    kind
        Which of the two, where both have the name.
    set
        Options of the plugin, such as fewer epochs.
    weights
        Folder or file of weights, or `"untrained"`.
    seed, device
        Handed to the model.
    timeout
        Seconds for one check.
    on_row
        Told each row as it comes.

    Raises
    ------
    BadInput
        If there is no such plugin, an option is wrong, or what it needs is missing: weights, distributions.
    """
    request = requested(name, kind, set or {}, weights, seed, device)
    planned = [check for check, _ in checks(request.spec())]
    done: dict[str, Row] = {}
    with tempfile.TemporaryDirectory(prefix="bench-check-") as folder:
        while len(done) < len(planned):
            for row in _life(request, planned, dict(done), timeout, Path(folder)):
                done[row.check] = row
                on_row(row)
    return Report(request.kind, name, tuple(done[check.name] for check in planned))


def requested(
    name: str, kind: Kind | None, options: Mapping[str, Any], weights: str, seed: int, device: str
) -> Request:
    """Check what the user asks for before a process is started."""
    chosen = _kind(name, kind)
    if chosen == "task":
        if weights:
            raise BadInput(f"task {name} has no weights to load; leave --weights out.")
        task_options(catalogue().task(name), options)
        return Request("task", name, dict(options), "", seed, device)
    spec = catalogue().model(name)
    lacking = unmet(spec.requires)
    if lacking:
        raise BadInput(f"model {name}: {'; '.join(lacking)}.")
    ready = configured(spec, options, weights)
    return Request("model", name, dict(options), ready.weights, seed, device)


def _kind(name: str, kind: Kind | None) -> Kind:
    if kind is not None:
        return kind
    found = catalogue()
    homes: list[Kind] = []
    if name in {*found.models.specs, *found.models.clashes}:
        homes.append("model")
    if name in {*found.tasks.specs, *found.tasks.clashes}:
        homes.append("task")
    if len(homes) == 2:
        raise BadInput(f"{name!r} is a model and a task; say which with --kind model or --kind task.")
    if not homes:
        for plugin in found.broken:
            if plugin.plugin == name:
                raise BadInput(f"{plugin}.")
        broken = f" Not loaded: {'; '.join(map(str, found.broken))}." if found.broken else ""
        known = {*found.models.specs, *found.tasks.specs}
        raise unknown("model or task", name, known, f"See `bench list`.{broken}")
    return homes[0]


@dataclass
class _Process:
    """One process, and how far it has come."""

    popen: subprocess.Popen[bytes]
    rows: Path
    log: Path
    read: int = 0
    last: float = 0.0
    """When it was started or last finished a check."""

    @classmethod
    def start(cls, request: Request, done: Mapping[str, Row], folder: Path) -> _Process:
        asked, rows, log = (folder / f"{len(done)}.{kind}" for kind in ("json", "rows", "log"))
        earlier = {name: row.result for name, row in done.items()}
        asked.write_text(json.dumps({**asdict(request), "earlier": earlier}), encoding="utf-8")
        rows.touch()
        environment = child.environment_for(request.device)
        popen = child.start("bench.conformance.child", [str(asked), str(rows)], log, environment)
        return cls(popen, rows, log, last=time.monotonic())

    def new_rows(self) -> list[Row]:
        """Rows that were finished since the last look."""
        with self.rows.open("rb") as file:
            file.seek(self.read)
            whole = file.read().rpartition(b"\n")[0]
        if not whole:
            return []
        self.read += len(whole) + 1
        self.last = time.monotonic()
        return [Row(**json.loads(line)) for line in whole.splitlines()]


def _life(
    request: Request, planned: Sequence[Check], done: Mapping[str, Row], timeout: float, folder: Path
) -> Iterator[Row]:
    """The rows of one process; if it dies or hangs, the check it was at is a failed row."""
    process = _Process.start(request, done, folder)
    left = [check for check in planned if check.name not in done]
    ended = hung = False
    try:
        while left and not (ended or hung):  # a thread that will not end after the last row is nobody's concern
            time.sleep(POLL_SECONDS)
            ended = process.popen.poll() is not None  # asked before the last rows are read
            for row in process.new_rows():
                left.pop(0)
                yield row
            hung = time.monotonic() - process.last > timeout
    finally:
        child.end(process.popen)
    if left:
        reason = f"no answer after {timeout:g} s; raise --timeout, or mend what hangs" if not ended else _death(process)
        yield Row(left[0].name, "FAILED", reason, left[0].proves)


def _death(process: _Process) -> str:
    """How a process ended that did not finish."""
    code, words = process.popen.returncode, child.last_words(process.log)
    if code < 0:
        return f"the process died with {child.signal_name(-code)} in this check{words}"
    return f"the process ended with exit code {code} in this check{words}"
