"""Scanorama (Hie et al. 2019) on log-normalised variable genes."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.data.batches import CorrectedCells, batch_labels
from bench.data.features import highly_variable, lognorm

if TYPE_CHECKING:
    import anndata as ad

    from bench.capabilities import Weights
    from bench_scanorama.plugin import ScanoramaConfig


class ScanoramaModel:
    """The merged components of the cells it was fitted on; it has nothing to say about others.

    Neighbours are exact (`approx=False`): those of annoy, scanorama's default, change with the number of
    threads, so that two machines would not agree. Cells are handed over in the order of their names, because
    the random start of scanorama's components meets them row by row.
    """

    def __init__(self, config: ScanoramaConfig, *, weights: Weights, seed: int, device: str) -> None:
        self._config, self._seed = config, seed

    def fit(self, cells: ad.AnnData) -> None:
        """Find a common space and merge the batches in it.

        Raises
        ------
        BadInput
            If there are not two batches, or the batch of a cell is missing.
        """
        batches = batch_labels(cells, "Scanorama")
        names, sizes = np.unique(batches, return_counts=True)
        kept = highly_variable(cells, self._config.n_genes)
        values = lognorm(cells.X)[:, kept]
        in_order = np.argsort(np.asarray(cells.obs_names, dtype=str), kind="stable")
        rows = [in_order[batches[in_order] == name] for name in names]
        merged = _integrate(
            [values[of_batch] for of_batch in rows],
            [np.asarray(cells.var_names, dtype=str)[kept]] * len(names),
            dimred=min(self._config.n_components, *values.shape),
            knn=min(self._config.knn, int(sizes.min())),  # a batch has no more neighbours than cells
            sigma=self._config.sigma,
            alpha=self._config.alpha,
            seed=self._seed,
        )
        vectors = np.empty((cells.n_obs, merged[0].shape[1]), dtype=np.float32)
        for of_batch, part in zip(rows, merged, strict=True):
            vectors[of_batch] = part
        self._cells = CorrectedCells("Scanorama", cells.obs_names.copy(), vectors)

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_components) of cells that were in `fit`; raises `BadInput` for others."""
        return self._cells.of(cells)


def _integrate(tables: list[Any], genes: list[np.ndarray], **options: Any) -> list[np.ndarray]:
    """`scanorama.integrate`, quiet (it counts genes on stdout), with the random states it seeds put back."""
    with contextlib.redirect_stdout(io.StringIO()), _random_states_kept():
        import scanorama

        merged, _ = scanorama.integrate(tables, genes, approx=False, verbose=False, **options)
    return merged


@contextlib.contextmanager
def _random_states_kept() -> Iterator[None]:
    """scanorama seeds numpy and `random` when it is imported and at each call."""
    of_numpy, of_python = np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        np.random.set_state(of_numpy)
        random.setstate(of_python)
