"""Typed configuration: what a user writes becomes what a model declared, or one clear refusal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import config
from bench.config import option
from bench.errors import BadInput


@dataclass(frozen=True)
class Example:
    width: int = option(50, "dimensions", low=1, high=1000)
    rate: float = option(1e-3, "learning rate", low=0.0)
    scale: bool = option(True, "whether to scale")
    kind: Literal["pca", "ica"] = option("pca", "which")
    shots: tuple[int, ...] = option((1, 5), "cells per type", low=1)
    epochs: int | None = option(None, "none: chosen by size")
    label: str = option("x", "a text")


def build(**values: Any) -> Example:
    return config.build(Example, values, "model example")


def test_text_from_the_command_line_gets_the_declared_type() -> None:
    built = build(width="30", rate="1e-2", scale="no", kind="ica", shots="1,10", epochs="none", label="010")
    assert built == Example(30, 0.01, False, "ica", (1, 10), None, "010")


def test_typed_values_of_a_file_are_taken_as_they_are() -> None:
    assert build(width=30, shots=[2], epochs=5) == Example(width=30, shots=(2,), epochs=5)


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(BadInput) as error:
        build(widht=3, rate="fast", width=0, kind="umap")
    text = str(error.value)
    assert "'widht'. Did you mean 'width'?" in text
    assert "'rate' of model example: 'fast' is not float" in text
    assert "0 is below 1" in text
    assert "'umap' is not one of pca, ica" in text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": True}, "True is not int"),
        ({"width": 2.5}, "2.5 is not int"),
        ({"width": "1e3"}, "'1e3' is not int"),
        ({"rate": 10**400}, "int too large"),
        ({"scale": "maybe"}, "'maybe' is not bool"),
        ({"label": False}, "quote it"),  # YAML reads `no` as False
        ({"rate": "nan"}, "nan is not a number to work with"),
        ({"rate": "inf"}, "inf is not a number to work with"),
        ({"shots": "1,0"}, "0 is below 1"),
        ({"shots": 3}, "3 is not a list"),
    ],
)
def test_wrong_types_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match="of model example") as error:
        build(**values)
    assert message in str(error.value)


@given(
    st.builds(
        Example,
        width=st.integers(1, 1000),
        rate=st.floats(0, 10),
        scale=st.booleans(),
        kind=st.sampled_from(["pca", "ica"]),
        shots=st.lists(st.integers(1, 99), min_size=1).map(tuple),
        epochs=st.none() | st.integers(),
        label=st.text(),
    )
)
def test_a_config_survives_the_way_through_a_record(example: Example) -> None:
    assert build(**config.as_dict(example)) == example


@given(st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.floats() | st.text()))
def test_anything_else_is_refused_and_never_crashes(values: dict[str, Any]) -> None:
    try:
        built = config.build(Example, values, "model example")
    except BadInput:
        return
    assert isinstance(built, Example)


def test_assignments() -> None:
    assert config.assignments(["a=1", "b-c=x=y", "a-b.c-d=1"], "--set") == {"a": "1", "b_c": "x=y", "a-b.c_d": "1"}
    for pairs in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(BadInput, match="--set"):
            config.assignments(pairs, "--set")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.toml", "a = ", "not valid TOML"),
        ("c.yaml", "a: [", "not valid YAML"),
        ("c.yaml", "a: 1\nb: !!python/object/apply:os.system [ls]", r"line 2 \(b: .*code is not read: .*os.system"),
        ("c.yaml", "width: 010", r"line 1 \(width: 010\): 010 means 8 in YAML; write 8, or quote it"),
        ("c.yaml", "width: 1:30", "1:30 means 90 in YAML"),
        ("c.yaml", "a: 2026-13-45", "not valid YAML"),
        ("c.yaml", "[" * 5000, "not valid YAML"),
        ("c.yaml", "- a", "must be a table"),
        ("c.yaml", "model: {1: 2}", "the key 1 is a int"),
        ("c.json", "{}", "must end in"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=message):
        config.read(tmp_path / name)


@pytest.mark.parametrize(
    ("line", "read"),
    [("rate: 1e-3", 1e-3), ("rate: 0.5", 0.5), ("width: 0x10", 16), ("width: 7", 7), ("label: '010'", "010")],
)
def test_yaml_values_become_what_was_declared(tmp_path: Path, line: str, read: Any) -> None:
    (tmp_path / "c.yaml").write_text(line)
    built = config.build(Example, config.read(tmp_path / "c.yaml"), "model example")
    assert getattr(built, line.split(":")[0]) == read


def test_a_word_that_yaml_takes_for_a_truth_value_is_told(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("label: no")
    with pytest.raises(BadInput, match="option 'label' of model example: False is a bool, not text; quote it"):
        config.build(Example, config.read(tmp_path / "c.yaml"), "model example")


def test_toml_and_yaml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[model]\nwidth = 3\n")
    (tmp_path / "c.yaml").write_text("model:\n  width: 3\n")
    assert config.read(tmp_path / "c.toml") == config.read(tmp_path / "c.yaml") == {"model": {"width": 3}}
