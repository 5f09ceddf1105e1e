"""Several AnnData made one: stacked by cells within a modality, paired by cell names between modalities."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from bench.errors import BadInput


@dataclass(frozen=True)
class Part:
    """One file of a set."""

    name: str
    modality: str
    declared: bool
    """Whether the set gives the modality, rather than the file."""
    obs: Mapping[str, str]
    """Constant columns."""
    data: ad.AnnData


def join(parts: list[Part], where: str) -> ad.AnnData:
    """One AnnData of all parts, with what was changed in `uns["notices"]`.

    `X`, the layers that all parts have, and `raw` where all have it, are joined. Rows follow the files
    of the first modality.

    Parameters
    ----------
    parts
        In the order of the set.
    where
        The set, for messages.

    Raises
    ------
    BadInput
        If stacked parts share no gene, or paired parts do not hold the same cells.
    """
    notices: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # repeated names: settled, and noted, in canonicalise
        result = _join([_prepared(part) for part in parts], where, notices)
        raws = [(part, part.data.raw) for part in parts if part.data.raw is not None]
        if len(raws) == len(parts):
            frozen = [_prepared(replace(part, data=raw.to_adata())) for part, raw in raws]
            result.raw = _join(frozen, where, [])
    result.uns["notices"] = notices
    return result


def _join(parts: list[Part], where: str, notices: list[str]) -> ad.AnnData:
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(part.modality, []).append(part)
    return _pair([_stack(group, where, notices) for group in groups.values()], where)


def _prepared(part: Part) -> Part:
    """Copy of a part that carries its constants and a declared modality as columns."""
    source = part.data
    data = ad.AnnData(
        X=None if source.X is None else sparse.csr_matrix(source.X),
        obs=source.obs.assign(**part.obs),
        var=source.var.assign(feature_types=part.modality) if part.declared else source.var.copy(),
        layers={name: sparse.csr_matrix(layer) for name, layer in source.layers.items()},
    )
    return replace(part, data=data)


def _stack(parts: list[Part], where: str, notices: list[str]) -> ad.AnnData:
    """Cells of all parts, genes that all of them have, in the order of the first."""
    if len(parts) == 1:
        return parts[0].data
    genes = _common_genes(parts, where, notices)
    frames = [part.data.obs for part in parts]
    names = [np.asarray(frame.index, dtype=str) for frame in frames]
    if len(set(np.concatenate(names))) < sum(map(len, names)):
        notices.append(f"cell names repeat between files of {where}; made unique by the file's number: NAME-1, NAME-2.")
        names = [np.array([f"{name}-{k}" for name in own], dtype=str) for k, own in enumerate(names, start=1)]
    obs = pd.concat([frame.astype(object) for frame in frames])
    obs.index = pd.Index(np.concatenate(names), dtype=object)
    columns = [part.data.var_names.get_indexer(genes) if genes is not None else slice(None) for part in parts]
    layers = set.intersection(*(set(part.data.layers) for part in parts))
    picked = list(zip(parts, columns, strict=True))
    has_x = all(part.data.X is not None for part in parts)
    return ad.AnnData(
        X=sparse.vstack([p.data.X[:, c] for p, c in picked], format="csr") if has_x else None,
        obs=obs,
        var=parts[0].data.var.iloc[columns[0]],
        layers={n: sparse.vstack([p.data.layers[n][:, c] for p, c in picked], format="csr") for n in sorted(layers)},
    )


def _common_genes(parts: list[Part], where: str, notices: list[str]) -> pd.Index | None:
    """Names all parts share; None where all parts have the same genes in the same order."""
    indexes = [part.data.var_names for part in parts]
    if all(index.equals(indexes[0]) for index in indexes):
        return None
    for part, index in zip(parts, indexes, strict=True):
        if not index.is_unique:
            twice = index[index.duplicated()]
            raise BadInput(
                f"{part.name} of {where} has {len(twice):,} duplicate gene names (first: {str(twice[0])!r}) and its"
                " genes differ from the other files'; make them unique in the file."
            )
    common = indexes[0][np.logical_and.reduce([indexes[0].isin(index) for index in indexes])]
    if common.empty:
        raise BadInput(f"the files of {where} share no gene; give them the same kind of gene names.")
    notices.append(
        f"genes: the {len(common):,} that all {len(parts)} files share"
        f" (they have {', '.join(f'{len(index):,}' for index in indexes)})."
    )
    return common


def _pair(blocks: list[ad.AnnData], where: str) -> ad.AnnData:
    """Features of all blocks for the same cells, in the order of the first block."""
    first, *others = blocks
    if not others:
        return first
    aligned = [first, *(_aligned(first, other, where) for other in others)]
    layers = set.intersection(*(set(block.layers) for block in blocks))
    obs = first.obs.copy()
    for block in aligned[1:]:
        for column in block.obs.columns.difference(obs.columns):
            obs[column] = block.obs[column].to_numpy()
    has_x = all(block.X is not None for block in aligned)
    return ad.AnnData(
        X=sparse.hstack([block.X for block in aligned], format="csr") if has_x else None,
        obs=obs,
        var=pd.concat([block.var.astype(object) for block in aligned]),
        layers={name: sparse.hstack([b.layers[name] for b in aligned], format="csr") for name in sorted(layers)},
    )


def _aligned(first: ad.AnnData, other: ad.AnnData, where: str) -> ad.AnnData:
    """Cells of `other` in the order of `first`."""
    every = first.obs_names.union(other.obs_names)
    lone = len(every) - len(first.obs_names.intersection(other.obs_names))
    if lone:
        raise BadInput(
            f"{lone:,} of {len(every):,} barcodes not shared between the modalities of {where};"
            " give files of the same cells, with the same names."
        )
    for block in (first, other):
        if not block.obs_names.is_unique:
            raise BadInput(f"cell names repeat within a modality of {where}, so cells cannot be paired; rename them.")
    return other[first.obs_names].copy()
