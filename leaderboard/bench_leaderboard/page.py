"""Renders a results folder as one static page with its data beside it."""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.atomic import replacing
from bench.errors import BadInput, StoreError
from bench.store.exam import Exam
from bench.store.export import export
from bench.store.index import Store
from bench.store.ranking import rank
from bench.store.summary import summarise
from bench_leaderboard.labels import Defaults, installed_defaults
from bench_leaderboard.view import page_view

HERE = Path(__file__).parent


def render(
    results: Path,
    out: Path,
    *,
    defaults: Defaults = installed_defaults,
    notify: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write `index.html`, `results.parquet`, `results.csv` and copies of the records shown.

    Each file is replaced in one step, so that a reader never meets half a page.

    Parameters
    ----------
    results
        The results folder; its index is brought up to date first.
    out
        Folder to write, which may then be published as it is.
    defaults
        Where default options come from, so that only differences are shown.
    notify
        Told what the reader of the page would not see, such as files that are not records.

    Raises
    ------
    BadInput
        If there are no results, or `out` is the results folder itself.
    StoreError
        If the index or the page cannot be written.
    """
    if out.resolve() == results.resolve():
        raise BadInput(f"--out {out} is the results folder itself; name another folder for the page.")
    store = Store(results)
    for notice in store.sync().notices():
        notify(notice)
    exams = summarise(store)
    try:
        (out / "records").mkdir(parents=True, exist_ok=True)
        _copy_records(exams, results, out / "records")
        for name in ("results.parquet", "results.csv"):
            export(store, out / name)
        return _replace(out / "index.html", html(exams, defaults))
    except OSError as error:
        raise StoreError(f"cannot write the page to {out}: {error.strerror or error}.") from None


def html(exams: list[Exam], defaults: Defaults = installed_defaults) -> str:
    """The page as text. Everything that is not this package's own is escaped."""
    style = (HERE / "page.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2").render(
        style=Markup(style),  # noqa: S704 - our own file
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        generated=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        version=_version(),
        page=page_view(exams, rank(exams), defaults),
    )


def _copy_records(exams: list[Exam], results: Path, folder: Path) -> None:
    """Copy the records that the page links to; one that is there is the same, records are never edited."""
    for run in (run for exam in exams for track in exam.tracks for entry in track.entries for run in entry.runs):
        source = results / run["path"]
        target = folder / source.name
        if not target.exists():
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)


def _replace(path: Path, text: str) -> Path:
    """Write a file in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def _version() -> str:
    try:
        return version("bench-harness")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return ""
