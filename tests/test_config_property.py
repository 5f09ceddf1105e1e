"""Whatever a config file or a `--set` holds, it is read or refused with a sentence: never with another exception."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench import config
from bench.errors import BadInput

NAMES = st.text("abcdefghij", min_size=1, max_size=8)
VALUES = st.booleans() | st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6) | st.text("abc xyz", max_size=5)
TABLES = st.dictionaries(NAMES, VALUES | st.lists(st.integers(0, 9), max_size=3), max_size=4)
PUNCTUATION = (
    "[",
    "]",
    "{",
    "}",
    ":",
    "=",
    "\n",
    " ",
    "- ",
    "&a ",
    "*a",
    "<<: ",
    '"',
    "'",
    "\t",
    "#",
    "? ",
    "|",
    "%",
    "\x00",
)
WORDS = (
    "model",
    "!!python/object:os.system",
    "1e-3",
    "010",
    "1:30",
    "no",
    "~",
    "2001-01-01",
    ".inf",
    "0x1F",
    "!!binary x",
)
CONTENT = st.binary(max_size=60) | st.lists(st.sampled_from(PUNCTUATION + WORDS)).map("".join).map(str.encode)


def read(name: str, content: bytes) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return config.read(path)


def asked(call: Callable[[], Any]) -> tuple[Any, str]:
    """What a call returns, or what the user is told."""
    try:
        return call(), ""
    except BadInput as error:
        return None, str(error)


@settings(deadline=None)
@given(name=st.sampled_from(["c.toml", "c.yaml"]), content=CONTENT)
@example(name="c.yaml", content=b"a: " + b"[" * 3000)
@example(name="c.yaml", content=b"a: &a [*a]")
@example(name="c.yaml", content=b"a: &a {b: *a}")
@example(
    name="c.yaml",
    content=b"a0: &a0 {b: 1}\n"
    + b"".join(b"a%d: &a%d {b: *a%d, c: *a%d}\n" % (i, i, i - 1, i - 1) for i in range(1, 40)),
)
@example(name="c.yaml", content=b"a: 9999-99-99")
@example(name="c.toml", content=b"a = " + b"[" * 3000)
@example(name="c.toml", content=b"a = 1e999")
@example(name="c.toml", content=b"a = " + b"9" * 5000)
def test_any_file_is_a_table_or_refused(name: str, content: bytes) -> None:
    values, said = asked(lambda: read(name, content))
    if said:
        assert name in said
        assert len(said) < 1000
    else:
        assert isinstance(values, dict)
        assert all(isinstance(key, str) for key in values)


@given(TABLES)
@example({"a": 1e-05})
def test_what_json_can_write_yaml_reads_back(values: dict[str, Any]) -> None:
    """JSON is YAML; but a number like 1e-05 is text to YAML, which an option of numbers takes all the same."""
    found = read("c.yaml", json.dumps(values).encode())
    assert found.keys() == values.keys()
    for key, value in values.items():
        assert (float(found[key]) if isinstance(value, float) else found[key]) == value


@given(st.dictionaries(NAMES, st.text(st.characters(exclude_categories=("Cs",)), max_size=8), max_size=5))
def test_assignments_come_back_as_they_were_written(values: dict[str, str]) -> None:
    assert config.assignments([f"{key}={value}" for key, value in values.items()], "--set") == values


@given(st.lists(st.text(max_size=12), max_size=4))
def test_any_assignment_is_read_or_refused(pairs: list[str]) -> None:
    found, said = asked(lambda: config.assignments(pairs, "--set"))
    assert "--set" in said or (len(found) <= len(pairs) and all(found))
