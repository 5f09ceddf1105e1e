"""The sixty bad inputs, row by row: which command meets it, and what the user is told.

A *session* is one call of the console script; rows that can be shown by one call share it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tests.cli import broken_files as files
from tests.cli import broken_stores as stores
from tests.cli.broken_files import Make, edited, tampered
from tests.cli.sites import install

OK, BAD_INPUT, FAILED, STORE = 0, 2, 3, 4


@dataclass(frozen=True)
class Session:
    """One call of `bench` in a folder of its own."""

    command: str
    code: int = BAD_INPUT
    make: Make = lambda folder: None
    plugins: tuple[str, ...] = ()
    """Modules beside these tests that are installed for the call."""
    site: Callable[[Path], Path] | None = None
    """Makes further plugins; returns their folder."""
    slow: bool = False


@dataclass(frozen=True)
class Row:
    """One bad input: what is said of it on stderr and, for a run that failed, in its record."""

    session: str
    says: tuple[str, ...]
    model: str = ""
    """Whose record says it; empty: it is said on stderr."""
    status: str = "failed"


def run(what: str, task: str = "clustering", dataset: str = "x.h5ad") -> str:
    return f"run --model pca --task {task} --dataset {dataset} {what}".strip()


def file(make: Make, task: str = "clustering", more: str = "", dataset: str = "x.h5ad") -> Session:
    """A run that is refused because of its file."""
    return Session(run(more, task, dataset), make=make)


def configured(text: str) -> Session:
    """A run that is refused because of its config file."""
    return Session(
        run("--config c.yaml", dataset="simulated"), make=lambda folder: (folder / "c.yaml").write_text(text)
    )


def odd_data(folder: Path) -> None:
    edited(files.odd_and_usable)(folder)
    (folder / "c.yaml").write_text("task: {clustering.fixed_resolution: 5e-1}\n")


def weights(folder: Path) -> None:
    """Every kind of file that is handed out as weights."""
    edited(lambda data: None)(folder)
    home = folder / "weights"
    home.mkdir()
    (home / "page.pt").write_text("<!DOCTYPE html><html>404 not found</html>")
    (home / "pointer.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1200000000\n")
    torch.save({"model": Shell()}, home / "code.pt")
    torch.save({f"layer{i}.weight": torch.zeros(4, 8) for i in range(3)} | {"head": torch.zeros(2)}, home / "shapes.pt")
    import numpy as np

    (home / "table.pkl").write_bytes(pickle.dumps({"GENE1": np.float64(0.5)}))
    (home / "code.pkl").write_bytes(pickle.dumps(Shell()))


class Shell:
    """A pickle that runs a command when it is read."""

    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, ("touch touched",)


MODEL = """
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec
{first}
@hookimpl
def bench_models():
    return [ModelSpec({name!r}, "a model", "a:B", frozenset({{Cap.EMBEDS_CELLS}}))]
"""
PLUGINS = {
    "needy": "import a_module_nobody_has",
    "loud": "print('hello from a plugin')\n" + MODEL.format(name="loudly", first=""),
    "quits": "import sys\nsys.exit(3)",
    "twin-a": MODEL.format(name="twin", first=""),
    "twin-b": MODEL.format(name="twin", first=""),
    "later": MODEL.format(name="tomorrow", first="BENCH_API = 99"),
    "climber": MODEL.format(name="../../etc/x", first=""),
    "slash": MODEL.format(name="a/b", first=""),
    "device": MODEL.format(name="CON", first=""),
    "dash": MODEL.format(name="-x", first=""),
    "sql": MODEL.format(name="x'); drop table s; --", first=""),
    "long": MODEL.format(name="m" * 1_000_000, first=""),
}


def strangers(folder: Path) -> Path:
    """Plugins that are wrong, each in its own way."""
    for name, source in PLUGINS.items():
        install(folder, name.replace("-", "_"), source)
    return folder


def vanishing(folder: Path) -> Path:
    return install(folder, "vanishes", "import os\nos._exit(7)")


GRID = "fine,crash,exit,killed,hang,hog,raises,nan,short,constant,nothing,flat,cube,text,objects"
LIMITS = "--timeout 20s --max-memory 2G --jobs 2"

SESSIONS: dict[str, Session] = {
    "missing": file(edited(lambda data: None, "pbmc.h5ad"), dataset="pbcm.h5ad"),
    "folder": file(lambda folder: (folder / "x.zarr").mkdir(), dataset="x.zarr"),
    "random bytes": file(files.random_bytes),
    "truncated": file(files.truncated),
    "other HDF5": file(files.other_hdf5),
    "linked": file(tampered(files.linked)),
    "stored outside": file(tampered(files.stored_outside)),
    "bomb": file(tampered(files.bomb), more="--max-memory 16G"),
    "dense": file(tampered(files.dense), more="--max-memory 16G"),
    "small limit": file(edited(lambda data: None), more="--max-memory 20K"),
    "words": file(tampered(files.words)),
    "damaged column": file(tampered(files.damaged_column)),
    "mixed": Session(
        run("--data-set file=x.h5ad", dataset="mixed"), make=edited(lambda data: None), plugins=("hazards",)
    ),
    "backed": Session(
        run("--data-set file=x.h5ad --executor inline", dataset="backed").replace("pca", "fine"),
        OK,
        edited(files.distinct_types),
        plugins=("hazards",),
    ),
    "duplicate genes": file(edited(files.duplicate_genes)),
    "odd": Session(
        "run --model fine,whole,half,collapsed --task clustering --dataset x.h5ad --config c.yaml --executor inline",
        OK,
        odd_data,
        plugins=("hazards",),
    ),
    "genes": Session(
        "run --model symbols,ids,strange --set ids.known=2 --task clustering --dataset x.h5ad",
        make=edited(lambda data: setattr(data, "var_names", [f"ENSG{i:011d}" for i in range(60)])),
        plugins=("readers",),
    ),
    "normalised": file(edited(files.normalise)),
    "negative": file(edited(files.value(-3))),
    "NaN": file(edited(files.value(float("nan")))),
    "infinite": file(edited(files.value(float("inf")))),
    "empty cell": file(edited(files.empty_cell), more="--data-set strict=true"),
    "all empty": file(edited(files.all_empty)),
    "no cells": file(edited(lambda data: data[:0].copy())),
    "two cells": file(edited(lambda data: data[:2].copy())),
    "no column": file(edited(files.drop_column)),
    "unlabelled": file(edited(files.unlabelled)),
    "one type": file(edited(files.one_type)),
    "rare type": file(edited(files.rare_type), "classification"),
    "unseen type": Session(
        "run --model fine --task classification --task-set shots=1 --dataset x.h5ad --executor inline",
        OK,
        edited(lambda data: None),
        plugins=("hazards",),
    ),
    "no batch": file(edited(files.no_batch), "integration"),
    "one batch": file(edited(files.one_batch), "integration"),
    "confounded": Session(run("--executor inline", "integration"), OK, edited(files.confounded), slow=True),
    "different cells": file(files.different_cells, dataset="pair.toml"),
    "long gene": file(edited(files.long_gene)),
    "gene with escape": file(edited(files.gene_with_escape)),
    "long model": Session(f"run --model {'m' * 100_000} --task clustering"),
    "climbing model": Session("run --model ../../etc/x --task clustering"),
    "slashed model": Session("run --model a/b --task clustering"),
    "dashed model": Session("run --model=-x --task clustering"),
    "sql model": Session('run --model "x\'); drop table s; --" --task clustering'),
    "evil records": Session(
        "results --csv",
        OK,
        stores.stored(
            {"model__name": stores.SQL_NAME},
            {"model__name": stores.TAG_NAME, "model__reference": "javascript:alert(1)"},
        ),
    ),
    "grid": Session(
        f"run --model {GRID} --task clustering --dataset x.h5ad {LIMITS} --json",
        FAILED,
        edited(files.distinct_types),
        ("hazards",),
        slow=True,
    ),
    "rogue": Session("plugin check rogue", FAILED, plugins=("hazards",)),
    "plugins": Session("list models", OK, site=strangers),
    "vanishing plugin": Session("doctor", site=vanishing, slow=True),
    "weights": Session(
        "run --model page,pointer,code,shapes,table,pickled-code --weights weights --task clustering --dataset x.h5ad"
        " --executor inline",
        make=weights,
        plugins=("loaders",),
        slow=True,
    ),
    "unknown option": Session(run("--set n_component=3", dataset="simulated")),
    "YAML code": configured("model: {n_genes: !!python/object/apply:os.system [ls]}"),
    "YAML no": configured("data: {gene_key: no}"),
    "YAML octal": configured("model: {n_genes: 010}"),
    "not a number": Session(run("--set n_components=1e-3x", dataset="simulated")),
    "index of zero bytes": Session("results", STORE, stores.damaged(lambda path: path.write_bytes(b""))),
    "index of HTML": Session("results", STORE, stores.damaged(lambda path: path.write_bytes(b"<html>" * 9000))),
    "half an index": Session("results", STORE, stores.damaged(stores.halved)),
    "newer index": Session("results", STORE, stores.damaged(stores.newer)),
    "file in the way": Session(run("", dataset="simulated"), STORE, lambda folder: (folder / "results").write_text("")),
    "foreign records": Session("results", OK, stores.foreign_records),
}

REBUILD = "bench index --rebuild"
ROWS: dict[int, tuple[Row, ...]] = {
    1: (Row("missing", ("dataset file not found", "Did you mean", "pbmc.h5ad", "bench list datasets")),),
    2: (Row("folder", ("x.zarr is a directory", "give a .h5ad file")),),
    3: (Row("random bytes", ("x.h5ad is not an HDF5/AnnData file (bad signature)",)),),
    4: (Row("truncated", ("x.h5ad is truncated", "delete it and fetch it again")),),
    5: (Row("other HDF5", ("is HDF5 but not AnnData: no 'obs' group",)),),
    6: (Row("linked", ("refused", "links to another file (/X -> victim.h5)")),),
    7: (Row("stored outside", ("refused", "stores data outside itself (/uns/host)")),),
    8: (Row("bomb", ("would need 59.6 GiB in memory",)),),
    9: (
        Row("dense", ("would need 89.4 GiB in memory", "store X as sparse (CSR) float32")),
        Row("small limit", ("more than the 20 KiB of --max-memory; raise it",)),
    ),
    10: (
        Row("words", ("X holds object, not numbers; give raw counts",)),
        Row("damaged column", ("write the file again",)),
        Row("mixed", ("obs column 'cell_type' has mixed or unsupported values (float, str; first bad row 17)",)),
    ),
    11: (Row("odd", ("converted CSC to CSR",)),),
    12: (Row("backed", ("opened on disk (backed): read into memory",)),),
    13: (Row("duplicate genes", ("1 duplicate gene names (first: 'GENE1')", "duplicate_genes=sum")),),
    14: (Row("odd", ("1 repeated cell names made unique (first: 'cell0')",)),),
    15: (Row("genes", ("model symbols needs gene symbols", "Ensembl ids (100")),),
    16: (Row("genes", ("only 3", "of 60 genes", "known to ids")),),
    17: (Row("genes", ("none of 60 genes (first: 'ENSG00000000000') is among the 60 that strange knows",)),),
    18: (Row("normalised", ("X is not integer counts (min 0, max", "non-integer", "--layer")),),
    19: (Row("negative", ("X has 1 negative values (first: cell 'cell5', gene 'GENE9')",)),),
    20: (
        Row("NaN", ("X has 1 NaN or infinite values (first: cell 'cell5', gene 'GENE9')",)),
        Row("infinite", ("X has 1 NaN or infinite values",)),
    ),
    21: (
        Row("odd", ("1 cells have no counts (first: 'cell3'); dropped",)),
        Row("empty cell", ("1 cells have no counts (first: 'cell3')", "strict=true")),
    ),
    22: (Row("odd", ("1 genes have no counts in any cell; kept",)),),
    23: (
        Row("all empty", ("is empty after filtering: 0 of 120 cells left", "no counts")),
        Row("no cells", ("is empty: 0 cells x 60 genes",)),
    ),
    24: (Row("two cells", ("task clustering needs at least 50 cells, this dataset has 2",)),),
    25: (Row("no column", ("needs obs cell_type", "Columns of obs: batch, celltype", "--obs cell_type=celltype?")),),
    26: (Row("unlabelled", ("cell_type is missing for 10 cells; use --data-set unlabelled=drop",)),),
    27: (Row("one type", ("needs at least 2 types in 'cell_type', found 1 ('T')",)),),
    28: (Row("rare type", ("'rare' (1)", "--task-set min_class_size=5")),),
    29: (Row("unseen type", ("types that do not occur in training: NK",)),),
    30: (
        Row("no batch", ("task integration needs obs batch", "--obs ROLE=COLUMN")),
        Row("one batch", ("task integration needs at least 2 batches, found 1 ('a')",)),
    ),
    31: (Row("confounded", ("confounded: every type occurs in one batch only",)),),
    34: (Row("different cells", ("20 of 120 barcodes not shared between the modalities of pair.toml",)),),
    35: (
        Row("long gene", ("gene name 'GGGG", "is longer than 200 characters")),
        Row("gene with escape", (r"gene name '\x1b[31mGENE0' (position 0) holds control characters",)),
        Row("long model", ("invalid model name 'mmm", "at most 200")),
        Row("plugins", ("'long' (long 1.0) not loaded", "invalid name; allowed are letters")),
    ),
    36: (
        Row("climbing model", ("invalid model name '../../etc/x'; allowed are letters, digits and . _ -",)),
        Row("slashed model", ("invalid model name 'a/b'",)),
        Row("dashed model", ("invalid model name '-x'",)),
        Row(
            "plugins",
            ("'../../etc/x': invalid name", "'a/b': invalid name", "'CON': invalid name; Windows", "'-x': invalid"),
        ),
    ),
    37: (
        Row("sql model", ('invalid model name "x\'); drop table s; --"',)),
        Row("plugins", ('"x\'); drop table s; --": invalid name',)),
        Row("evil records", ()),
    ),
    38: (Row("evil records", ()),),
    39: (Row("evil records", ()),),
    40: (Row("grid", ("model short returned 119 rows for 120 cells",), "short"),),
    41: (
        Row("grid", ("model flat returned a 1-D array of float32; an embedding is 2-D float32",), "flat"),
        Row("grid", ("model cube returned a 3-D array of float32",), "cube"),
        Row("grid", ("model text returned a 2-D array of <U",), "text"),
        Row("grid", ("model objects returned a 2-D array of object",), "objects"),
        Row("odd", (), "whole", "ok"),
        Row("odd", (), "half", "ok"),
    ),
    42: (Row("grid", ("NaN or Inf in the embedding of 1 cells (first: row 5)",), "nan"),),
    43: (
        Row("grid", ("returned a constant embedding: every cell has the same vector",), "constant"),
        Row("grid", ("returned an embedding of width 0",), "nothing"),
        Row("odd", ("suspect: collapsed · clustering · x: the embedding has collapsed: 76% of the cells",)),
    ),
    44: (Row("rogue", ("row order changed",)),),
    45: (Row("rogue", ("model uses labels",)),),
    46: (Row("rogue", ("model changed X",)),),
    47: (
        Row(
            "plugins",
            ("plugin 'needy' (needy 1.0) not loaded: ", "No module named 'a_module_nobody_has'", "pip install"),
        ),
    ),
    48: (
        Row("plugins", ("plugin 'quits' (quits 1.0) not loaded: its module calls sys.exit(3)", "hello from a plugin")),
        Row("vanishing plugin", ("'vanishes' (vanishes 1.0) not loaded: it ended the process with exit code 7",)),
    ),
    49: (Row("plugins", ("model 'twin' is registered by both twin_a 1.0 and twin_b 1.0; uninstall one of them",)),),
    50: (Row("plugins", ("plugin 'later' (later 1.0) not loaded: targets hook API 99; this bench has 1: upgrade",)),),
    51: (Row("grid", ("timeout after 20 s in predict; raise --timeout",), "hang", "timeout"),),
    52: (
        Row("grid", ("worker died with signal 11 in predict",), "crash"),
        Row("grid", ("worker ended with exit code 7 in predict and left no result",), "exit"),
        Row("grid", ("worker died with signal 9 in predict (likely out of memory: peak",), "killed", "oom"),
        Row("grid", ("more than --max-memory allows, in predict",), "hog", "oom"),
        Row("grid", ("the model broke",), "raises"),
        Row("grid", (), "fine", "ok"),
    ),
    53: (
        Row("weights", ("is an HTML page", "expected 1.2 GB, sha256 abab"), "page"),
        Row("weights", ("is a git-LFS pointer", "expected 1.2 GB"), "pointer"),
    ),
    54: (Row("weights", ("refused: ", "contains code (posix.system)"), "code"),),
    55: (
        Row(
            "weights",
            (
                "4 missing (layer3.weight",
                "1 unexpected (head)",
                "layer0.weight is 4 x 8, the model has 8 x 8",
                "--set width=16",
            ),
            "shapes",
        ),
    ),
    56: (
        Row("weights", (), "table", "ok"),
        Row("weights", ("refused: code.pkl contains code (posix.system)",), "pickled-code"),
    ),
    58: (
        Row("unknown option", ("unknown option of model pca: 'n_component'. Did you mean 'n_components'?",)),
        Row("YAML code", ("c.yaml, line 1", "code is not read", "python/object/apply:os.system")),
        Row("YAML no", ("option 'gene_key'", "False is a bool, not text; quote it")),
        Row("YAML octal", ("010 means 8 in YAML; write 8, or quote it",)),
        Row("not a number", ("option 'n_components' of model pca", "'1e-3x'")),
        Row("odd", (), "fine", "ok"),
    ),
    59: (
        Row("index of zero bytes", ("is damaged or not an index of bench", REBUILD)),
        Row("index of HTML", ("is damaged or not an index of bench", REBUILD)),
        Row("half an index", ("is damaged or not an index of bench", REBUILD)),
        Row("newer index", ("upgrade bench-harness", REBUILD)),
        Row("file in the way", ("cannot use the results folder",)),
    ),
    60: (
        Row(
            "foreign records",
            (
                "skipped records/half.json: invalid JSON at byte 200",
                "skipped records/other.json: not a record: no attempt",
                "skipped records/bytes.json: not UTF-8 at byte 0",
                "skipped records/nan.json: NaN is not allowed in a record",
                "tomorrow.json has record schema 99, this bench reads up to 1: upgrade bench-harness",
            ),
        ),
    ),
}

LATER: dict[int, str] = {
    32: "PredictsPerturbation",
    33: "PredictsPerturbation",
}
"""Rows about a task that is not here yet, by the capability it will need: they come with it."""

ELSEWHERE: dict[int, tuple[str, str, str]] = {
    57: ("tests.cli.test_fetch", "fetch dataset evil", "archive refused: '../pw.txt' leaves the folder"),
}
"""Rows that need a server: the module whose `CASES` has them, the command, and what is said."""
