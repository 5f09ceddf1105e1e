"""`bench data show` and `bench data prepare`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bench import wording
from bench.cli import complete, tables, values
from bench.config import assignments
from bench.errors import BadInput

if TYPE_CHECKING:
    from bench.preparation.outline import Outline
    from bench.preparation.report import Report

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look at a dataset (show), and make a file ready for runs (prepare).",
)

Data = Annotated[
    str, typer.Argument(help="A .h5ad file, a .toml set, or the name of a dataset.", autocompletion=complete.datasets)
]
Obs = Annotated[list[str] | None, typer.Option(help="Role of a column: cell_type=COLUMN ...")]
Layer = Annotated[str, typer.Option(help="Where the counts are: a layer, X or raw.")]
DataSet = Annotated[list[str] | None, typer.Option(help="Option of the data: key=value.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def show(
    data: Data,
    obs: Obs = None,
    layer: Layer = "",
    data_set: DataSet = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Read all values too: where the counts are, what a run would change.")
    ] = False,
    json_: Json = False,
) -> None:
    """Show what a dataset holds: cells, features, columns, layers, roles. It describes; `bench doctor` judges.

    Matrices are not read but for their first values, unless with --whole. Sets and generated datasets are loaded.

    Examples:

      bench data show my.h5ad

      bench data show my.h5ad --whole --json
    """
    from bench.preparation.outline import outline

    found = outline(
        data,
        obs=assignments(obs or (), "--obs"),
        layer=layer,
        data_set=assignments(data_set or (), "--data-set"),
        whole=whole,
    )
    if json_:
        typer.echo(json.dumps(dataclasses.asdict(found), indent=1))
    else:
        _print_outline(found)


@app.command()
def prepare(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="The .h5ad file to write.")] = None,
    min_genes: Annotated[int | None, typer.Option(help="Drop cells with fewer genes.  [default: 200]")] = None,
    min_cells: Annotated[int | None, typer.Option(help="Drop genes seen in fewer cells.  [default: 3]")] = None,
    max_genes: Annotated[int | None, typer.Option(help="Drop cells with more genes.")] = None,
    min_counts: Annotated[int | None, typer.Option(help="Drop cells with fewer counts.")] = None,
    max_percent_mt: Annotated[
        float | None, typer.Option(help="Drop cells with a larger share of mitochondrial counts, in percent.")
    ] = None,
    species: Annotated[
        Literal["human", "mouse"] | None, typer.Option(help="Whose genes these are; else as the data says or shows.")
    ] = None,
    map_genes: Annotated[
        Literal["symbol", "ensembl"] | None, typer.Option(help="Name genes by current symbols, or by Ensembl ids.")
    ] = None,
    drop_unmapped: Annotated[
        bool, typer.Option("--drop-unmapped", help="Drop genes that could not be mapped.")
    ] = False,
    biotype: Annotated[list[str] | None, typer.Option(help="Keep these genes only: protein_coding,lncRNA ...")] = None,
    duplicate_genes: Annotated[
        Literal["error", "sum", "first"] | None, typer.Option(help="Genes that share a name.  [default: error]")
    ] = None,
    obs: Obs = None,
    layer: Layer = "",
    data_set: DataSet = None,
    keep_obs: Annotated[
        bool, typer.Option("--keep-obs/--drop-obs", help="Keep all columns of obs, or roles and quality only.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the report to this .json file too.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file.")] = False,
    json_: Json = False,
) -> None:
    """Write a file that `bench run --dataset` takes at once: integer counts, filtered cells, checked gene names.

    In this order: counts are found, genes named and duplicates settled; quality is measured over all genes and cells
    are filtered by it; genes are dropped (unmapped, biotype, min-cells over the cells left). The two defaults are those
    of the tutorials of scanpy and Seurat; where --min-genes 200 would drop most cells you are asked instead. Filters
    look at genes only: antibodies and peaks are kept. Gene tables are fetched on first use of --map-genes or --biotype.

    Examples:

      bench data prepare raw.h5ad --out ready.h5ad

      bench data prepare raw.h5ad --out ready.h5ad --map-genes ensembl --duplicate-genes sum --max-percent-mt 10

      bench data prepare raw.h5ad --dry-run --obs cell_type=annotation
    """
    from bench.config import build
    from bench.preparation.options import Options
    from bench.preparation.prepare import prepare as make

    target = _target(data, out, report, dry_run, force)
    given = {
        "min_genes": min_genes,
        "min_cells": min_cells,
        "max_genes": max_genes,
        "min_counts": min_counts,
        "max_percent_mt": max_percent_mt,
        "species": species,
        "map_genes": map_genes,
        "drop_unmapped": drop_unmapped,
        "biotype": values.names(biotype),
        "keep_obs": keep_obs,
    }
    options = build(Options, {key: value for key, value in given.items() if value is not None}, "bench data prepare")
    made = make(
        data,
        target,
        options,
        obs=assignments(obs or (), "--obs"),
        layer=layer,
        data_set=_data_options(data_set, duplicate_genes),
    )
    document = json.dumps({"out": str(target or ""), **made.document()}, indent=1)
    if report is not None:
        _write_text(report, document)
    if json_:
        typer.echo(document)
    else:
        _print_report(made, target)


def _target(data: str, out: Path | None, report: Path | None, dry_run: bool, force: bool) -> Path | None:
    """The file to write, known to be writable and not the one that is read."""
    from bench.cli.embed import check_out

    if report is not None and (report.suffix != ".json" or not report.absolute().parent.is_dir()):
        raise BadInput(f"--report {report} must be a .json file in a folder that exists.")
    if dry_run:
        return None
    if out is None:
        raise BadInput("say which file to write, with --out FILE.h5ad, or look first with --dry-run.")
    check_out(out, force)
    if out.exists() and Path(data).exists() and out.samefile(data):
        raise BadInput(f"--out {out} is the file that is read; write to another.")
    return out


def _data_options(data_set: list[str] | None, duplicate_genes: str | None) -> dict[str, str]:
    options = assignments(data_set or (), "--data-set")
    if duplicate_genes and options.get("duplicate_genes", duplicate_genes) != duplicate_genes:
        raise BadInput("--duplicate-genes and --data-set duplicate_genes differ; keep one.")
    return options | ({"duplicate_genes": duplicate_genes} if duplicate_genes else {})


def _write_text(path: Path, text: str) -> None:
    from bench.atomic import replacing

    try:
        with replacing(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--report {path} cannot be written: {error.strerror or error}.") from None


def _print_report(report: Report, out: Path | None) -> None:
    rows: list[dict[str, Any]] = [
        {
            "step": step.step,
            "why": step.why,
            "cells dropped": step.cells_removed,
            "features dropped": step.features_removed,
            "cells": step.cells,
            "features": step.features,
            "first dropped": _plain(", ".join(step.first)),
        }
        for step in report.steps
    ]
    tables.print_rows(rows, title=f"{report.source}: {report.cells[0]:,} cells")
    tables.print_rows([{"quality of the cells left": name, **spread} for name, spread in report.quality.items()])
    if report.mapping:
        _print_mapping(report)
    for notice in report.notices:
        typer.echo(f"note: {_plain(notice)}", err=True)
    kinds = ", ".join(f"{after:,} of {before:,} {kind}" for kind, (before, after) in report.features.items())
    typer.echo(f"left: {report.cells[1]:,} of {report.cells[0]:,} cells, {kinds}")
    typer.echo(f"wrote {out}; use it with {_next(report, out)}" if out else "dry run: nothing was written")


def _next(report: Report, out: Path) -> str:
    """How to name the file in `bench run`: most roles are found by their columns, some have to be asked for."""
    from bench.data.roles import map_roles

    roles = report.options["obs"]
    asked = [f"--obs {role}={role}" for role in roles if role not in map_roles(list(roles), {}, "")]
    return " ".join([f"--dataset {out}", *asked])


def _print_mapping(report: Report) -> None:
    from bench.genes.mapping import MEANING

    rows = [
        {
            "genes": outcome.value,
            "n": report.mapping[outcome.value],
            "meaning": meaning,
            "first": _plain(", ".join(report.mapping["examples"].get(outcome.value, ()))),
        }
        for outcome, meaning in MEANING.items()
        if report.mapping[outcome.value]
    ]
    release = report.gene_table["release"] or "tables of your own"
    mapped, names = report.mapping["mapped"], report.mapping["names"]
    tables.print_rows(rows, title=f"{mapped:,} of {names:,} genes mapped ({report.species}, {release})")


def _print_outline(found: Outline) -> None:
    size = f" ({wording.size(found.bytes)})" if found.bytes is not None else ""
    facts = {
        "dataset": found.name,
        "source": f"{found.source}{size}",
        "sha256": found.sha256,
        "cells": f"{found.cells:,}",
        "features": ", ".join(f"{number:,} {kind}" for kind, number in found.features.items()),
        "gene names": found.gene_names,
        "species": found.species or "not declared",
        "study": found.study,
        "roles": ", ".join(f"{role}={column}" for role, column in found.roles.items()) or "none",
        "perhaps": " ".join(f"--obs {role}={columns[0]}" for role, columns in found.suggested.items()),
        "counts": found.counts
        or ("none that can be used" if found.whole else "not looked for (--whole reads all values)"),
        "a run sees": f"{found.canonical[0]:,} cells x {found.canonical[1]:,} features" if found.canonical else "",
    }
    for key, value in facts.items():
        if value:
            typer.echo(f"{key + ':':16} {_plain(value)}")
    for title in ("matrices", "obs", "var", "obsm"):
        tables.print_rows([_row(item) for item in getattr(found, title)], title=title)
    for notice in found.notices:
        typer.echo(f"note: {notice}", err=True)


def _row(item: Any) -> dict[str, Any]:
    """A matrix or column as a row; names come from a stranger's file."""
    return {key: _plain(_shape(value) if key == "shape" else value) for key, value in dataclasses.asdict(item).items()}


def _shape(lengths: tuple[int, ...]) -> str:
    return " x ".join(f"{n:,}" for n in lengths)


def _plain(value: Any) -> Any:
    """Text without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in value) if isinstance(value, str) else value
