"""The house rules that can be checked by reading: which way imports go, and what stands where."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLUGIN_ROOTS = ("models", "tasks", "datasets", "leaderboard")
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"bench.specs", "bench.errors", "bench.atomic", "bench.metrics", "bench.wording"})
    | frozenset({"bench.environment", "bench.conform"}),
    frozenset({"bench.hookspecs", "bench.capabilities", "bench.config", "bench.data", "bench.heads"})
    | frozenset({"bench.downloads", "bench.genes", "bench.weights"}),
    frozenset({"bench.catalogue", "bench.tasks", "bench.answers", "bench.transductive", "bench.training"}),
    frozenset({"bench.runs"}),
    frozenset({"bench.store"}),
    frozenset({"bench.conformance", "bench.diagnosis", "bench.preparation", "bench.scaffold"}),
    frozenset({"bench.api", "bench.cli"}),
)
"""From the ground up; a module imports its own floor and those below."""


def sources(*folders: str) -> list[Path]:
    return sorted(p for f in folders for p in (ROOT / f).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Modules a file imports anywhere, other than for types only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor(module: str) -> int | None:
    for number, names in enumerate(FLOORS):
        if any(module == n or module.startswith(f"{n}.") for n in names):
            return number
    return None


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", sources("bench"), ids=module_name)
def test_the_core_imports_downwards_and_no_plugin(path: Path) -> None:
    plugins = {p.name for root in PLUGIN_ROOTS for p in (ROOT / root).iterdir()}
    own = floor(module_name(path))
    for imported in imports(path):
        assert imported.split(".")[0] not in plugins, f"{path} imports the plugin {imported}"
        below = floor(imported)
        if own is not None and below is not None:
            assert below <= own, f"{module_name(path)} imports {imported}, which stands above it"


@pytest.mark.parametrize("path", sources(*PLUGIN_ROOTS, "plugins"), ids=lambda p: p.stem)
def test_plugins_import_the_core_and_never_each_other(path: Path) -> None:
    own = next(part for part in path.parts if part.startswith("bench_")) if "tests" not in path.parts else ""
    for imported in imports(path):
        package = imported.split(".")[0]
        assert not package.startswith("bench_") or package == own or not own, f"{path} imports {imported}"


def test_the_core_names_no_model_task_or_dataset() -> None:
    from bench.catalogue import catalogue

    found = catalogue()
    ordinary_words = {"classification", "clustering", "simulated"}
    names = {*found.models.specs, *found.tasks.specs, *found.datasets.specs} - ordinary_words
    for path in sources("bench"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        prose = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        words = {
            n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in prose and n.value in names
        }
        assert not words, f"{path} names {words}"


def test_source_roots_are_no_packages() -> None:
    """An __init__.py there would shadow other packages, such as Hugging Face's `datasets`."""
    for folder in (*PLUGIN_ROOTS, "plugins", "tests/datasets", "tests/models"):
        assert not (ROOT / folder / "__init__.py").exists()


def test_the_top_level_is_what_was_agreed() -> None:
    agreed = {"pyproject.toml", "bench", "plugins", "models", "tasks", "datasets", "leaderboard", "tests", "README.md"}
    tools = {"Makefile", "constraints.txt", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "results"}
    stands = {p.name for p in ROOT.iterdir() if not p.name.startswith((".", "__"))}
    assert agreed <= stands <= agreed | tools
