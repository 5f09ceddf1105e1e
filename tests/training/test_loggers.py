"""Numbers of a training are written once each, also where it was killed in the middle of a line."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BadInput
from bench.training import curves, loggers
from bench.training.loggers import METRICS, CsvLog, read

NUMBERS = st.floats(allow_nan=False) | st.integers(0, 10**9)


@settings(max_examples=25)
@given(st.lists(st.dictionaries(st.sampled_from(["train/a", "val/a", "lr"]), NUMBERS, min_size=1), max_size=6))
def test_what_was_written_is_read_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = CsvLog(folder, 0)
    for step, row in enumerate(rows, start=1):
        for name, value in row.items():
            log.write(step, {name: value})
    log.close()
    assert read(folder) == [{"step": step, **row} for step, row in enumerate(rows, start=1)]


def test_a_resumed_log_has_each_step_once(tmp_path: Path) -> None:
    first = CsvLog(tmp_path, 0)
    for step in range(1, 6):
        first.write(step, {"loss": step / 3})
    first.flush()
    with (tmp_path / METRICS).open("a") as torn:
        torn.write("6,2.0\n7,0.")  # killed while a line was written
    second = CsvLog(tmp_path, 3)
    for step in range(4, 8):
        second.write(step, {"loss": step / 3})
    second.close()
    assert read(tmp_path) == [{"step": step, "loss": step / 3} for step in range(1, 8)]


def test_a_log_begun_anew_is_empty(tmp_path: Path) -> None:
    CsvLog(tmp_path, 0).write(1, {"loss": 1.0})
    log = CsvLog(tmp_path, 0)
    log.close()
    assert read(tmp_path) == []


def test_a_damaged_table_is_told(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text("step,loss\n1,none of it\n")
    with pytest.raises(BadInput, match=r"metrics.csv is damaged .*none of it"):
        CsvLog(tmp_path, 1)


def test_tensorboard_hides_what_is_made_again(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for begun, steps in ((0, range(1, 6)), (3, range(4, 8))):
        (log,) = loggers.opened(["tensorboard"], tmp_path, begun)
        for step in steps:
            log.write(step, {"train/total": step / 4 + begun})
        log.flush()
        log.close()
    shown = EventAccumulator(str(tmp_path))
    shown.Reload()
    assert {e.step: e.value for e in shown.Scalars("train/total")} == {
        **{step: step / 4 for step in (1, 2, 3)},
        **{step: step / 4 + 3 for step in (4, 5, 6, 7)},
    }


def test_a_logger_that_is_not_there_is_told() -> None:
    with pytest.raises(BadInput, match=r"unknown logger 'tensorbord'. Did you mean 'tensorboard'"):
        loggers.require(["csv", "tensorbord"])
    try:
        metadata.version("wandb")
    except metadata.PackageNotFoundError:
        with pytest.raises(BadInput, match="--logger wandb needs the package wandb: pip install wandb"):
            loggers.require(["wandb"])


def test_curves_are_drawn_of_every_part(tmp_path: Path) -> None:
    rows = [{"step": k, "train/total": 1 / k, "train/pretext": 2 / k, "val/total": 1.1 / k} for k in range(1, 50)]
    curves.draw(rows, tmp_path)
    drawn = (tmp_path / "curves.svg").read_text()
    assert drawn.count('<g id="axes_') == 2
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    before = (tmp_path / "curves.svg").read_bytes()
    curves.draw(rows, tmp_path)
    assert (tmp_path / "curves.svg").read_bytes() == before, "the same numbers make the same file"


def test_no_curves_of_nothing(tmp_path: Path) -> None:
    curves.draw([], tmp_path)
    assert not list(tmp_path.iterdir())
