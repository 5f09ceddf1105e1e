"""Which part each cell goes to: whole groups, or cells at random where there are no groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.data.cells.chance import key, permuted
from bench.data.cells.dataset import CellDataset
from bench.data.cells.options import PartsConfig
from bench.data.splits import GROUP_ROLES
from bench.errors import BadInput
from bench.wording import counted

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")

_CHUNK = 2**20
"""Cells looked at together."""


@dataclass(frozen=True)
class Division:
    """Where the cells of a dataset go."""

    groups: Mapping[Part, tuple[str, ...]]
    """Those of `val` and `test`; none where cells are drawn at random."""
    numbers: Iterator[np.ndarray]
    """int64 blocks: for each cell, in order, the place of its part in `PARTS`."""


def division(dataset: CellDataset, config: PartsConfig) -> Division:
    """Divide the cells of a dataset by what `config.by` says.

    Raises
    ------
    BadInput
        If there are too few groups, the column does not exist, or, when its blocks are read, a cell has no group.
    """
    by = config.by
    if by == "cells":
        return Division({}, _cells(dataset, config))
    if by == "store":
        names, keys = [store.name for store in dataset.stores], [store.identity for store in dataset.stores]
        part = _dealt(np.array([store.n_cells for store in dataset.stores]), np.argsort(keys), by, config)
        numbers = (np.full(store.n_cells, part[n]) for n, store in enumerate(dataset.stores))
    else:
        plain = _with_column(dataset, by)
        names = list(plain.categories[by])
        sizes = np.zeros(len(names), dtype=np.int64)
        for codes in _codes(plain, by):
            sizes += np.bincount(codes, minlength=len(names))
        part = _dealt(sizes, np.arange(len(names)), by, config)
        numbers = (part[codes] for codes in _codes(plain, by))
    groups = {PARTS[n]: tuple(names[group] for group in np.flatnonzero(part == n)) for n in (1, 2)}
    return Division(groups, numbers)


def best(dataset: CellDataset) -> str:
    """What cells are divided by where nothing is asked for: see `PartsConfig.by`."""
    for role in GROUP_ROLES:
        everywhere = all(role in store.columns for store in dataset.stores)
        if everywhere and len({word for store in dataset.stores for word in store.categories.get(role, ())}) > 1:
            return role
    return "store" if len(dataset.stores) > 1 else "cells"


def _cells(dataset: CellDataset, config: PartsConfig) -> Iterator[np.ndarray]:
    """Random cells of each store, as many as their share of it, whatever other stores there are."""
    for store in dataset.stores:
        of_store = key(config.seed, int(store.identity[:15], 16))
        test, val = round(config.test * store.n_cells), round(config.val * store.n_cells)
        for start in range(0, store.n_cells, _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, store.n_cells))
            place = permuted(rows, store.n_cells, of_store)
            yield np.where(place < test, 2, np.where(place < test + val, 1, 0))


def _with_column(dataset: CellDataset, by: str) -> CellDataset:
    """The cells of a dataset with the column that divides them alone."""
    try:
        return CellDataset(dataset.stores, dataset.vocabulary, (by,))
    except BadInput as error:
        raise BadInput(f"parts.by={by}: {error}") from None


def _codes(dataset: CellDataset, column: str) -> Iterator[np.ndarray]:
    """Group of each cell, in blocks; refused is a cell without one, as it could be on any side."""
    for number, store in enumerate(dataset.stores):
        first, last = int(dataset.starts[number]), int(dataset.starts[number + 1])
        for start in range(first, last, _CHUNK):
            codes = dataset.codes(column, np.arange(start, min(start + _CHUNK, last)))
            if codes.min() < 0:
                row = start - first + int(codes.argmin())
                raise BadInput(
                    f"{column} is missing for cells of {store.name} (first: row {row}), so they could be on any side;"
                    " fill it in, or divide by another column, parts.by=store or parts.by=cells."
                )
            yield codes


def _dealt(sizes: np.ndarray, order: np.ndarray, by: str, config: PartsConfig) -> np.ndarray:
    """Number of the part (0 train, 1 val, 2 test) of each group.

    In a random order, a group is taken if that brings the part nearer to its share; each part gets at least one.

    Parameters
    ----------
    sizes
        Cells of each group.
    order
        Groups in an order that does not depend on the order of the files.
    """
    shares = {2: config.test, 1: config.val}
    wanted = [number for number, share in shares.items() if share > 0]
    order = order[sizes[order] > 0]
    if len(order) <= len(wanted):
        have = counted(len(order), "file" if by == "store" else "group")
        raise BadInput(
            f"parts.by={by}: {have} cannot be divided into {len(wanted) + 1} parts; set parts.val=0 or parts.test=0, or"
            " divide by something else (parts.by=cells: at random)."
        )
    left = [int(group) for group in np.random.default_rng(config.seed).permutation(order)]
    part = np.zeros(len(sizes), dtype=np.int64)
    for turn, number in enumerate(wanted):
        spare = len(left) - (len(wanted) - turn)  # those of later parts and one to train on stay
        part[_nearest(sizes, left, shares[number] * sizes.sum(), spare)] = number
        left = [group for group in left if part[group] == 0]
    return part


def _nearest(sizes: np.ndarray, left: list[int], quota: float, most: int) -> list[int]:
    """Groups, at least one and at most so many, whose sizes add up to about a quota."""
    taken: list[int] = []
    cells = 0
    for group in left:
        if len(taken) < most and abs(cells + sizes[group] - quota) < abs(cells - quota):
            taken.append(group)
            cells += sizes[group]
    return taken or [min(left, key=lambda group: sizes[group])]
