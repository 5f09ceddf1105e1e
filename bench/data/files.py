"""One `.h5ad` file as a dataset: described with h5py alone, loaded with anndata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import config
from bench.data import layout, safety
from bench.data.names import safe_name, stem
from bench.data.options import DataOptions
from bench.data.roles import map_roles
from bench.errors import BadInput, unknown
from bench.specs import DatasetSpec

if TYPE_CHECKING:
    import anndata as ad

TARGET = "bench.data.files:load_h5ad"


def describe(
    path: str | Path, *, obs: Mapping[str, str], layer: str = "", options: Mapping[str, Any] | None = None
) -> DatasetSpec:
    """Make a dataset of the user's file, without reading its matrix.

    Parameters
    ----------
    path
        A `.h5ad` file.
    obs
        Role -> column of `obs`. Columns named like a role are taken without being asked for; an empty
        column takes a role away.
    layer
        Where the counts are: `"X"`, a layer, `"raw"`; empty: found by inspection when loading.
    options
        See `DataOptions`.

    Raises
    ------
    BadInput
        If the file is refused (see `bench.data.safety`) or a role, column, layer or option does not exist.
    """
    path = Path(path).expanduser().absolute()
    found = layout.read(path)
    if layer and layer not in found.layers:
        raise unknown(f"layer of {path.name}:", layer, found.layers)
    return DatasetSpec(
        name=safe_name(stem(path)),
        summary=f"file {path.name}, {found.n_obs:,} cells",
        target=TARGET,
        params={"path": str(path)},
        roles=map_roles(found.obs, obs, path.name),
        layer=layer,
        options=checked_options(options or {}, found.var, path.name),
        modalities=found.modalities,
        species=found.species,
        study=found.study or stem(path),
        n_obs=found.n_obs,
        source=str(path),
    )


def checked_options(options: Mapping[str, Any], var: tuple[str, ...], where: str) -> dict[str, Any]:
    """Those options that were given, typed, with `gene_key` known to be a column of `var`.

    Raises
    ------
    BadInput
        If an option or the column does not exist, or a value is of the wrong kind.
    """
    typed = config.as_dict(config.build(DataOptions, options, f"dataset {where}"))
    if typed["gene_key"] and typed["gene_key"] not in var:
        raise unknown(f"var column of {where}:", typed["gene_key"], var, "Name one with --data-set gene_key=COLUMN.")
    return {key: typed[key] for key in options}


def load_h5ad(path: str) -> ad.AnnData:
    """Read a file that has been checked to be safe; nothing of its `uns` is kept.

    Raises
    ------
    BadInput
        If the file is refused, or anndata cannot read it.
    """
    import warnings

    import anndata as ad

    safety.check(Path(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old formats, repeated names: handled and noted in canonicalise
            data = ad.read_h5ad(path)
    except MemoryError:
        raise
    except Exception as error:  # whatever anndata meets in a damaged or exotic file is about the file
        reason = (str(error).splitlines() or [""])[0][:200]
        raise BadInput(f"anndata cannot read {path}: {type(error).__name__}: {reason}; write the file again.") from None
    data.uns.clear()
    return data
