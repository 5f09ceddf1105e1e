"""`bench data prepare`: one file of integer counts with checked names, quality columns, and a report of what was done.

The order of steps, which the report repeats with what each removed:

1. The counts are found and checked, cell names made unique, roles read (`bench.data`); cells without a count or,
   as chosen, without a label are dropped.
2. Genes are looked up and named (`--map-genes`), and genes that share a name then are settled
   (`--duplicate-genes`).
3. Quality is measured over all genes, and cells are filtered: `--min-counts`, `--min-genes`, `--max-genes`,
   `--max-percent-mt`.
4. Genes are dropped: `--drop-unmapped`, `--biotype`, then `--min-cells` over the cells that are left.
5. Cells that have no count left are dropped.

Filters are computed on features that measure genes; antibodies and peaks are kept as they are.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from bench import config
from bench.atomic import replacing
from bench.data import counts, genes
from bench.data import obs as cells
from bench.data.identity import content_sha256, dataset_identity
from bench.data.options import DataOptions
from bench.errors import BadInput
from bench.preparation import features, frames, quality
from bench.preparation.features import Named
from bench.preparation.options import Options
from bench.preparation.report import Account, Report
from bench.runs.choose import resolve_dataset
from bench.specs import DatasetSpec, load_target

if TYPE_CHECKING:
    import anndata as ad

VERSIONS = ("bench-harness", "anndata", "scanpy", "numpy", "scipy", "pandas")
"""Distributions whose versions are kept with the file."""


def prepare(
    data: str | Path,
    out: Path | None,
    options: Options,
    *,
    obs: Mapping[str, str] | None = None,
    layer: str = "",
    data_set: Mapping[str, Any] | None = None,
) -> Report:
    """Write a file that `bench run --dataset` takes at once.

    `X` holds integer counts (CSR float32); `obs` the roles, the columns of the source and those of
    `bench.preparation.quality`; `var` `gene_symbol`, `ensembl_id`, `biotype`, `feature_types` and the columns of the
    source; `obsm` its embeddings; `uns["bench_prepare"]` the report as JSON. The file appears whole or not at all.

    Parameters
    ----------
    data
        A `.h5ad` file, a `.toml` set, or the name of a dataset.
    out
        The `.h5ad` file to write; None: only the report.
    options
        Filters and names.
    obs, layer, data_set
        As in `bench run`.

    Raises
    ------
    BadInput
        If the data or an option is refused, nothing is left, or the file cannot be written.
    """
    spec = resolve_dataset(str(data), obs or {}, layer, data_set or {})
    raw = load_target(spec.target)(**spec.params)
    result, report = prepared(raw.to_memory() if raw.isbacked else raw, spec, options)
    if out is not None:
        _write(result, out)
    return report


def prepared(raw: ad.AnnData, spec: DatasetSpec, options: Options) -> tuple[ad.AnnData, Report]:
    """The same for an AnnData in memory, which is not changed.

    Parameters
    ----------
    raw
        What the dataset's loader returned.
    spec
        Says which columns have which role, where the counts are, and what to do with imperfect data.
    options
        Filters and names.

    Raises
    ------
    BadInput
        As `prepare`.
    """
    where = f"dataset {spec.name}"
    data_options: DataOptions = config.build(DataOptions, spec.options, where)
    if 0 in raw.shape:
        raise BadInput(f"{where} is empty: {raw.n_obs:,} cells x {raw.n_vars:,} genes; give one with both.")
    account = Account(raw.n_obs, raw.n_vars, notices=[str(notice) for notice in raw.uns.get("notices", ())])
    found = counts.find(raw, spec.layer, where)
    account.notices += found.notices
    account.features = found.matrix.shape[1]
    roles = cells.canonical_obs(raw.obs, spec.roles, where, account.notices)
    keep = _wanted(roles, found.matrix, data_options, account, where)
    before = genes.canonical_var(found.var, data_options, where, account.notices)
    species = features.whose(before, spec.species, options, where, account.notices)
    named = features.named(before, species, options, where, account.notices)
    work = _merged(found, named, data_options.duplicate_genes, account, where)
    measured = quality.metrics(work.matrix, features.are_genes(work.var), work.mitochondrial)
    keep = quality.filter_cells(measured, options, account, keep, roles.index.tolist(), where)
    kept = _chosen_genes(work, keep, options, account)
    keep = _counted(work.matrix, keep, kept, account, roles.index)
    _require_something(keep, kept, account, where)
    table = frames.obs_of(raw.obs, roles, spec.roles, options.keep_obs, account.notices)
    result = _assembled(raw, work, table, measured, (keep, kept), account)
    report = Report(
        **_asked(spec, options, data_options),
        species=species,
        counts=found.origin,
        cells=(raw.n_obs, result.n_obs),
        features=_kinds(before, result.var),
        steps=tuple(account.steps),
        quality=quality.summary(measured[keep]),
        gene_table=named.table,
        mapping=named.report,
        notices=tuple(account.notices),
    )
    # bench reads these back from there; what is only likely of the species is not written down as known
    result.uns["bench_source"] = {"study": spec.study, "organism": options.species or spec.species}
    result.uns["bench_prepare"] = json.dumps(report.document())
    return result, report


def _asked(spec: DatasetSpec, options: Options, data_options: DataOptions) -> dict[str, Any]:
    """The part of a report that is known before the first step: of what, how, and by which versions."""
    return {
        "source": Path(str(spec.params.get("path", spec.name))).name,
        "source_sha256": content_sha256(spec) or dataset_identity(spec),
        "study": spec.study,
        "options": {
            **config.as_dict(options),
            **config.as_dict(data_options),
            "layer": spec.layer,
            "obs": dict(spec.roles),
        },
        "versions": {name: metadata.version(name) for name in VERSIONS},
    }


@dataclass(frozen=True)
class _Work:
    """Counts under names that are unique."""

    matrix: sparse.csr_matrix
    var: pd.DataFrame
    """With the columns of the source."""
    mapped: np.ndarray
    mitochondrial: np.ndarray


def _wanted(
    roles: pd.DataFrame, matrix: sparse.csr_matrix, options: DataOptions, account: Account, where: str
) -> np.ndarray:
    """Cells with counts and, as chosen, a label."""
    names, every = roles.index.tolist(), np.ones(len(roles), dtype=bool)
    totals = np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel()
    keep = cells.wanted(roles, totals, options, where, account.notices)
    counted = account.drop_cells("empty cells", "no counts", every, totals > 0, names)
    if keep.sum() < counted.sum():
        account.drop_cells("unlabelled", "no cell_type (--data-set unlabelled=drop)", counted, keep, names)
    return keep


def _merged(found: counts.Counts, named: Named, how: str, account: Account, where: str) -> _Work:
    """Genes that share a name settled as chosen; of what is said about them the first counts."""
    var = frames.var_of(found.var, named.var, account.notices).assign(_position=np.arange(len(named.var)))
    matrix, var = genes.settle_duplicates(found.matrix, var, how, where, account.notices)
    if len(var) < account.features:
        account.merge_features("counts added up" if how == "sum" else "the first of each kept", len(var))
    first = var["_position"].to_numpy(dtype=int)
    return _Work(matrix, var.drop(columns="_position"), named.mapped[first], named.mitochondrial[first])


def _chosen_genes(work: _Work, keep: np.ndarray, options: Options, account: Account) -> np.ndarray:
    """(n_features,) bool."""
    names, are_genes = work.var.index.tolist(), features.are_genes(work.var)
    kept = np.ones(len(names), dtype=bool)
    if options.drop_unmapped:
        kept = account.drop_features("--drop-unmapped", "not in the gene table", kept, work.mapped, names)
    if options.biotype:
        right = ~are_genes | work.var["biotype"].isin(options.biotype).to_numpy(dtype=bool)
        kept = account.drop_features("--biotype", f"not {' or '.join(options.biotype)}", kept, right, names)
    return quality.filter_genes(work.matrix[keep], are_genes, options, account, kept, names)


def _counted(
    matrix: sparse.csr_matrix, keep: np.ndarray, kept: np.ndarray, account: Account, names: pd.Index
) -> np.ndarray:
    """Cells that have counts in the features that are left."""
    totals = np.asarray(matrix[:, kept].sum(axis=1, dtype=np.float64)).ravel()
    if (keep & (totals == 0)).any():
        keep = account.drop_cells("empty cells", "no counts in what is left", keep, totals > 0, names.tolist())
    return keep


def _require_something(keep: np.ndarray, kept: np.ndarray, account: Account, where: str) -> None:
    if keep.any() and kept.any():
        return
    told = "; ".join(
        f"{step.step} dropped {step.cells_removed or step.features_removed:,} ({step.why})"
        for step in account.steps
        if step.cells_removed or step.features_removed
    )
    left = f"{int(keep.sum()):,} of {len(keep):,} cells and {int(kept.sum()):,} of {len(kept):,} features left"
    raise BadInput(f"{where} is empty after filtering: {left} ({told}); filter less.")


def _assembled(
    raw: ad.AnnData,
    work: _Work,
    obs: pd.DataFrame,
    measured: pd.DataFrame,
    chosen: tuple[np.ndarray, np.ndarray],
    account: Account,
) -> ad.AnnData:
    """The AnnData to write."""
    import anndata as ad

    keep, kept = chosen
    matrix = work.matrix[keep][:, kept]
    matrix.sort_indices()
    replaced = [name for name in measured if name in obs]
    if replaced:
        account.notices.append(f"obs columns measured again: {', '.join(map(str, replaced))}.")
    obs = pd.concat([obs.drop(columns=replaced), measured.set_axis(obs.index, axis=0)], axis=1)
    parts = {"layers": raw.layers, "varm": raw.varm, "obsp": raw.obsp, "varp": raw.varp}
    lost = [f"{part} {', '.join(map(str, values))}" for part, values in parts.items() if len(values)]
    if lost:
        account.notices.append(f"left out: {'; '.join(lost)}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ad.AnnData(
            X=matrix,
            obs=obs[keep].copy(),
            var=work.var[kept].copy(),
            obsm=frames.embeddings(raw.obsm, keep, account.notices),
        )


def _kinds(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, tuple[int, int]]:
    old, new = before["feature_types"].value_counts(), after["feature_types"].value_counts()
    return {str(kind): (int(number), int(new.get(kind, 0))) for kind, number in old.items()}


def _write(result: ad.AnnData, out: Path) -> None:
    try:
        with replacing(out) as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result.write_h5ad(temporary, compression="gzip")
    except MemoryError:
        raise
    except OSError as error:
        raise BadInput(f"--out {out} cannot be written: {error.strerror or error}.") from None
    except Exception as error:  # whatever anndata and h5py make of a stranger's columns is about the data
        reason = (str(error).splitlines() or [""])[0][:200]
        raise BadInput(f"--out {out}: {type(error).__name__}: {reason}; --drop-obs leaves columns out.") from None
