"""Advice that can be pasted, and the gravest of many findings."""

from __future__ import annotations

from bench.diagnosis import finding


def test_a_flag_is_found_in_the_words_of_the_core() -> None:
    assert finding.flag_in("use --data-set duplicate_genes=sum or duplicate_genes=first.") == (
        "--data-set duplicate_genes=sum"
    )
    assert finding.flag_in("leave them out with --task-set min_class_size=5.") == "--task-set min_class_size=5"
    assert finding.flag_in("give another column with --obs batch=COLUMN.") == ""
    assert finding.flag_in("name your column with --obs ROLE=COLUMN") == ""
    assert finding.flag_in("leave the role out with --obs donor=.") == "--obs donor="
    assert finding.flag_in("their place with --layer (in training --set data.layer).") == ""
    assert finding.flag_in("not on this machine: bench fetch dataset kang18 (9 MB).") == "bench fetch dataset kang18"
