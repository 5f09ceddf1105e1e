"""Names are made unique without ever colliding with one that was there."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from bench.data.names import safe_name, unique


@given(st.lists(st.sampled_from(["a", "b", "a-1", "a-1-1", "a-2"])))
def test_unique_names_keep_the_first_of_each_and_differ(names: list[str]) -> None:
    new, changed = unique(names)
    assert len(new) == len(names) == len(set(new))
    assert len(changed) == len(names) - len(set(names))
    assert [n for k, n in enumerate(names) if n not in names[:k]] == [
        n for k, n in enumerate(new) if names[k] not in names[:k]
    ]


@given(st.text())
def test_a_safe_name_is_a_plain_file_name(text: str) -> None:
    name = safe_name(text)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,200}", name)
    assert name[0] not in "-."
    assert safe_name(name) == name


def test_a_safe_name_keeps_what_can_be_kept() -> None:
    assert safe_name("pbmc_10x.v2-a") == "pbmc_10x.v2-a"
    assert safe_name("../../étude 1") == "etude-1"
    assert safe_name("細胞") == "unnamed"
