"""Findings about donors and batches: enough of them for a fair split, and apart from the labels."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np

from bench.data.splits import GROUP_ROLES
from bench.diagnosis.case import Case
from bench.diagnosis.finding import PLACEHOLDER, Finding, Level
from bench.wording import counted, listed

SUBJECT = "groups"
LABEL = "cell_type"
FEW_GROUPS = 3
FEW_CELLS = 50
"""Cells of a held-out group below which its score is noise."""
STRONG = 0.7
"""Cramér's V from which on labels and groups are called hard to tell apart."""


def enough(case: Case) -> list[Finding]:
    """Whether whole groups can be held out: which, how many, how large."""
    role = next((role for role in GROUP_ROLES if len(_sizes(case, role)) > 1), None)
    if role is None:
        text = "no donors or batches to hold out: random cells are held out instead, which is optimistic"
        single = [f"one {role} only" for role in GROUP_ROLES if len(_sizes(case, role)) == 1]
        return [Finding("warning", SUBJECT, f"{text} ({' and '.join(single)})" if single else text)]
    sizes = _sizes(case, role)
    last, smallest = sizes.most_common()[-1]
    text = f"{counted(len(sizes), role)} can be held out whole"
    found = [Finding("ok", SUBJECT, f"{text}: {smallest:,} ({last!r}) to {sizes.most_common()[0][1]:,} cells")]
    if len(sizes) < FEW_GROUPS:
        text = f"only {counted(len(sizes), role)}: a model learns from one and is asked about the other"
        found.append(Finding("warning", SUBJECT, f"{text}; nothing can be said about spread"))
    tiny = [name for name, size in sizes.items() if size < FEW_CELLS]
    if tiny:
        text = f"{counted(len(tiny), role)} with fewer than {FEW_CELLS} cells ({listed(sorted(tiny))})"
        found.append(Finding("note", SUBJECT, f"{text}: noisy when held out"))
    nameless = [name for name in sizes if PLACEHOLDER.fullmatch(name.strip())]
    if nameless:
        n = counted(sum(sizes[name] for name in nameless), "cell")
        text = f"{listed(map(repr, nameless))} ({n}) is held out and trained on like one {role}, and may hide several"
        found.append(Finding("warning", SUBJECT, text))
    return found + _unseen(case, role)


def confounded(case: Case) -> list[Finding]:
    """Roles that cannot be told from one another, or hardly."""
    groups = [role for role in ("batch", "donor") if len(_sizes(case, role)) > 1]
    found = []
    coincide = len(groups) == 2 and _same(table(case.obs[groups[0]], case.obs[groups[1]]))
    for group in groups[:1] if coincide else groups:  # what is said of the one holds for the other
        for other in (LABEL, "perturbation", "time_point"):
            if len(_sizes(case, other)) > 1:
                found += _label_and_group(case, other, group)
    for first, second in combinations(groups, 2):
        found += _group_and_group(case, first, second)
    return found


def table(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cross table, int64 (values of first, values of second), of the cells where both are known."""
    known = np.array([a is not None and b is not None for a, b in zip(first, second, strict=True)], dtype=bool)
    rows, row = np.unique(first[known].astype(str), return_inverse=True)
    columns, column = np.unique(second[known].astype(str), return_inverse=True)
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    np.add.at(counts, (row, column), 1)
    return counts


def cramers_v(counts: np.ndarray) -> float:
    """Association of two partitions, 0 (none) to 1 (one follows from the other).

    Cramér 1946, sqrt(chi2 / (n (min(r, c) - 1))), as scipy computes it.
    """
    from scipy.stats.contingency import association

    return float(association(counts, method="cramer")) if min(counts.shape) > 1 else 0.0


def _unseen(case: Case, role: str) -> list[Finding]:
    """Types that a model cannot have learnt when the only group that has them is held out."""
    labels = case.obs.get(LABEL)
    if labels is None or len(_sizes(case, LABEL)) < 2:
        return []
    counts = table(labels, case.obs[role])
    names = np.unique([str(label) for label, group in zip(labels, case.obs[role], strict=True) if label and group])
    lone = [str(name) for name, row in zip(names, counts, strict=True) if (row > 0).sum() == 1]
    if not lone:
        return []
    text = f"{counted(len(lone), 'type')} of {len(names)} in one {role} only ({listed(lone)})"
    level: Level = "warning" if len(lone) == len(names) else "note"
    return [Finding(level, SUBJECT, f"{text}: unseen in training when it is held out, and counted as wrong")]


def _label_and_group(case: Case, label: str, group: str) -> list[Finding]:
    counts = table(case.obs[label], case.obs[group])
    if min(counts.shape) < 2:
        return []
    lone = int(((counts > 0).sum(axis=1) == 1).sum())
    strength = cramers_v(counts)
    if _same(counts):
        text = f"{label} and {group} are the same partition: no score can tell a {label} from a {group} effect"
        return [Finding("warning", SUBJECT, text)]
    if lone == len(counts):
        text = f"every {label} occurs in one {group} only: what mixes {_plural(group)} also mixes {_plural(label)}"
        return [Finding("warning", SUBJECT, text)]
    if ((counts > 0).sum(axis=0) == 1).all():
        return [Finding("warning", SUBJECT, f"every {group} has one {label} only: the two cannot be told apart")]
    if strength >= STRONG:
        text = f"{label} and {group} go together (Cramér's V {strength:.2f}): their effects are hard to tell apart"
        return [Finding("warning", SUBJECT, text)]
    if label != LABEL:
        return []
    text = f"{label} and {group}: Cramér's V {strength:.2f} (0 none, 1 the same)"
    if lone:
        text += f"; {lone} of {counted(len(counts), 'type')} in one {group} only"
    return [Finding("ok", SUBJECT, text)]


def _group_and_group(case: Case, first: str, second: str) -> list[Finding]:
    """How batches and donors lie in each other."""
    counts = table(case.obs[first], case.obs[second])
    if _same(counts):
        text = f"what takes out {first} effects takes out what tells {_plural(second)} apart"
        return [Finding("note", SUBJECT, f"{first} and {second} coincide: {text}")]
    if ((counts > 0).sum(axis=1) == 1).all():
        return [Finding("ok", SUBJECT, f"each {first} is of one {second}")]
    if ((counts > 0).sum(axis=0) == 1).all():
        return [Finding("ok", SUBJECT, f"each {second} is in one {first}")]
    return []  # they cross, as they should


def _same(counts: np.ndarray) -> bool:
    """Whether each row has one column and each column one row."""
    present = counts > 0
    return bool((present.sum(axis=0) == 1).all() and (present.sum(axis=1) == 1).all())


def _sizes(case: Case, role: str) -> Counter[str]:
    return Counter(str(value) for value in case.obs.get(role, ()) if value is not None)


def _plural(role: str) -> str:
    return counted(2, role.replace("_", " ")).removeprefix("2 ")
