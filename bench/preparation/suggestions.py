"""Columns of `obs` that are probably a role, by the names the field gives them."""

from __future__ import annotations

import re
from collections.abc import Collection

from bench.diagnosis.columns import NAMES


def suggested(columns: Collection[str], roles: Collection[str]) -> dict[str, list[str]]:
    """Role -> columns that are probably that role, the likeliest first; roles that are taken are left out."""
    spelled = {re.sub(r"[\W_]+", "", column.lower()): column for column in reversed(list(columns))}
    found = {
        role: [spelled[name] for name in usual if name in spelled] for role, usual in NAMES.items() if role not in roles
    }
    return {role: names for role, names in found.items() if names}
