"""The models of the misfits. `Fine` and its kin pass the whole kit; each other class breaks one promise."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import zlib

import numpy as np
import pandas as pd

from bench.errors import BadInput


def log_shares(cells):
    """Log-normalised counts (n_cells, n_genes)."""
    counts = cells.X.toarray().astype(np.float64)
    return np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))


def vectors(cells, width, seed=0):
    """A vector per gene that follows from its name."""
    return np.stack([np.random.default_rng([seed, zlib.crc32(g.encode())]).normal(size=width) for g in cells.var_names])


def by_name(cells):
    return cells[:, np.argsort(cells.var_names.to_numpy(dtype=str))]


class Fine:
    def __init__(self, config, *, weights, seed, device):
        self.width, self.seed = getattr(config, "width", 8), seed

    def fit(self, cells):
        pass

    def embed(self, cells):
        cells = by_name(cells)
        return (log_shares(cells) @ vectors(cells, self.width, self.seed)).astype(np.float32)


class FineFitted(Fine):
    """Centred on the cells it was fitted on."""

    def fit(self, cells):
        self.mean = super().embed(cells).mean(axis=0)

    def embed(self, cells):
        return super().embed(cells) - self.mean


class FineTransductive(Fine):
    """Knows the cells it was fitted on, by name."""

    def fit(self, cells):
        values = super().embed(cells)
        self.rows = pd.DataFrame(values - values.mean(axis=0), index=cells.obs_names)

    def embed(self, cells):
        places = self.rows.index.get_indexer(cells.obs_names)
        if (places < 0).any():
            raise BadInput("these cells were not in fit.")
        return self.rows.to_numpy()[places]


class FineClassifier(Fine):
    """Nearest class mean."""

    def fit(self, cells):
        labels = cells.obs["cell_type"].to_numpy(dtype=str)
        self.classes = sorted(set(labels))
        values = Fine.embed(self, cells)
        self.means = np.stack([values[labels == name].mean(axis=0) for name in self.classes])

    def predict(self, cells):
        apart = np.linalg.norm(Fine.embed(self, cells)[:, None] - self.means[None], axis=2)
        near = np.exp(apart.min(axis=1, keepdims=True) - apart)
        return pd.DataFrame(near / near.sum(axis=1, keepdims=True), cells.obs_names.copy(), self.classes)


class FineBoth(FineClassifier):
    pass


class FineGenes(Fine):
    def embed_genes(self, ids):
        return pd.DataFrame(np.ones((len(ids), 2)), index=list(ids))


class CannotBeMade(FineGenes):
    def __init__(self, config, *, weights, seed, device):
        raise FileNotFoundError("table.npz")


def vocabulary(config, *, weights, species):
    return frozenset({"CD3D", "MS4A1", *(f"ODD{k}" for k in range(90))})


class FineVocabulary(Fine):
    def embed(self, cells):
        assert set(cells.var["gene_symbol"]) <= vocabulary(None, weights=None, species="human")
        return super().embed(cells)


class FineMouse(Fine):
    def embed(self, cells):
        assert cells.var["ensembl_id"].str.startswith("ENSMUSG").all()
        return super().embed(cells)


class OtherConstructor(Fine):
    def __init__(self, config, seed):
        super().__init__(config, weights=None, seed=seed, device="cpu")


class Short(Fine):
    def embed(self, cells):
        return super().embed(cells)[:-1]


class Flat(Fine):
    def embed(self, cells):
        return super().embed(cells)[:, 0]


class Double(Fine):
    def embed(self, cells):
        return super().embed(cells).astype(np.float64)


class Text(Fine):
    def embed(self, cells):
        return super().embed(cells).astype(str)


class Raises(Fine):
    def embed(self, cells):
        raise RuntimeError("the model broke")


class Exits(Fine):
    def embed(self, cells):
        sys.exit(4)


class Nan(Fine):
    def embed(self, cells):
        values = super().embed(cells)
        values[cells.obs_names.str.startswith("AC")] = np.nan
        return values


class DividesByZero(Fine):
    """Standardises a cell over its genes with counts: one count has no spread."""

    def embed(self, cells):
        counts = cells.X.toarray()
        spread = np.array([row[row > 0].std(ddof=1) if (row > 0).sum() > 1 else np.nan for row in counts])
        return (super().embed(cells) / (1 + spread[:, None])).astype(np.float32)


class Constant(Fine):
    def embed(self, cells):
        return super().embed(cells) * 0 + 1


class Restless(Fine):
    """Draws its gene vectors from no seed."""

    def __init__(self, config, **more):
        super().__init__(config, **more)
        self.seed = int.from_bytes(os.urandom(4), "little")


class Dropout(Fine):
    """Another answer every time it is asked, within what every other check takes for rounding."""

    def embed(self, cells):
        values = super().embed(cells)
        return values + np.float32(1e-6) * np.random.default_rng().normal(size=values.shape).astype(np.float32)


class SortedRows(Fine):
    def embed(self, cells):
        values = super().embed(cells)
        return values[np.argsort(values[:, 0])]


class Neighbourly(Fine):
    """Mixes each cell with the one before it."""

    def embed(self, cells):
        values = super().embed(cells)
        return values + np.roll(values, 1, axis=0)


class UnstableRefit(FineTransductive):
    """Everything hangs on the cell that comes first."""

    def fit(self, cells):
        super().fit(cells)
        self.rows *= (self.rows - self.rows.iloc[0]).abs()


class PositionalGenes(Fine):
    def embed(self, cells):
        blocks = np.array_split(log_shares(cells), self.width, axis=1)
        return np.column_stack([block.sum(axis=1) for block in blocks]).astype(np.float32)


class Centred(Fine):
    """Centred on the cells of the call."""

    def embed(self, cells):
        values = super().embed(cells)
        return values - np.sort(values, axis=0).mean(axis=0)


class BatchOfTwo(Fine):
    """Cells of one call are padded to the longest: only who is alone is treated otherwise."""

    def embed(self, cells):
        values = super().embed(cells)
        return values if len(values) > 1 else values * 1.01


class Squeezed(Fine):
    def embed(self, cells):
        return super().embed(cells).squeeze()


class KnowsOnlyFitted(FineTransductive):
    pass


class ZerosForNew(FineTransductive):
    def embed(self, cells):
        return self.rows.reindex(cells.obs_names).fillna(0).to_numpy()


class UnkindToNew(FineTransductive):
    def embed(self, cells):
        return self.rows.loc[cells.obs_names].to_numpy()


class Peeks(Fine):
    def embed(self, cells):
        values = super().embed(cells)
        return (
            values + (cells.obs["cell_type"].to_numpy(dtype=str) == "B")[:, None]
            if "cell_type" in cells.obs
            else values
        )


class PeeksInFit(FineFitted):
    def fit(self, cells):
        super().fit(cells)
        if "cell_type" in cells.obs:
            self.mean = Fine.embed(self, cells[cells.obs["cell_type"] == "B"]).mean(axis=0)


class NeedsLabels(FineFitted):
    def fit(self, cells):
        super().fit(cells[cells.obs["cell_type"] == "B"])


class PeeksWhenAsked(FineClassifier):
    def predict(self, cells):
        frame = super().predict(cells)
        if "cell_type" in cells.obs:
            told = np.stack([frame.columns == label for label in cells.obs["cell_type"]]).astype(float)
            return pd.DataFrame(told, frame.index, frame.columns)
        return frame


class NormalisesInPlace(Fine):
    def embed(self, cells):
        values = super().embed(cells)
        cells.X.data /= 2
        return values


class AddsColumn(FineFitted):
    def fit(self, cells):
        super().fit(cells)
        cells.obs["n_counts"] = cells.X.sum(axis=1)


class AddsUns(Fine):
    def embed(self, cells):
        cells.uns["log1p"] = {"base": None}
        return super().embed(cells)


class Prints(Fine):
    def embed(self, cells):
        print("embedding ...")
        return super().embed(cells)


class UnkindToGenes(FineFitted):
    def fit(self, cells):
        self.genes = list(cells.var_names)
        super().fit(cells)

    def embed(self, cells):
        return super().embed(cells[:, self.genes] if hasattr(self, "mean") else cells)


class UnkindWeights(Fine):
    def __init__(self, config, *, weights, seed, device):
        super().__init__(config, weights=weights, seed=seed, device=device)
        if weights != "untrained":
            (weights / "table.json").read_text()


class KindWeights(Fine):
    def __init__(self, config, *, weights, seed, device):
        super().__init__(config, weights=weights, seed=seed, device=device)
        if weights != "untrained" and not (weights / "table.json").exists():
            raise BadInput(f"{weights} holds no table.json.")


class Unnormalised(FineClassifier):
    def predict(self, cells):
        return super().predict(cells) * 2


class UnseenClass(FineClassifier):
    def predict(self, cells):
        return super().predict(cells).assign(**{"no such type": 0.0})


class UnnamedRows(FineClassifier):
    def predict(self, cells):
        return super().predict(cells).reset_index(drop=True)


class SwappedNames(FineClassifier):
    """The rows of another order under the names of this one."""

    def predict(self, cells):
        frame = super().predict(cells)
        return pd.DataFrame(frame.sort_values(frame.columns[0]).to_numpy(), frame.index, frame.columns)


class GapsForGenes(UnkindToGenes):
    """Genes that are missing make NaN of everything."""

    def embed(self, cells):
        if hasattr(self, "mean") and not set(self.genes) <= set(cells.var_names):
            return np.full((cells.n_obs, self.width), np.nan, dtype=np.float32)
        return super().embed(cells)


class SecondMinibatch(Fine):
    """In another mode from the second minibatch on."""

    def embed(self, cells):
        values = super().embed(cells)
        values[512:] *= 1.01
        return values


class KnowsBarcodes(Fine):
    def embed(self, cells):
        return super().embed(cells) + np.float32([[zlib.crc32(name[:16].encode()) % 7] for name in cells.obs_names])


class RemembersBarcodes(Fine):
    """Answers of the first time, by name: from a file of them, as it were."""

    def __init__(self, config, **more):
        super().__init__(config, **more)
        self.known = {}

    def embed(self, cells):
        pairs = zip(cells.obs_names, super().embed(cells), strict=True)
        return np.stack([self.known.setdefault(name, row) for name, row in pairs])


class StrangeWords(Fine):
    def __init__(self, config, **more):
        super().__init__(config, **more)
        {"log": 1}[config.scale]


class Crashes(Fine):
    """On half of the cells, and on a single one."""

    def embed(self, cells):
        if cells.n_obs == 120:
            os.kill(os.getpid(), signal.SIGSEGV)
        if cells.n_obs == 1:
            print("bye", file=sys.stderr, flush=True)
            os._exit(7)
        return super().embed(cells)


class Lingers(Fine):
    """Leaves a thread behind, which keeps the process alive."""

    def embed(self, cells):
        threading.Thread(target=time.sleep, args=(600,)).start()
        return super().embed(cells)


class Hangs(Fine):
    def embed(self, cells):
        if cells.n_obs == 120:
            time.sleep(600)
        return super().embed(cells)
