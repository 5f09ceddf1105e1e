"""Numbers in words, and advice that can be pasted."""

from __future__ import annotations

import pytest

from bench.diagnosis import finding
from bench.diagnosis.finding import Finding


def test_a_flag_is_found_in_the_words_of_the_core() -> None:
    assert finding.flag_in("use --data-set duplicate_genes=sum or duplicate_genes=first.") == (
        "--data-set duplicate_genes=sum"
    )
    assert finding.flag_in("leave them out with --task-set min_class_size=5.") == "--task-set min_class_size=5"
    assert finding.flag_in("give another column with --obs batch=COLUMN.") == ""
    assert finding.flag_in("name your column with --obs ROLE=COLUMN") == ""
    assert finding.flag_in("their place with --layer.") == ""
    assert finding.flag_in("not on this machine: bench fetch dataset kang18 (9 MB).") == "bench fetch dataset kang18"


@pytest.mark.parametrize(
    ("share", "words"), [(0, "0 %"), (0.001, "under 1 %"), (0.5, "50 %"), (0.999, "over 99 %"), (1, "100 %")]
)
def test_nearly_all_is_not_called_all(share: float, words: str) -> None:
    assert finding.percent(share) == words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.2, None, "under 1 s"),
        (0.2, 3, "up to 3 s"),
        (12, None, "about 12 s"),
        (80, 80.2, "about 80 s"),
        (100, 300, "about 1.7 min to 5.0 min"),
        (7200, None, "about 2.0 h"),
        (400_000, None, "about 4.6 d"),
    ],
)
def test_durations(low: float, high: float | None, words: str) -> None:
    assert finding.duration(low, high) == words


def test_plurals() -> None:
    assert [finding.counted(n, "batch") for n in (1, 2)] == ["1 batch", "2 batches"]
    assert finding.counted(1_200, "cell") == "1,200 cells"


def test_long_lists_are_cut() -> None:
    assert finding.listed("abc") == "a, b, c"
    assert finding.listed(range(9), most=2) == "0, 1 and 7 more"


def test_the_worst_level() -> None:
    assert finding.worst([]) == "ok"
    assert finding.worst([Finding("note", "x", ""), Finding("error", "x", ""), Finding("ok", "x", "")]) == "error"
