"""The whole plugin contract: four hooks that take nothing and return data.

A distribution joins in with an entry point of group `bench` that names a light module:

    [project.entry-points.bench]
    mine = "my_package.plugin"

The module may say which version of this contract it was written for: `BENCH_API = 1`. One that says another
is not loaded, and its user is told which of the two to upgrade; one that says nothing is taken as it is.
"""

from __future__ import annotations

import pluggy

from bench.specs import CommandSpec, DatasetSpec, ModelSpec, TaskSpec

GROUP = "bench"
API = 1
"""Version of the contract: of the hooks below, `bench.specs`, `bench.capabilities` and `bench.tasks`. Raised
only by a change that a plugin written before it would not survive."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def bench_models() -> list[ModelSpec]:  # type: ignore[empty-body]
    """Models this plugin brings."""


@hookspec
def bench_tasks() -> list[TaskSpec]:  # type: ignore[empty-body]
    """Tasks this plugin brings."""


@hookspec
def bench_datasets() -> list[DatasetSpec]:  # type: ignore[empty-body]
    """Datasets this plugin brings."""


@hookspec
def bench_commands() -> list[CommandSpec]:  # type: ignore[empty-body]
    """Verbs this plugin adds to the command line."""
