"""`bench embed`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli import complete, values
from bench.config import assignments
from bench.errors import BadInput
from bench.runs.request import MAX_SEED


def embed(
    model: Annotated[
        str, typer.Option("--model", "-m", help="A model that embeds cells.", autocompletion=complete.models)
    ],
    data: Annotated[Path, typer.Option(help="The .h5ad file to embed.")],
    out: Annotated[Path, typer.Option(help="The .h5ad file to write.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Option of the model: key=value.")] = None,
    data_set: Annotated[list[str] | None, typer.Option(help="Option of the data: key=value.")] = None,
    obs: Annotated[list[str] | None, typer.Option(help="Role of a column: batch=COLUMN ...")] = None,
    layer: Annotated[str, typer.Option(help="Where the counts are: a layer, X or raw.")] = "",
    weights: Annotated[str, typer.Option(help="Folder or file of weights, or 'untrained'.")] = "",
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the model.")] = 0,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where the model runs.")] = "cpu",
    force: Annotated[bool, typer.Option("--force", help="Replace the output file.")] = False,
) -> None:
    """Embed the cells of a file: writes the file again with obsm["X_MODEL"].

    A model that learns is fitted on all cells of the file.

    Examples:

      bench embed --model pca --data my.h5ad --out my_pca.h5ad

      bench embed --model scvi --set n_latent=20 --obs batch=sample --data my.h5ad --out my_scvi.h5ad
    """
    from bench.runs import embed as embedding

    check_out(out, force)
    written = embedding.embed(
        model,
        data,
        out,
        set=assignments(set_ or (), "--set"),
        obs=assignments(obs or (), "--obs"),
        layer=layer,
        data_set=assignments(data_set or (), "--data-set"),
        weights=weights,
        seed=seed,
        device=values.available(device),
    )
    for notice in written.notices:
        typer.echo(f"note: {notice}", err=True)
    typer.echo(f"wrote {written.out}: obsm[{written.key!r}], {written.n_cells:,} cells x {written.n_dims} dimensions")


def check_out(out: Path, force: bool) -> None:
    """Refuse an output that could not be written, before anything is computed."""
    if out.suffix != ".h5ad":
        raise BadInput(f"--out {out} must end in .h5ad.")
    if not out.parent.is_dir():
        raise BadInput(f"--out {out}: there is no folder {out.parent}.")
    if not os.access(out.parent, os.W_OK):
        raise BadInput(f"--out {out}: the folder cannot be written to.")
    if out.exists() and not force:
        raise BadInput(f"--out {out} exists; choose another name, or replace it with --force.")
