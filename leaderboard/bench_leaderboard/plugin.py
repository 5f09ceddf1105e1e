"""What this plugin brings: the verb `bench leaderboard`."""

from __future__ import annotations

from bench.hookspecs import hookimpl
from bench.specs import CommandSpec


@hookimpl
def bench_commands() -> list[CommandSpec]:
    """The verb that renders the page."""
    return [CommandSpec("leaderboard", "Render the results as a static page.", "bench_leaderboard.command:leaderboard")]
