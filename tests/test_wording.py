"""Numbers in words: short, and never more certain than they are."""

from __future__ import annotations

import pytest

from bench import wording


@pytest.mark.parametrize(
    ("share", "words"), [(0, "0 %"), (0.001, "under 1 %"), (0.5, "50 %"), (0.999, "over 99 %"), (1, "100 %")]
)
def test_nearly_all_is_not_called_all(share: float, words: str) -> None:
    assert wording.percent(share) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.44, "0.4 s"), (12, "12 s"), (90, "90 s"), (186, "3.1 min"), (7200, "2.0 h"), (400_000, "4.6 d")],
)
def test_durations(seconds: float, words: str) -> None:
    assert wording.duration(seconds) == words


@pytest.mark.parametrize(
    ("n_bytes", "words"), [(0, "0 KiB"), (2048, "2 KiB"), (2**20, "1.0 MiB"), (5_000 * 2**30, "5,000.0 GiB")]
)
def test_sizes(n_bytes: int, words: str) -> None:
    assert wording.size(n_bytes) == words


def test_plurals() -> None:
    assert [wording.counted(n, "batch") for n in (1, 2)] == ["1 batch", "2 batches"]
    assert wording.counted(1_200, "cell") == "1,200 cells"


def test_long_lists_are_cut() -> None:
    assert wording.listed("abc") == "a, b, c"
    assert wording.listed(range(9), most=2) == "0, 1 and 7 more"
