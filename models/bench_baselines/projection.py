"""An embedding that learns nothing: what distances alone carry."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from bench.data.features import lognorm

if TYPE_CHECKING:
    import anndata as ad

    from bench.capabilities import Weights
    from bench_baselines.plugin import ProjectionConfig


class RandomProjection:
    """Gaussian random projection of log-normalised expression (Johnson and Lindenstrauss 1984).

    Each gene has a vector of independent normal numbers with variance 1 / n_components, so that distances
    between cells are kept on average. The vector follows from the seed and the gene's name alone, and genes
    are summed in the order of their names: neither the order of the genes nor the other cells change a
    single bit of the result.
    """

    def __init__(self, config: ProjectionConfig, *, weights: Weights, seed: int, device: str) -> None:
        self._width = config.n_components
        self._seed = seed

    def fit(self, cells: ad.AnnData) -> None:
        """Do nothing."""

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_components)."""
        names = np.asarray(cells.var_names, dtype=str)
        order = np.argsort(names, kind="stable")
        values = lognorm(cells.X)[:, order]
        values.sort_indices()  # the sum below runs in the stored order
        vectors = np.stack([gene_vector(name, self._seed, self._width) for name in names[order]])
        return np.asarray(values @ vectors, dtype=np.float32)


def gene_vector(name: str, seed: int, width: int) -> np.ndarray:
    """Return the float32 (width,) vector of a gene, the same on every machine.

    A wider vector begins with the narrower one, up to its scale. `RandomState` rather than `Generator`:
    numpy promises that its stream never changes (NEP 19).
    """
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    stream = np.random.RandomState(np.frombuffer(digest, dtype="<u4"))
    return (stream.standard_normal(width) / np.sqrt(width)).astype(np.float32)
