"""Curves of what a training and its validations lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.atomic import replacing
from bench.training.loggers import STEP

CURVES = ("curves.svg", "curves.png")
KINDS: Mapping[str, str] = {"train": "training", "val": "validation"}


def draw(rows: Sequence[Mapping[str, float]], folder: Path) -> None:
    """Write `curves.svg` and `curves.png`: a panel per loss, the total first, training and validation in it.

    Parameters
    ----------
    rows
        Of `bench.training.loggers.read`: `step`, `train/PART`, `val/PART`.
    """
    parts = list(dict.fromkeys(name.partition("/")[2] for row in rows for name in row if name.startswith("train/")))
    if not parts:
        return
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # no pyplot: nothing global, no window

    height = 3 * len(parts)
    figure = Figure(figsize=(6, height))
    figure.subplots_adjust(left=0.14, right=0.97, bottom=0.5 / height, top=1 - 0.2 / height, hspace=0.3)
    FigureCanvasAgg(figure)
    for axes, part in zip(figure.subplots(len(parts), squeeze=False)[:, 0], parts, strict=True):
        _panel(axes, part, rows)
    axes.set_xlabel(STEP)
    for name in CURVES:
        with replacing(folder / name) as temporary, rc_context({"svg.hashsalt": name}):
            figure.savefig(temporary, format=name.rpartition(".")[2], dpi=120, metadata=_METADATA.get(name))


def _panel(axes: Any, part: str, rows: Sequence[Mapping[str, float]]) -> None:
    """One loss over the logarithm of the step."""
    from matplotlib.ticker import LogLocator, NullLocator

    for kind, label in KINDS.items():
        points = [(row[STEP], row[f"{kind}/{part}"]) for row in rows if f"{kind}/{part}" in row]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, marker="." if len(points) < 50 else "", linewidth=1)
    axes.set(xscale="log", ylabel=part)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(alpha=0.3)
    axes.legend()


_METADATA = {"curves.svg": {"Date": None}}
"""The same numbers make the same file."""
