"""What was measured is not lost where the results folder takes no more: a full disk, a mount that has gone."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from bench.atomic import publish
from bench.data.cache import cache_dir
from bench.errors import StoreError
from bench.runs.record import Record, attempts

FOLDER = "unsaved"


def rescue(results: Path, record: Record, error: Exception) -> StoreError:
    """Keep a record in the cache or, if that is full too, in the system's folder for temporary files.

    Parameters
    ----------
    results
        The results folder that did not take it.
    record
        What should have been written; its output and controls can be computed again.
    error
        Why it was not.

    Returns
    -------
    The error for the user: what happened, where the record is, and where it belongs.
    """
    reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
    run_id = record["run_id"]
    attempt = 1 + max((number for number, _ in attempts(results, run_id)), default=0)
    text = json.dumps({**record, "attempt": attempt}, allow_nan=False, indent=1)
    home = results / "records" / run_id[:2] / f"{run_id}.{attempt}.json"
    for folder in (cache_dir() / FOLDER, Path(tempfile.gettempdir()) / f"bench-{FOLDER}"):
        kept = folder / home.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            kept.unlink(missing_ok=True)  # of an earlier try: that attempt was never stored
            publish(kept, text)
        except OSError:
            continue
        return StoreError(
            f"cannot store a run in {results}: {reason}; its record is kept in {kept}:"
            f" mend that, then move it to {home} and run `bench index`."
        )
    return StoreError(f"cannot store a run in {results}: {reason}; nor is there room for its record anywhere else.")
