"""Which cells are trained on, which validate, which are kept for the test: whole groups on one side, written down.

Cells of one donor resemble each other, so a model that is tested on donors it has seen is tested on little. The parts
are files of positions that training reads by memory map, and a note of how they were made: a training that is resumed
finds the same parts, and is refused others.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.atomic import flush
from bench.data.cache import cache_dir
from bench.data.cells.dataset import CellDataset
from bench.data.cells.division import PARTS, Part, best, division
from bench.data.cells.options import PartsConfig
from bench.data.cells.writer import NpyFile
from bench.errors import BadInput
from bench.wording import counted, listed, percent

NOTE = "parts.json"

_FORMAT = 1


@dataclass(frozen=True)
class Parts:
    """Positions of cells in a dataset: int64, ascending, read-only, of each cell in one part."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    by: str
    """What groups are: a column, `"store"` or `"cells"`."""
    groups: Mapping[Part, tuple[str, ...]]
    """Those of `val` and `test`; empty where cells are drawn at random."""
    identity: str
    """sha256 of the stores and of how they were divided: the same for the same parts."""
    asked: Mapping[Part, float]
    """Shares of cells that `val` and `test` were to have."""

    @property
    def notices(self) -> tuple[str, ...]:
        """What a reader of scores must know."""
        alike = "cells of one donor or batch are on several sides"
        at_random = [f"cells were divided at random: {alike}."] if self.by == "cells" else []
        return (*at_random, *self._far_off())

    def _far_off(self) -> Iterator[str]:
        """Parts of less than half or more than twice the share that was asked for."""
        n = len(self.train) + len(self.val) + len(self.test)
        for part, cells in zip(PARTS[1:], (self.val, self.test), strict=True):
            share, asked = len(cells) / n, self.asked[part]
            if not asked / 2 <= share <= 2 * asked:
                what = f"{part} has {percent(share)} of the cells, not {percent(asked)}"
                yield f"{what}: groups of parts.by={self.by} are few or unequal."


def divide(dataset: CellDataset, config: PartsConfig, folder: Path | None = None) -> Parts:
    """Divide the cells of a dataset, or read how that was done before.

    Parameters
    ----------
    dataset
        Its stores matter, in their order.
    config
        How.
    folder
        Where the parts are, or will be written; None: in the cache, by stores and configuration.

    Raises
    ------
    BadInput
        If there are too few groups, a cell has none, or the folder holds parts of other stores or made otherwise.
    """
    config = replace(config, by=config.by or best(dataset))
    how = {"format": _FORMAT, "stores": [store.identity for store in dataset.stores], **vars(config)}
    identity = hashlib.sha256(json.dumps(how, sort_keys=True).encode()).hexdigest()
    folder = (folder or cache_dir() / "parts" / identity).absolute()
    if not folder.exists():
        _write(dataset, config, how, folder)
    return _read(folder, how, identity)


def _write(dataset: CellDataset, config: PartsConfig, how: Mapping[str, Any], folder: Path) -> None:
    """Write all files beside their place, and move them there together."""
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}.tmp")
    try:
        temporary.mkdir(parents=True)
        divided = division(dataset, config)
        sizes = _write_positions(divided.numbers, temporary)
        _require_cells(sizes, config)
        note = {"how": how, "groups": divided.groups, "sizes": sizes}
        (temporary / NOTE).write_text(json.dumps(note, ensure_ascii=False, indent=1), encoding="utf-8")
        for path in (*temporary.iterdir(), temporary):
            flush(path)
        _move(temporary, folder)
    except OSError as error:
        raise BadInput(f"cannot write parts to {folder}: {error.strerror or error}; see to the disk.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move(temporary: Path, folder: Path) -> None:
    """Give a folder its name, unless another process of the same training was first: it has written the same."""
    try:
        os.replace(temporary, folder)
    except OSError:
        if not folder.is_dir():
            raise


def _write_positions(numbers: Iterator[np.ndarray], folder: Path) -> dict[str, int]:
    """Write the positions of each part, from the number of the part of each cell; how many these are."""
    with ExitStack() as open_files:
        files = [open_files.enter_context(NpyFile(folder / f"{part}.npy", np.int64)) for part in PARTS]
        start = 0
        for block in numbers:
            for number, file in enumerate(files):
                file.append(start + np.flatnonzero(block == number))
            start += len(block)
        return {part: file.length for part, file in zip(PARTS, files, strict=True)}


def _require_cells(sizes: Mapping[str, int], config: PartsConfig) -> None:
    shares = {"train": 1.0, "val": config.val, "test": config.test}
    empty = [part for part, share in shares.items() if share and not sizes[part]]
    if empty:
        have = counted(sum(sizes.values()), "cell")
        raise BadInput(f"{have} are too few to be divided: none is left for {listed(empty)}; give more cells.")


def _read(folder: Path, how: Mapping[str, Any], identity: str) -> Parts:
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        known, sizes = note["how"], note["sizes"]
        groups = {part: tuple(map(str, note["groups"].get(part, ()))) for part in PARTS[1:]}
        positions = [np.load(folder / f"{part}.npy", mmap_mode="r", allow_pickle=False) for part in PARTS]
        whole = all(array.shape == (sizes[p],) for p, array in zip(PARTS, positions, strict=True))
        differing = [name for name in how if known.get(name) != how[name]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, f"{type(error).__name__}: {error}") from None
    if differing:
        raise BadInput(
            f"{folder} holds parts made with other {listed(differing)}; resume with what they were made with, or name"
            " another folder to divide anew."
        )
    if not whole or any(array.dtype != np.int64 for array in positions):
        raise _damaged(folder, "the files of positions are not as they were written")
    train, val, test = map(np.asarray, positions)
    return Parts(train, val, test, how["by"], groups, identity, {part: how[part] for part in PARTS[1:]})


def _damaged(folder: Path, reason: str) -> BadInput:
    first = (reason.splitlines() or [""])[0][:200]
    return BadInput(f"{folder} holds no parts that can be read ({first}); remove it to divide anew.")
