"""A model tried out on a few cells in a process of its own: `python -m bench.diagnosis.trial ANSWER JOB.json`.

The answer is a list that grows with each trial, so that what was measured before a time limit is kept.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

BRIEF_S = 5.0
"""A first trial that is shorter is made again."""


def main(answer: Path, job_path: Path) -> int:
    """Fit and apply the model on the first few cells, then on more; leave cells, seconds and peak memory."""
    from bench.runs.worker import describe, die_with_parent

    die_with_parent()
    measured: list[dict[str, Any]] = []
    try:
        job = json.loads(job_path.read_text(encoding="utf-8"))
        small, large = job["sizes"]
        measured.append(_trial(job, small))
        _leave(answer, {"measured": measured})
        if measured[0]["seconds"] < BRIEF_S:  # what a first call compiles and imports may be most of it
            measured[0] = _trial(job, small)
            _leave(answer, {"measured": measured})
        measured.append(_trial(job, large))
        _leave(answer, {"measured": measured})
    except BaseException as error:
        _leave(answer, {"measured": measured, "error": describe(error)["message"]})
        return 1
    return 0


def _trial(job: dict[str, Any], n_cells: int) -> dict[str, Any]:
    import anndata as ad
    import numpy as np

    from bench.catalogue import catalogue
    from bench.runs.meter import peak_rss
    from bench.runs.models import configured_model, visible_to, without_labels
    from bench.specs import Cap, load_target

    spec = catalogue().model(job["model"])
    every = ad.read_h5ad(job["cells"])
    cells = every[np.sort(np.random.default_rng(0).permutation(every.n_obs)[:n_cells])].copy()
    load_target(spec.target)  # importing it is paid once, however many cells there are
    started = time.perf_counter()
    model = configured_model(spec, job["config"], job["weights"], 0, job["device"])()
    if spec.fits != "no":
        model.fit(visible_to(spec, cells))
    apply = model.embed if Cap.EMBEDS_CELLS in spec.gives else model.predict
    apply(without_labels(cells))
    return {"cells": n_cells, "seconds": time.perf_counter() - started, "peak_bytes": peak_rss()}


def _leave(path: Path, answer: Any) -> None:
    from bench.diagnosis.child import leave

    leave(path, answer)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
