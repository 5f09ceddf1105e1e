"""The whole plugin contract: four hooks that take nothing and return data.

A distribution joins in with an entry point of group `bench` that names a light module:

    [project.entry-points.bench]
    mine = "my_package.plugin"
"""

from __future__ import annotations

import pluggy

from bench.specs import CommandSpec, DatasetSpec, ModelSpec, TaskSpec

GROUP = "bench"
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
