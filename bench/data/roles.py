"""From the columns of a source's `obs` to the roles of canonical data."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bench.errors import unknown
from bench.specs import ROLES

ASKED_ONLY = frozenset({"split"})
"""Roles never taken from a column of their name: a column `split` means something else in many a file."""


def map_roles(columns: Collection[str], asked: Mapping[str, str], where: str) -> dict[str, str]:
    """Role -> column: what was asked for, then every column that is named like a role (but for `ASKED_ONLY`).

    Parameters
    ----------
    columns
        Columns of `obs`.
    asked
        Role -> column, as the user wants it; an empty column takes a role away.
    where
        The file, for messages.

    Raises
    ------
    BadInput
        If a role or a column does not exist; the message lists those that do.
    """
    for role, column in asked.items():
        if role not in ROLES:
            raise unknown("role", role, ROLES)
        require_column(columns, column, where)
    found = {role for role in ROLES if role in columns} - ASKED_ONLY
    roles = {role: asked.get(role, role if role in found else "") for role in ROLES}
    return {role: column for role, column in roles.items() if column}


def require_column(columns: Collection[str], column: str, where: str) -> None:
    """Refuse a column that `obs` does not have; an empty name asks for none."""
    if column and column not in columns:
        raise unknown(f"obs column of {where}:", column, columns, "Name one with --obs ROLE=COLUMN.")
