"""`python -m bench_study run | keep | report`: see the Makefile."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import BenchError
from bench.wording import counted
from bench_study import facts, keep, measures, outline, report
from bench_study.perform import INTERRUPTED, perform, say
from bench_study.steps import Places, steps, write_sets

STUDY = Path(__file__).parents[1] / "study.toml"
ABLATIONS = STUDY.with_name("ablations.toml")
PAGE = STUDY.parents[1] / "study.md"

app = typer.Typer(help=__doc__, rich_markup_mode=None, add_completion=False)
Work = Annotated[Path, typer.Option(help="Folder of all that is made.")]
StudyFile = Annotated[Path, typer.Option("--study", help="What to do.")]


@app.command()
def run(
    data: Annotated[Path, typer.Option(help="Folder of the data that corpus.tsv names.")],
    work: Work,
    study: StudyFile = STUDY,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the commands, and run nothing.")] = False,
) -> None:
    """Train and examine whatever is not done yet."""
    asked = outline.read(study)
    beside = Path(sys.executable).with_name("bench")
    program = str(beside) if beside.exists() else shutil.which("bench") or "bench"
    places = Places(data.absolute(), work.absolute(), program, os.cpu_count() or 1)
    planned = steps(asked, places)
    if dry_run:
        typer.echo("\n".join(map(str, planned)))
        return
    write_sets(asked, places)
    troubles = perform(planned, places.cores, places.work / "logs")
    for trouble in troubles:
        say(trouble)
    raise typer.Exit(3 if troubles else 0)


@app.command("keep")
def keep_records(work: Work, study: StudyFile = STUDY) -> None:
    """Copy the records of a study beside it, to be committed."""
    asked, places = outline.read(study), Places(Path(), work.absolute())
    records, known = measures.kept_files(study)
    records.parent.mkdir(exist_ok=True)
    number = keep.pack(places.results, records)
    facts.write(known, facts.gather(asked, places))
    say(f"kept {counted(number, 'record')} in {records} ({records.stat().st_size / 1e6:.2f} MB)")


@app.command("report")
def write_report(
    page: Annotated[Path, typer.Option(help="The page to write.")] = PAGE,
    study: StudyFile = STUDY,
    ablations: Annotated[Path, typer.Option(help="The study of the ablations.")] = ABLATIONS,
) -> None:
    """Write the page and its figures from the records that are kept."""
    report.write(_kept(study), _kept(ablations) if measures.kept_files(ablations)[0].exists() else None, page)
    say(f"wrote {page}")


def _kept(study: Path) -> measures.Kept:
    return measures.load(outline.read(study), *measures.kept_files(study))


def main() -> None:
    """Run a command; what can be explained is said without a traceback."""
    try:
        app()
    except BenchError as error:
        say(f"bench_study: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("bench_study: interrupted; the same command goes on where it was.")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
