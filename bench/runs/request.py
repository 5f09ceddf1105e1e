"""What the user asked for, and how options are dealt out to those they concern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.config import option
from bench.errors import unknown

MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Splitting:
    """The option that every task has."""

    split_seed: int = option(
        0, "seed of splits, subsamples and controls; a model's own randomness is --seed", low=0, high=MAX_SEED
    )


@dataclass(frozen=True)
class Request:
    """What `bench run` was asked to do; the fields are its options."""

    tasks: Sequence[str]
    models: Sequence[str] = ()
    datasets: Sequence[str] = ()
    """Names, `.h5ad` files, `.toml` sets; empty means each task's own."""
    seeds: Sequence[int] = (0,)
    embedding: str = ""
    set: Mapping[str, Any] = field(default_factory=dict)
    task_set: Mapping[str, Any] = field(default_factory=dict)
    data_set: Mapping[str, Any] = field(default_factory=dict)
    obs: Mapping[str, str] = field(default_factory=dict)
    layer: str = ""
    weights: str = ""
    baselines: bool = False
    device: str = "cpu"


def assign(values: Mapping[str, Any], known: Mapping[str, set[str]], kind: str) -> dict[str, dict[str, Any]]:
    """Deal options out to their owners: `OWNER.key` belongs to one, a plain key to all that have it.

    Parameters
    ----------
    values
        What the user gave.
    known
        Owner -> names of its options.
    kind
        What owners are, for messages: `"model"`.

    Raises
    ------
    BadInput
        If no owner is called so, or none has the option.
    """
    dealt: dict[str, dict[str, Any]] = {owner: {} for owner in known}
    for key, value in values.items():
        owner, _, plain = key.rpartition(".")
        if owner and owner not in known:
            raise unknown(f"{kind} in option {key!r}:", owner, known)
        candidates = [owner] if owner else list(known)
        takers = [name for name in candidates if plain in known[name]]
        if not takers:
            offered = set().union(*(known[name] for name in candidates))
            raise unknown(f"option of {kind} {', '.join(candidates)}:", plain, offered)
        for taker in takers:
            if owner or plain not in dealt[taker]:  # what is said of one outweighs what is said of all
                dealt[taker][plain] = value
    return dealt
