"""What the scaffold writes: all or nothing, from names that work everywhere, clean and complete."""

from __future__ import annotations

import ast
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.catalogue import catalogue
from bench.conformance.examine import requested
from bench.conformance.request import rows
from bench.errors import BadInput
from bench.scaffold.create import FILES, TEMPLATES, create, rendered
from bench.scaffold.names import KINDS, LONGEST, PATTERN, Kind, Names, new_names


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_written_into_a_new_folder(kind: str, tmp_path: Path) -> None:
    written = create("my-thing", kind, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["bench-my-thing"]
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(written)
    assert {str(p.relative_to(tmp_path / "bench-my-thing")) for p in written} == {
        "pyproject.toml",
        "README.md",
        ".gitignore",
        "src/bench_my_thing/__init__.py",
        "src/bench_my_thing/plugin.py",
        f"src/bench_my_thing/{kind}.py",
        "tests/test_my_thing.py",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_template_is_used(kind: str) -> None:
    used = {template.format(kind=kind) for template in FILES.values()}
    there = {str(p.relative_to(TEMPLATES)) for folder in ("common", kind) for p in (TEMPLATES / folder).iterdir()}
    assert used == there


@pytest.mark.parametrize("kind", KINDS)
def test_the_project_names_its_plugin_module(kind: str) -> None:
    texts = rendered(Names("Two-words2"), kind)
    project: dict[str, Any] = tomllib.loads(texts["pyproject.toml"])
    assert project["project"]["name"] == "bench-Two-words2"
    assert project["project"]["entry-points"]["bench"] == {"Two-words2": "bench_two_words2.plugin"}
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/bench_two_words2"]
    assert "BENCH_API = 1" in texts["src/bench_two_words2/plugin.py"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_code_is_clean_and_formatted_whatever_the_name(kind: str, tmp_path: Path, run: Any) -> None:
    for name in ("a", "z9-z9", ("Long-name" * LONGEST)[:LONGEST]):
        create(name, kind, tmp_path)
    rules = "--select=B,C4,E,F,I,PT,RUF,SIM,UP"
    checked = run("ruff", "check", "--no-cache", rules, ".", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    formatted = run("ruff", "format", "--no-cache", "--diff", ".", cwd=tmp_path)
    assert formatted.returncode == 0, formatted.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_forgotten_value_is_an_error_and_no_gap(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    for template in (template.format(kind=kind) for template in FILES.values()):
        (templates / template).parent.mkdir(parents=True, exist_ok=True)
        (templates / template).write_text("{{ names.nothing }}")
    monkeypatch.setattr("bench.scaffold.create.TEMPLATES", templates)
    with pytest.raises(jinja2.UndefinedError):
        rendered(Names("thing"), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_passes_the_kit(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create("fresh", kind, tmp_path)
    source = tmp_path / "bench-fresh" / "src"
    info = source / "bench_fresh-0.1.dist-info"  # what pip install -e would leave
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-fresh\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[bench]\nfresh = bench_fresh.plugin\n")
    monkeypatch.syspath_prepend(source)
    monkeypatch.setenv("PYTHONPATH", str(source))
    catalogue.cache_clear()
    try:
        found = list(rows(requested("fresh", kind, {}, "", 0, "cpu"), {}))
    finally:
        catalogue.cache_clear()
        for name in [name for name in sys.modules if name.startswith("bench_fresh")]:
            del sys.modules[name]
    assert {row.check: row.found for row in found if row.result == "FAILED"} == {}
    assert sum(row.result == "ok" for row in found) >= 16


@settings(deadline=None, max_examples=40)
@given(st.from_regex(PATTERN, fullmatch=True).filter(lambda name: len(name) <= LONGEST), st.sampled_from(KINDS))
def test_any_allowed_name_makes_code_that_parses(name: str, kind: str) -> None:
    names = Names(name)
    assert names.module.isidentifier()
    for path, text in rendered(names, kind).items():
        assert "{{" not in text
        if path.endswith(".py"):
            ast.parse(text)
    tomllib.loads(rendered(names, kind)["pyproject.toml"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "letters and digits"),
        ("9lives", "a letter first"),
        ("my model", "letters and digits"),
        ("my_model", "words joined by '-'"),
        ("-x", "letters and digits"),
        ("x-", "letters and digits"),
        ("x--y", "letters and digits"),
        ("../evil", "letters and digits"),
        ("x/y", "letters and digits"),
        ("zellen-ü", "letters and digits"),
        ("x" * (LONGEST + 1), f"{LONGEST} characters at most"),
        ("x\n", "letters and digits"),
        ("bench-mine", "write 'mine'"),
        ("pca", "model 'pca' is registered by bench-harness"),
        ("PCA", "model 'pca' is registered by bench-harness"),
        ("harness", "bench-harness .* is installed"),
        ("baselines", "there is a package 'bench_baselines'"),
    ],
)
def test_names_that_will_not_do_are_refused(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said):
        create(name, "model", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tasks_and_models_may_share_a_name_and_kinds_are_checked(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="task 'clustering' is registered by"):
        create("clustering", "task", tmp_path)
    assert new_names("scanvi", "task").name == "scanvi"
    with pytest.raises(BadInput, match="a model or a task, not a 'dataset'"):
        create("mine", "dataset", tmp_path)


def test_what_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "bench-mine").mkdir()
    with pytest.raises(BadInput, match="bench-mine exists; choose another name or folder"):
        create("mine", "model", tmp_path)
    assert list((tmp_path / "bench-mine").iterdir()) == []
    (tmp_path / "bench-other").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="bench-other exists"):
        create("other", "model", tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"there is no folder .*absent; make it first"):
        create("mine", "model", tmp_path / "absent")


def test_an_error_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(BadInput, match=r"cannot write .*bench-mine: No space left on device"):
        create("mine", "model", tmp_path)
    assert list(tmp_path.iterdir()) == []
