"""Dividing cells: whole groups on one side, seeded choices, nothing that depends on the order of a file.

Every choice draws from a generator seeded with `split_seed` over cells sorted by name, so that the same data
and seed give the same parts on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.errors import BadInput, unknown

if TYPE_CHECKING:
    import pandas as pd

GroupRole = Literal["donor", "batch"]
GROUP_ROLES: tuple[GroupRole, ...] = ("donor", "batch")
"""What a split goes by, best first: cells of one donor resemble each other, also across batches."""
LEAVE_ONE_OUT = 10
"""Up to so many groups each is a fold of its own; more are gathered into folds."""
GROUP_FOLDS = 5


def group_role(obs: pd.DataFrame) -> GroupRole | None:
    """The first of `GROUP_ROLES` with at least two groups; None where cells have to be split at random.

    Raises
    ------
    BadInput
        If cells lack a group: they could sit on both sides.
    """
    for role in GROUP_ROLES:
        if role not in obs or obs[role].nunique() < 2:
            continue
        missing = int(obs[role].isna().sum())
        if missing:
            text = f"{role} is missing for {missing:,} cells"
            raise BadInput(f"{text}; fill it in, or leave the role out with --obs {role}=.")
        return role
    return None


def group_folds(groups: np.ndarray, role: str) -> list[str]:
    """Names of the folds: `"donor=1015"` per group, or `"donor-fold-1"` to `"donor-fold-5"` for many groups."""
    names = np.unique(groups.astype(str))
    if len(names) <= LEAVE_ONE_OUT:
        return [f"{role}={name}" for name in names]
    return [f"{role}-fold-{number}" for number in range(1, GROUP_FOLDS + 1)]


def held_out(groups: np.ndarray, role: str, fold: str, seed: int) -> tuple[str, ...]:
    """Groups that a fold holds out, sorted.

    Many groups are dealt in a seeded order, each to the fold with the fewest cells so far.

    Raises
    ------
    BadInput
        If there is no such fold.
    """
    known = group_folds(groups, role)
    if fold not in known:
        raise unknown("fold", fold, known)
    names, sizes = np.unique(groups.astype(str), return_counts=True)
    if len(names) <= LEAVE_ONE_OUT:
        return (fold.removeprefix(f"{role}="),)
    loads, dealt = np.zeros(GROUP_FOLDS), np.empty(len(names), dtype=int)
    for position in np.random.default_rng(seed).permutation(len(names)):
        dealt[position] = loads.argmin()
        loads[dealt[position]] += sizes[position]
    return tuple(str(name) for name in names[dealt == known.index(fold)])


def cell_folds(labels: np.ndarray, names: Sequence[str] | np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Fold (n,) of each cell, 0 to n_folds - 1, every label spread evenly.

    Parameters
    ----------
    labels
        (n,) labels.
    names
        Cell names, unique.
    n_folds
        At most the size of the smallest label.
    seed
        Of the choice.
    """
    rank = rank_within(labels, names, seed)
    # labels start at different folds, so that the folds come out equally large
    start = np.unique(labels.astype(str), return_inverse=True)[1]
    return (rank + start) % n_folds


def rank_within(labels: np.ndarray, names: Sequence[str] | np.ndarray, seed: int) -> np.ndarray:
    """Random rank (n,) of each cell among the cells of its label, from 0.

    The cells of a label with rank below k are its k-shot sample; samples of growing k are nested.
    """
    draw = random_keys(names, seed)
    order = np.lexsort((draw, labels.astype(str)))
    code = labels.astype(str)[order]
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(labels)) - np.repeat(starts, np.diff(np.r_[starts, len(labels)]))
    return rank


def stratified_fraction(
    labels: np.ndarray, names: Sequence[str] | np.ndarray, fraction: float, seed: int
) -> np.ndarray:
    """Mask (n,) of a random fraction of each label's cells, rounded to the nearest, at least one."""
    _, code, size = np.unique(labels.astype(str), return_inverse=True, return_counts=True)
    quota = np.maximum(1, np.floor(size * fraction + 0.5))
    return rank_within(labels, names, seed) < quota[code]


def stratified_subsample(labels: np.ndarray, names: Sequence[str] | np.ndarray, n: int, seed: int) -> np.ndarray:
    """Positions of n random cells, ascending, with labels in their original shares; all where there are no more.

    Shares are met by largest remainder; a label too rare for a share keeps one cell, beyond the n if need be.
    """
    if n <= 0 or len(labels) <= n:
        return np.arange(len(labels))
    _, code, size = np.unique(labels.astype(str), return_inverse=True, return_counts=True)
    share = size * n / len(labels)
    quota = np.maximum(1, np.floor(share)).astype(int)
    remainder = np.argsort(quota - share, kind="stable")
    for position in remainder[: max(0, n - int(quota.sum()))]:
        quota[position] += 1
    return np.flatnonzero(rank_within(labels, names, seed) < quota[code])


def random_keys(names: Sequence[str] | np.ndarray, seed: int) -> np.ndarray:
    """A random permutation value (n,) of each cell that depends on its name and the seed, not on its place."""
    keys = np.empty(len(names), dtype=np.int64)
    keys[np.argsort(np.asarray(names, dtype=str), kind="stable")] = np.random.default_rng(seed).permutation(len(names))
    return keys
