"""Runs the steps of a study, says where it is, and goes on where it was left."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from bench.data.names import safe_name
from bench.wording import duration, listed
from bench_study.steps import Step

INTERRUPTED = 130
TAIL = 5
"""Last lines of the log that are shown of what failed."""


def perform(steps: Sequence[Step], cores: int, logs: Path) -> list[str]:
    """Run what is not done yet, side by side where steps leave cores free; one that fails stops no other.

    Parameters
    ----------
    steps
        Those of one stage may run side by side, stages follow each other.
    cores
        Of this machine.
    logs
        Folder of what the commands print.

    Returns
    -------
    A sentence for each step that did not succeed.
    """
    logs.mkdir(parents=True, exist_ok=True)
    began, numbers = time.monotonic(), {id(step): number for number, step in enumerate(steps, start=1)}

    def one(step: Step) -> str:
        where = f"[{numbers[id(step)]}/{len(steps)}, {duration(time.monotonic() - began)}] {step.title}"
        return _one(step, where, logs / f"{safe_name(step.title)}.log")

    troubles: list[str] = []
    for (_, width), stage in groupby(steps, key=lambda step: (step.stage, step.cores)):
        with ThreadPoolExecutor(max(1, cores // width)) as pool:
            try:
                troubles += list(pool.map(one, stage))
            except KeyboardInterrupt:
                pool.shutdown(cancel_futures=True)
                raise
    return [trouble for trouble in troubles if trouble]


def say(text: str) -> None:
    """One line of progress on stderr, at once: in one piece, as threads speak at the same time."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _one(step: Step, where: str, log: Path) -> str:
    """Run a step unless it is done or cannot begin; a sentence if it did not succeed."""
    if step.done:
        say(f"{where}: is there")
        return ""
    if step.missing:
        say(f"{where}: not begun")
        return f"{step.title}: not begun, as {listed(step.missing)} is missing"
    say(f"{where}: {log}")
    began = time.monotonic()
    code = _run(step, log)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if not code:
        say(f"    {step.title}: done in {duration(time.monotonic() - began)}")
        return ""
    last = " | ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:])
    say(f"    {step.title}: exit code {code}: {last}")
    return f"{step.title}: exit code {code}; see {log}"


def _run(step: Step, log: Path) -> int:
    """Run a step with its share of the cores; its exit code."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), str(step.threads))
    if step.made is not None:
        step.made.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        file.write(f"{step}\n")
        file.flush()
        environment = {**os.environ, **threads}
        return subprocess.run(step.command, env=environment, stdout=file, stderr=file, check=False).returncode
