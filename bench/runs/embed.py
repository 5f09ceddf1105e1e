"""`bench embed`: a model's embedding of the user's own file, written beside what the file already holds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.catalogue import catalogue
from bench.errors import BadInput
from bench.runs.meter import Meter
from bench.runs.models import Embedder
from bench.runs.plan import configured, resolve_dataset
from bench.specs import Cap, DatasetSpec, ModelSpec, load_target

if TYPE_CHECKING:
    import anndata as ad


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
        If the model embeds no cells, or a file or an option is wrong.
    """
    from bench.data.canonical import canonicalise
    from bench.data.obs import cell_names

    spec, dataset = embedding_model(model), resolve_dataset(str(data), obs or {}, layer, data_set or {})
    make = _maker(spec, set or {}, weights, seed, device)
    source = load_target(dataset.target)(**dataset.params)
    notices: list[str] = []
    names = cell_names(source.obs, data.name, notices)
    cells = canonicalise(source, dataset)
    meter = Meter()
    embedder = Embedder(make, spec, meter, {})
    embedder.fit(cells)
    values = embedder.embed(cells)
    placed = np.full((len(names), values.shape[1]), np.nan, dtype=np.float32)
    placed[names.get_indexer(cells.obs_names)] = values
    key = f"X_{spec.name}"
    _write(dataset, out, key, placed)
    return Embedded(out, key, len(values), values.shape[1], tuple(cells.uns["notices"]), meter.seconds)


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


def _maker(spec: ModelSpec, options: Mapping[str, Any], weights: str, seed: int, device: str) -> Any:
    from bench.config import build

    ready = configured(spec, options, weights)
    config = build(spec.config, ready.config, f"model {spec.name}")
    path = Path(ready.weights) if ready.weights not in ("", "untrained") else ready.weights or None
    return lambda: load_target(spec.target)(config, weights=path, seed=seed, device=device)


def _write(dataset: DatasetSpec, out: Path, key: str, values: np.ndarray) -> None:
    """Copy the source with one more embedding, through a temporary file beside the target."""
    import anndata as ad

    whole: ad.AnnData = ad.read_h5ad(dataset.params["path"])  # it was checked when its cells were loaded
    whole.obsm[key] = values
    handle, temporary = tempfile.mkstemp(dir=out.parent, prefix=".", suffix=".h5ad.tmp")
    os.close(handle)
    try:
        whole.write_h5ad(temporary, compression="gzip")
        os.replace(temporary, out)
    except BaseException:
        os.unlink(temporary)
        raise
