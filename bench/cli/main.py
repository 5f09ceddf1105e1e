"""`bench`: the entry point. Verbs are looked up by name and imported when they are called."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from bench.catalogue import catalogue
from bench.errors import BenchError, unknown
from bench.specs import CommandSpec, load_target

VERBS = (
    CommandSpec("run", "Examine models: bench run --model pca --task integration", "bench.cli.run:run"),
    CommandSpec("pretrain", "Train a model on stored cells: bench pretrain --data ...", "bench.cli.pretrain:app"),
    CommandSpec("finetune", "Train a pretrained model further for a task.", "bench.cli.finetune:app"),
    CommandSpec("list", "List models, tasks, datasets, and which go together.", "bench.cli.list:list_"),
    CommandSpec("show", "Show one model, task or dataset with its options.", "bench.cli.show:show"),
    CommandSpec("results", "Show what was measured.", "bench.cli.results:results"),
    CommandSpec("index", "Bring the index of the results up to date.", "bench.cli.index:index"),
    CommandSpec("embed", "Embed the cells of a file with a model.", "bench.cli.embed:embed"),
    CommandSpec("doctor", "Say what is wrong with a dataset, or with this installation.", "bench.cli.doctor:doctor"),
    CommandSpec("data", "Look at a file, and make it ready: show, prepare.", "bench.cli.data:app"),
    CommandSpec("fetch", "Download public datasets and published weights.", "bench.cli.fetch:app"),
    CommandSpec("plugin", "Start a plugin of your own, and examine any: new, check.", "bench.cli.plugin:app"),
    CommandSpec("diff", "Say what differs between two runs, and whether it matters.", "bench.cli.diff:diff"),
)
CORE = {spec.name: spec for spec in VERBS}
HELP = """Is this single-cell model better than PCA, scVI or logistic regression, on my data, and at what cost?

Examples:

  bench run --model pca,scvi --task integration --dataset my.h5ad --obs batch=sample --obs cell_type=annotation

  bench list pairs

  bench leaderboard
"""


class Verb(TyperCommand):
    """A verb that is known by name; its module is imported only when it is called."""

    def __init__(self, spec: CommandSpec) -> None:
        super().__init__(spec.name, help=spec.summary)
        self.spec = spec

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Hand over to the real command."""
        return command(self.spec).make_context(info_name, args, parent, **extra)


class Verbs(TyperGroup):
    """The core's verbs and those plugins bring."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, the core's first."""
        return list(self._specs())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A verb by name."""
        spec = CORE.get(cmd_name) or self._specs().get(cmd_name)
        return Verb(spec) if spec else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Look the verb up, and say which ones there are where it does not exist."""
        if args and args[0] not in CORE and args[0] not in self._specs():  # `doctor` must outlive any plugin
            raise unknown("command", args[0], self._specs(), "See `bench --help`.")
        return super().resolve_command(ctx, args)

    def _specs(self) -> dict[str, CommandSpec]:
        return CORE | {s.name: s for s in catalogue().commands if s.name not in CORE}


def command(spec: CommandSpec) -> Any:
    """The real command behind a verb: a Typer app, or a function with Typer annotations."""
    target = load_target(spec.target)
    if not isinstance(target, typer.Typer):
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(spec.name)(target)
        target = app
    return typer.main.get_command(target)


app = typer.Typer(cls=Verbs, no_args_is_help=True, help=HELP, rich_markup_mode=None, pretty_exceptions_enable=False)


def _version(value: bool) -> None:
    if value:
        from importlib import metadata

        typer.echo(f"bench {metadata.version('bench-harness')}")
        raise typer.Exit


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks."),
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Options of every verb; `main` reads `--debug` itself, wherever it stands."""


def _print_any_text() -> None:
    """Let no name stop the answer: a locale of ASCII gets UTF-8 (as PEP 538 would), others escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            plain = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if plain else None, errors="backslashreplace")


def main() -> None:
    """Run the command line; errors the user can mend are one sentence, without a traceback."""
    _print_any_text()
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1 or os.environ.get("BENCH_DEBUG") == "1"
    try:
        app(arguments, prog_name="bench")
    except BenchError as error:
        if debug:
            raise
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        print(f"bench: unexpected {type(error).__name__}: {error}. --debug shows where.", file=sys.stderr)
        sys.exit(BenchError.exit_code)
