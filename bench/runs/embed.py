"""`bench embed`: a model's embedding of the user's own file, written beside what the file already holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.atomic import replacing
from bench.catalogue import catalogue
from bench.data import files
from bench.errors import BadInput
from bench.runs.choose import configured, resolve_dataset
from bench.runs.meter import Meter
from bench.runs.models import LABEL, Embedder, configured_model
from bench.specs import Cap, DatasetSpec, ModelSpec, load_target

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Embedded:
    """What was written."""

    out: Path
    key: str
    n_cells: int
    n_dims: int
    notices: tuple[str, ...]
    seconds: Mapping[str, float]


def embed(
    model: str,
    data: Path,
    out: Path,
    *,
    set: Mapping[str, Any] | None = None,
    data_set: Mapping[str, Any] | None = None,
    obs: Mapping[str, str] | None = None,
    layer: str = "",
    weights: str = "",
    seed: int = 0,
    device: str = "cpu",
) -> Embedded:
    """Embed the cells of a file and write it again with `obsm["X_<model>"]`.

    A model that learns is fitted on all cells of the file. Cells that are not canonical (without counts)
    get NaN. The new file appears whole or not at all.

    Parameters
    ----------
    model
        Name of a model that embeds cells.
    data, out
        `.h5ad` files.
    set, data_set, obs, layer, weights, seed, device
        As in `bench run`.

    Raises
    ------
    BadInput
        If the model embeds no cells or cannot read the genes, or a file or an option is wrong.
    """
    from bench.data.canonical import canonicalise
    from bench.data.obs import cell_names
    from bench.genes.vocabulary import suitability

    spec, dataset = embedding_model(model), _file(data, obs or {}, layer, data_set or {})
    if spec.fits != "labels":  # a model that learns no labels does not care where they are missing
        dataset = replace(dataset, roles={r: c for r, c in dataset.roles.items() if r != LABEL})
    ready = configured(spec, set or {}, weights)
    make = configured_model(spec, ready.config, ready.weights, seed, device)
    source = load_target(dataset.target)(**dataset.params)
    notices: list[str] = []
    names = cell_names(source.obs, data.name, notices)
    cells = canonicalise(source, dataset)
    genes = suitability(cells, spec, ready.config, ready.weights, dataset)
    if genes.refusal:
        raise BadInput(f"dataset {dataset.name}: {genes.refusal}.")
    meter = Meter()
    embedder = Embedder(make, spec, meter, {})
    embedder.fit(cells)
    values = embedder.embed(cells)
    placed = np.full((len(names), values.shape[1]), np.nan, dtype=np.float32)
    placed[names.get_indexer(cells.obs_names)] = values
    key = f"X_{spec.name}"
    _write(dataset, out, key, placed, source.obs_names)
    said = (*cells.uns["notices"], *([genes.notice] if genes.notice else []))
    return Embedded(out, key, len(values), values.shape[1], said, meter.seconds)


def embedding_model(name: str) -> ModelSpec:
    """Look up a model that embeds cells.

    Raises
    ------
    BadInput
        If there is none of that name, or it does something else.
    """
    spec = catalogue().model(name)
    if Cap.EMBEDS_CELLS not in spec.gives:
        able = ", ".join(m.name for m in catalogue().models if Cap.EMBEDS_CELLS in m.gives)
        raise BadInput(
            f"model {name} does not embed cells, it gives {', '.join(sorted(spec.gives))}. These do: {able}."
        )
    return spec


def _file(data: Path, obs: Mapping[str, str], layer: str, options: Mapping[str, Any]) -> DatasetSpec:
    """The user's file as a dataset; nothing else can be written back."""
    dataset = resolve_dataset(str(data), obs, layer, options)
    if dataset.target != files.TARGET:
        raise BadInput(f"--data {data} must be a .h5ad file: the embedding is written beside what the file holds.")
    return dataset


def _write(dataset: DatasetSpec, out: Path, key: str, values: np.ndarray, rows: pd.Index) -> None:
    """Copy the source with one more embedding; the new file appears whole or not at all."""
    import anndata as ad

    whole = ad.read_h5ad(dataset.params["path"])  # it was checked when its cells were loaded
    if not whole.obs_names.equals(rows):
        raise BadInput(f"{dataset.params['path']} has changed while its cells were embedded; run this again.")
    whole.obsm[key] = values
    with replacing(out) as temporary:
        whole.write_h5ad(temporary, compression="gzip")
