"""Findings about labels: how many types, which are rare, which are no types at all."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from bench.diagnosis import columns
from bench.diagnosis.case import Case
from bench.diagnosis.finding import PLACEHOLDER, Finding, option
from bench.wording import counted, listed

SUBJECT = "labels"
ROLE = "cell_type"
RARE = 10
"""Cells of a type below which its scores are chance."""
NO_TYPE = re.compile(r"(?i)(doublets?|multiplets?|low.?quality|debris|empty)")
CLUSTER = re.compile(r"(?i)(.*[ _.-])?(c|cluster|clust|leiden|louvain|group)?[ _.-]?\d+")


def classes(case: Case) -> list[Finding]:
    """How many types there are, and how large."""
    sizes = _sizes(case)
    if not sizes:
        return []
    column = case.spec.roles[ROLE]
    (first, largest), (last, smallest) = sizes.most_common()[0], sizes.most_common()[-1]
    if len(sizes) == 1:
        text = f"obs[{column!r}] has one type only ({first!r}): there is nothing to tell apart"
        return [Finding("warning", SUBJECT, text)]
    if len(sizes) > sizes.total() / 2:
        text = f"obs[{column!r}] has {len(sizes):,} values for {sizes.total():,} cells: names of cells, not of types?"
        return [Finding("warning", SUBJECT, text)]
    text = f"{len(sizes)} types in obs[{column!r}]: {largest:,} cells of {first!r} to {smallest:,} of {last!r}"
    return [Finding("ok", SUBJECT, text)]


def rare(case: Case) -> list[Finding]:
    """Types with too few cells to be learnt or scored."""
    sizes = _sizes(case)
    few = sorted((n, name) for name, n in sizes.items() if n < RARE)
    if not few or len(sizes) < 2:
        return []
    text = f"{counted(len(few), 'type')} of {len(sizes)} with fewer than {RARE} cells"
    names = listed(f"{name!r} ({n})" for n, name in few)
    found = [Finding("note", SUBJECT, f"{text}: {names}; their scores are mostly chance")]
    coarser = [c for c in columns.candidates(case, ROLE) if 1 < case.raw.obs[c].nunique() < len(sizes)]
    if 3 * len(few) > len(sizes) and coarser:
        text = f"obs[{coarser[0]!r}] has {case.raw.obs[coarser[0]].nunique()} types instead of {len(sizes)}"
        found.append(Finding("note", SUBJECT, text, option("--obs", f"{ROLE}={coarser[0]}")))
    return found


def doubtful(case: Case) -> list[Finding]:
    """Labels that are no types: placeholders, numbers of clusters, two spellings of one."""
    sizes = _sizes(case)
    found = []
    empty = [name for name in sizes if (PLACEHOLDER.fullmatch(name.strip()) or NO_TYPE.fullmatch(name.strip()))]
    if empty:
        n = sum(sizes[name] for name in empty)
        text = f"{listed(map(repr, empty))} ({counted(n, 'cell')}) is scored like a type; make it missing if it is none"
        found.append(Finding("note", SUBJECT, text))
    if len(sizes) > 1 and all(CLUSTER.fullmatch(name) for name in sizes):
        text = f"the labels end in numbers ({listed(sorted(sizes), 3)}): clusters, not named types?"
        found.append(Finding("note", SUBJECT, f"{text} Then scores say how well a clustering is repeated"))
    spellings = defaultdict(list)
    for name in sorted(sizes):
        spellings[re.sub(r"[\W_]+", "", name.casefold()) or name].append(name)
    twice = [names for names in spellings.values() if len(names) > 1 and not _differ_by_sign(names)]
    if twice:
        text = f"labels that differ in spelling only: {listed(' / '.join(map(repr, names)) for names in twice)}"
        found.append(Finding("warning", SUBJECT, f"{text}; they are scored as different types"))
    return found


def _sizes(case: Case) -> Counter[str]:
    return Counter(str(value) for value in case.obs.get(ROLE, ()) if value is not None)


def _differ_by_sign(names: list[str]) -> bool:
    """Whether plus and minus tell the names apart: `CD4+` and `CD4-` are two types."""
    return any(sign in name for name in names for sign in "+-")
