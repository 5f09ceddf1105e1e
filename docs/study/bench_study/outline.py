"""What a study consists of, as its TOML file says it."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from bench import config
from bench.config import option
from bench.errors import BadInput, unknown

UNTRAINED = "untrained"
Options = Mapping[str, Any]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Pretraining:
    """One `bench pretrain` on the corpus."""

    name: str
    """Of the folder, and what entries call their weights."""
    model: str
    config: str = option("", "configuration of the model's own")
    seed: int = option(0, "of everything random", low=0)
    cores: int = option(0, "that it gets; 0: all", low=0)
    set: Options = field(default_factory=dict)
    """`section.option` -> value."""


@dataclass(frozen=True)
class Exam:
    """One task on one dataset."""

    name: str
    title: str
    task: str
    dataset: str
    """A path; `@DATA@` stands for the folder of the data, `@WORK@` for the one of the study."""
    jobs: int = option(1, "runs at a time, each with a core", low=1)
    obs: Options = field(default_factory=dict)
    """Role -> column."""
    set: Options = field(default_factory=dict)
    """Option of the task -> value."""


@dataclass(frozen=True)
class Entry:
    """One row of the table: a model with its weights and its probe."""

    name: str
    label: str
    model: str
    exams: tuple[str, ...]
    weights: str = option("", "name of a pretraining, `untrained`, or empty for a model that has none")
    probe: str = option("", "classifier on top of a model that embeds cells, in classification")
    seed: int = option(0, "of the model", low=0)
    group: str = option("", "what is varied, in the ablations")
    set: Options = field(default_factory=dict)
    """Option of the model -> value."""


@dataclass(frozen=True)
class Base:
    """What the variants of an ablation have in common."""

    model: str
    config: str = option("", "configuration of the model's own")
    probe: str = option("", "classifier on top of the embedding")
    set: Options = field(default_factory=dict)
    """`section.option` -> value."""


@dataclass(frozen=True)
class Variant:
    """The base, with one thing changed."""

    name: str
    label: str
    group: str
    """What is varied."""
    set: Options = field(default_factory=dict)
    """`section.option` -> value, over those of the base."""


@dataclass(frozen=True)
class Ablation:
    """How often variants are trained, and what they are asked."""

    seeds: tuple[int, ...]
    exams: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """A question that the report answers: is `entry` better than `against`?"""

    entry: str
    against: str
    question: str


@dataclass(frozen=True)
class Study:
    """All of it; every name is known, and no two of a kind are the same."""

    pretrainings: tuple[Pretraining, ...]
    exams: tuple[Exam, ...]
    entries: tuple[Entry, ...]
    comparisons: tuple[Comparison, ...]
    reference: str
    """The entry that all others are compared with."""
    folder: Path
    """Where the file of the study is, and those it names."""

    def exam(self, name: str) -> Exam:
        """One of the exams."""
        return next(exam for exam in self.exams if exam.name == name)

    def entry(self, name: str) -> Entry:
        """One of the entries."""
        return next(entry for entry in self.entries if entry.name == name)


@dataclass(frozen=True)
class CorpusFile:
    """A file that could be pretrained on."""

    file: str
    study: str
    cells: int
    genes: int
    use: bool
    why: str


def read(path: Path) -> Study:
    """Read a study.

    Raises
    ------
    BadInput
        For unknown keys and names, with those that are known, and for what is no list of tables.
    """
    tables = config.read(path)
    study = Study(
        pretrainings=_build_all(Pretraining, tables, "pretrain", path),
        exams=_build_all(Exam, tables, "exam", path),
        entries=_build_all(Entry, tables, "entry", path),
        comparisons=_build_all(Comparison, tables, "compare", path),
        reference=str(tables.pop("reference", "")),
        folder=path.parent,
    )
    for ablation in _tables(tables, "ablation", path):
        study = _with_variants(study, ablation, path)
    for key in tables:
        raise unknown(f"key of {path.name}:", key, ("pretrain", "exam", "entry", "compare", "ablation", "reference"))
    _require_known(study, path)
    return study


def corpus(folder: Path) -> list[CorpusFile]:
    """Every file that was considered, in the order of `corpus.tsv`."""
    with (folder / "corpus.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [
        CorpusFile(
            r["file"], r["study"], int(r["cells"]), int(r["genes"]), {"yes": True, "no": False}[r["use"]], r["why"]
        )
        for r in rows
    ]


def _tables(tables: dict[str, Any], kind: str, path: Path) -> list[dict[str, Any]]:
    found = tables.pop(kind, [])
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        raise BadInput(f"{path.name}: write each {kind} as a table of its own, below [[{kind}]].")
    return found


def _build_all(cls: type[Item], tables: dict[str, Any], kind: str, path: Path) -> tuple[Item, ...]:
    return tuple(_build(cls, table, path) for table in _tables(tables, kind, path))


def _build(cls: type[Item], table: Mapping[str, Any], path: Path) -> Item:
    """One table; those of options stay as they are, since models check them."""
    options = {key: value for key, value in table.items() if isinstance(value, dict) and key in config.names(cls)}
    plain = {key: value for key, value in table.items() if key not in options}
    built = config.build(
        cls, plain, f"{cls.__name__.lower()} {table.get('name', '')} of {path.name}".replace("  ", " ")
    )
    return replace(built, **options)


def _with_variants(study: Study, table: Mapping[str, Any], path: Path) -> Study:
    """A pretraining and an entry for each variant and seed: the base, with one thing changed."""
    left = dict(table)
    variants = _build_all(Variant, left, "variant", path)
    base = _build(Base, left.pop("base", {}), path)
    asked = _build(Ablation, left, path)
    pretrainings, entries = list(study.pretrainings), list(study.entries)
    for variant, seed in itertools.product(variants, asked.seeds):
        name, options = f"{variant.name}-{seed}", {**base.set, **variant.set}
        pretrainings.append(Pretraining(name, base.model, base.config, seed, 1, options))
        entries.append(Entry(name, variant.label, base.model, asked.exams, name, base.probe, seed, variant.group))
    return replace(study, pretrainings=tuple(pretrainings), entries=tuple(entries))


def _require_known(study: Study, path: Path) -> None:
    names = {kind: [item.name for item in items] for kind, items in _named(study).items()}
    for kind, known in names.items():
        if twice := sorted({name for name in known if known.count(name) > 1}):
            raise BadInput(f"{path.name}: two of its {kind}s are called {twice[0]!r}; rename one.")
    asked = [("exam", exam) for entry in study.entries for exam in entry.exams]
    asked += [("pretrain", e.weights) for e in study.entries if e.weights not in ("", UNTRAINED)]
    asked += [("entry", name) for c in study.comparisons for name in (c.entry, c.against)]
    asked += [("entry", study.reference)] if study.reference else []
    for kind, name in asked:
        if name not in names[kind]:
            raise unknown(f"{kind} in {path.name}:", name, names[kind])


def _named(study: Study) -> Mapping[str, Sequence[Any]]:
    return {"pretrain": study.pretrainings, "exam": study.exams, "entry": study.entries}
