"""What a check is, and how whatever a plugin does in it becomes a row."""

from __future__ import annotations

import contextlib
import io
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.conformance.report import Result, Row
from bench.errors import BenchError

HARNESS = Path(__file__).parents[1]
LIBRARY = Path(traceback.__file__).parent
"""Python's own modules, such as functools, through which the kit asks."""


class Failure(Exception):
    """The plugin is not what it says it is: what was found, and how to mend it."""


class Skip(Exception):
    """The check does not apply: why."""


@dataclass(frozen=True)
class Check:
    """One thing that is examined."""

    name: str
    proves: str
    """One line: what a plugin that passes has shown."""
    run: Callable[[Any], str]
    """Takes a subject, returns what was found; raises `Failure` or `Skip`."""
    needs: tuple[str, ...] = ()
    """Checks without which this one would only repeat that they failed."""


def judge(check: Check, subject: Any, earlier: Mapping[str, Result]) -> Row:
    """Run a check; whatever the plugin raises is a failure of the plugin.

    Parameters
    ----------
    check
        What to run.
    subject
        What is examined.
    earlier
        Results of the checks before it, by name.
    """
    for name in check.needs:
        if earlier.get(name, "ok") != "ok":
            return _row(check, "skipped", f"cannot be told before {name!r} is ok")
    try:
        return _row(check, "ok", check.run(subject))
    except Skip as reason:
        return _row(check, "skipped", str(reason))
    except Failure as failure:
        return _row(check, "FAILED", str(failure))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything, SystemExit included
        return _row(check, "FAILED", raised(error))


def raised(error: BaseException) -> str:
    """What an exception says, and which line of the plugin it comes from."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"raised {' '.join(text.split())[:300]}{_where(error)}"


def _where(error: BaseException) -> str:
    """The last line that is of the same folder as the first one outside of the harness: the plugin's own."""
    if isinstance(error, (BenchError, SyntaxError)):  # a sentence that says enough; a file that has no line to run
        return ""
    lines = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    outside = [(file, line) for file, line in lines if HARNESS not in file.parents and file.parent != LIBRARY]
    own = [(file, line) for file, line in outside if outside[0][0].parent in (file.parent, *file.parents)]
    return f" ({own[-1][0].name}:{own[-1][1]})" if own else ""


def refusal(action: Callable[[], Any]) -> BenchError | None:
    """What the plugin says when it refuses; None where it does not refuse.

    Raises
    ------
    Failure
        If it ends in an exception that would reach the user as a traceback.
    """
    try:
        action()
    except BenchError as error:
        if not str(error):
            raise Failure(f"raised {type(error).__name__} without a sentence; say what is wrong") from None
        return error
    except Exception as error:
        raise Failure(f"{raised(error)}; raise bench.errors.BadInput with one sentence instead") from None
    return None


@contextlib.contextmanager
def listening() -> Any:
    """Catch what Python code prints on stdout."""
    with contextlib.redirect_stdout(io.StringIO()) as heard:
        yield heard


def _row(check: Check, result: Result, found: str) -> Row:
    return Row(check.name, result, found, check.proves)
