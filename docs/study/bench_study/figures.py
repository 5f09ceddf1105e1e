"""Figures of the report, as SVG: the same records give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_study.paired import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

PALETTE = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#0072B2", "#CC79A7", "#999999")
"""Okabe and Ito: told apart whatever colours the reader sees."""
MARKERS = "osD^vPX*"


@dataclass(frozen=True)
class Bar:
    """A point with its interval, or with the single values that it is the mean of."""

    label: str
    estimate: Estimate
    points: tuple[float, ...] = ()
    group: str = ""


def intervals(path: Path, bars: Sequence[Bar], x_label: str) -> None:
    """Points with intervals beside their names, 0 marked: differences to a reference."""
    with _figure(path, 7.2, 0.8 + 0.3 * len(bars)) as axes:
        for row, bar in enumerate(reversed(bars)):
            found = bar.estimate
            if found.low is not None and found.high is not None:
                axes.plot([found.low, found.high], [row, row], color=PALETTE[5], linewidth=2)
            axes.plot([found.mean], [row], "o", color=PALETTE[0], markersize=5)
        axes.axvline(0, color=PALETTE[7], linewidth=1)
        axes.set_yticks(range(len(bars)), [bar.label for bar in reversed(bars)])
        axes.set_xlabel(x_label)


def curves(path: Path, lines: Mapping[str, Mapping[str, Estimate]], x_label: str, y_label: str) -> None:
    """One line per name over common positions, evenly spaced, with intervals where there are any."""
    with _figure(path, 7.2, 5.2) as axes:
        positions = list(dict.fromkeys(x for line in lines.values() for x in line))
        for number, (label, line) in enumerate(lines.items()):
            xs = [positions.index(x) + 0.06 * (number - len(lines) / 2) for x in line]
            again, kind = divmod(number, len(PALETTE))
            style: dict[str, Any] = {
                "color": PALETTE[kind],
                "marker": MARKERS[kind],
                "linestyle": "--" if again else "-",
            }
            axes.plot(xs, [found.mean for found in line.values()], linewidth=1.2, markersize=4, label=label, **style)
            for x, found in zip(xs, line.values(), strict=True):
                if found.low is not None and found.high is not None:
                    axes.plot([x, x], [found.low, found.high], color=style["color"], linewidth=0.8)
        axes.set_xticks(range(len(positions)), positions)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.get_figure().legend(fontsize=7, frameon=False, loc="outside lower center", ncols=2)  # type: ignore[union-attr]


def groups(path: Path, bars: Sequence[Bar], x_label: str) -> None:
    """Means with the values behind them, by what was varied."""
    names = list(dict.fromkeys(bar.group for bar in bars))
    rows: list[Bar | None] = [row for name in names for row in (*(b for b in bars if b.group == name), None)][:-1]
    with _figure(path, 8, 0.8 + 0.26 * len(rows)) as axes:
        for position, bar in enumerate(reversed(rows)):
            if bar is not None:
                colour = PALETTE[1 + names.index(bar.group) % (len(PALETTE) - 1)]
                axes.plot(bar.points, [position] * len(bar.points), "o", color=colour, markersize=3.5, alpha=0.6)
                axes.plot([bar.estimate.mean], [position], "|", color=PALETTE[0], markersize=12, markeredgewidth=2)
        labels = [f"{bar.group}: {bar.label}" if bar else "" for bar in reversed(rows)]
        axes.set_yticks([i for i, text in enumerate(labels) if text], [text for text in labels if text])
        axes.set_xlabel(x_label)


@contextmanager
def _figure(path: Path, width: float, height: float) -> Iterator[Axes]:
    """Axes to draw on, saved at the end without a date and with ids that do not change."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": path.name, "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        yield axes
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
