"""What the kit found: one row per check."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Result = Literal["ok", "FAILED", "skipped"]


@dataclass(frozen=True)
class Row:
    """How one check ended."""

    check: str
    result: Result
    found: str
    """What was found; of a failure, how to mend it too; of a skipped check, why."""
    proves: str
    """What a plugin that passes has shown."""


@dataclass(frozen=True)
class Report:
    """All checks of one plugin."""

    kind: Literal["model", "task"]
    name: str
    rows: tuple[Row, ...]

    @property
    def failed(self) -> tuple[Row, ...]:
        """The rows that failed."""
        return tuple(row for row in self.rows if row.result == "FAILED")

    @property
    def passed(self) -> bool:
        """Whether nothing failed; what was skipped counts as nothing."""
        return not self.failed

    def __str__(self) -> str:
        """What failed, one line each: what a test prints that asserts `passed`."""
        failed = [f"{row.check}: {row.found}" for row in self.failed]
        return "\n".join([f"{self.kind} {self.name}: {len(failed)} of {len(self.rows)} checks fail", *failed])

    def row(self, check: str) -> Row:
        """The row of a check; raises `KeyError` where the kit did not have it."""
        return {row.check: row for row in self.rows}[check]

    def as_dict(self) -> dict[str, Any]:
        """The document `bench plugin check --json` prints."""
        rows = [asdict(row) for row in self.rows]
        return {"kind": self.kind, "name": self.name, "passed": self.passed, "checks": rows}
