"""Where the numbers of a training are written to as it goes, by name."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from bench.atomic import replacing
from bench.errors import BadInput, unknown

METRICS = "metrics.csv"
STEP = "step"


class Log(Protocol):
    """One place."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers after a step; more of the same step may follow."""

    def flush(self) -> None:
        """Have all of it on disk."""

    def close(self) -> None:
        """Nothing more will be written."""


class CsvLog:
    """A table with a row for each step of which something is known; what is not known is empty.

    Parameters
    ----------
    folder
        Of `metrics.csv`, whose rows up to `step` stay; later ones are of steps that will be made again.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / METRICS
        rows = [row for row in read(folder) if row[STEP] <= step] if step else []
        self._columns = list(dict.fromkeys([STEP, *(name for row in rows for name in row)]))
        self._rewrite(rows)
        self._row: dict[str, float] = {}

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """The row before is complete where this is another step."""
        if self._row.get(STEP) != step:
            self._append()
            self._row = {STEP: step}
        self._row |= values

    def flush(self) -> None:
        """The last row is taken for complete."""
        self._append()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write what is left."""
        self.flush()
        self._file.close()

    def _append(self) -> None:
        """Write the row; a column that is new makes the whole table anew."""
        row, self._row = self._row, {}
        if not row:
            return
        new = [name for name in row if name not in self._columns]
        if new:
            self._columns += new
            self._file.close()
            self._rewrite(read(self._path.parent))
        self._file.write(_lines([row], self._columns))
        self._file.flush()

    def _rewrite(self, rows: Sequence[Mapping[str, float]]) -> None:
        with replacing(self._path) as temporary:
            temporary.write_text(_lines([dict(zip(self._columns, self._columns, strict=True)), *rows], self._columns))
        self._file = self._path.open("a", encoding="utf-8")


class TensorBoardLog:
    """A file that TensorBoard shows; after resuming another one, which hides what is made again."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """A point of each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Have it on disk."""
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()


class WandbLog:
    """A run of Weights & Biases; without a network where `BENCH_OFFLINE=1`. A resumed training goes on with its run."""

    def __init__(self, folder: Path, step: int) -> None:
        import wandb

        mode = "offline" if os.environ.get("BENCH_OFFLINE") == "1" else None
        note = folder / "wandb-run"
        known = note.read_text(encoding="utf-8").strip() if step and note.exists() else None
        try:
            self._run: Any = wandb.init(project="bench", dir=str(folder), id=known, resume="allow", mode=mode)
        except wandb.Error as error:
            said = str(error).partition(". ")[0]
            raise BadInput(
                f"--logger wandb: {said}; call wandb login, or set BENCH_OFFLINE=1, or leave it out."
            ) from None
        note.write_text(self._run.id, encoding="utf-8")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """A point of each curve."""
        self._run.log(dict(values), step=step)

    def flush(self) -> None:
        """It sends what it has by itself."""

    def close(self) -> None:
        """Send the rest."""
        self._run.finish()


LOGGERS: Mapping[str, Callable[[Path, int], Log]] = {"csv": CsvLog, "tensorboard": TensorBoardLog, "wandb": WandbLog}
PACKAGES: Mapping[str, str] = {"tensorboard": "tensorboard", "wandb": "wandb"}
"""Logger -> package it needs that may not be installed."""


def require(names: Sequence[str]) -> None:
    """Refuse loggers that are not known or not installed.

    Raises
    ------
    BadInput
        For the first of them.
    """
    for name in names:
        if name not in LOGGERS:
            raise unknown("logger", name, LOGGERS)
        package = PACKAGES.get(name)
        if package and not _installed(package):
            raise BadInput(f"--logger {name} needs the package {package}: pip install {package}, or leave it out.")


def opened(names: Sequence[str], folder: Path, step: int) -> list[Log]:
    """Logs in a folder, of a training that goes on after `step`."""
    folder.mkdir(parents=True, exist_ok=True)
    return [LOGGERS[name](folder, step) for name in names]


def read(folder: Path) -> list[dict[str, float]]:
    """Rows of a `metrics.csv`, without what is empty; a last line that was not written to its end is left out.

    Raises
    ------
    BadInput
        If a row holds something else than numbers.
    """
    path = folder / METRICS
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    try:
        return list(_rows(csv.DictReader(io.StringIO(whole))))
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{path} is damaged ({str(error)[:100]}); move it away to go on without it.") from None


def _rows(reader: csv.DictReader[str]) -> Iterator[dict[str, float]]:
    for row in reader:
        yield {name: _number(value) for name, value in row.items() if value} | {STEP: int(row[STEP])}


def _number(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)


def _lines(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
