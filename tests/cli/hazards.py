"""Models that go wrong, each in its own way; `fine` does not. A plugin like any other."""

from __future__ import annotations

import os
import signal
import time

from bench.hookspecs import hookimpl
from bench.specs import Cap, DatasetSpec, ModelSpec

WAYS = (
    *("fine", "crash", "exit", "killed", "hang", "hog", "raises"),
    *("nan", "short", "constant", "nothing", "flat", "cube", "text", "objects", "whole", "half", "collapsed", "rogue"),
)


@hookimpl
def bench_models() -> list[ModelSpec]:
    """One zero-shot model per way."""
    embeds = frozenset({Cap.EMBEDS_CELLS})
    return [ModelSpec(w, f"goes wrong: {w}", f"hazards:{w.title()}", embeds, fits="no") for w in WAYS]


@hookimpl
def bench_datasets() -> list[DatasetSpec]:
    """Data that is on disk still, and a column that no file can hold."""
    return [
        DatasetSpec("backed", "opened on disk", "hazards:backed", {"file": ""}, {"cell_type": "cell_type"}),
        DatasetSpec("mixed", "labels of several kinds", "hazards:mixed", {"file": ""}, {"cell_type": "cell_type"}),
    ]


def backed(file):
    import anndata as ad

    return ad.read_h5ad(file, backed="r")


def mixed(file):
    import anndata as ad

    data = ad.read_h5ad(file)
    data.obs["cell_type"] = data.obs["cell_type"].astype(object)
    data.obs.iloc[17, data.obs.columns.get_loc("cell_type")] = 0.5
    return data


class Fine:
    """Sums of gene blocks: a real if humble embedding."""

    def __init__(self, config, *, weights, seed, device):
        pass

    def fit(self, cells):
        pass

    def embed(self, cells):
        import numpy as np

        blocks = np.array_split(np.log1p(cells.X.toarray()), 8, axis=1)
        return np.column_stack([block.sum(axis=1) for block in blocks]).astype("float32")


class Crash(Fine):
    def embed(self, cells):
        os.kill(os.getpid(), signal.SIGSEGV)


class Exit(Fine):
    def embed(self, cells):
        os._exit(7)


class Killed(Fine):
    def embed(self, cells):
        os.kill(os.getpid(), signal.SIGKILL)


class Hang(Fine):
    def embed(self, cells):
        time.sleep(600)


class Hog(Fine):
    def embed(self, cells):
        held = []
        for _ in range(200):
            held.append(bytearray(os.urandom(1 << 20)) * 32)
            time.sleep(0.01)
        return super().embed(cells)


class Raises(Fine):
    def embed(self, cells):
        print("about to fail")
        raise RuntimeError("the model broke")


class Nan(Fine):
    def embed(self, cells):
        values = super().embed(cells)
        values[5] = float("nan")
        return values


class Short(Fine):
    def embed(self, cells):
        return super().embed(cells)[:-1]


class Constant(Fine):
    def embed(self, cells):
        return super().embed(cells) * 0 + 1


class Flat(Fine):
    def embed(self, cells):
        return super().embed(cells)[:, 0]


class Text(Fine):
    def embed(self, cells):
        return super().embed(cells).astype(str)


class Cube(Fine):
    def embed(self, cells):
        return super().embed(cells)[:, :, None]


class Objects(Fine):
    def embed(self, cells):
        return super().embed(cells).astype(object)


class Nothing(Fine):
    def embed(self, cells):
        return super().embed(cells)[:, :0]


class Whole(Fine):
    def embed(self, cells):
        return (100 * super().embed(cells)).astype("int64")


class Half(Fine):
    def embed(self, cells):
        return super().embed(cells).astype("float16")


class Collapsed(Fine):
    def embed(self, cells):
        values = super().embed(cells)
        values[len(values) // 4 :] = 0
        return values


class Rogue(Fine):
    """Reads labels, changes what it is given and mixes up its rows."""

    def embed(self, cells):
        import numpy as np

        values = super().embed(cells)
        if "cell_type" in cells.obs:
            values[:, 0] += cells.obs["cell_type"].astype(str).map(hash_of).to_numpy(dtype="float32")
        values = values[np.argsort(values[:, 1], kind="stable")]
        cells.X.data[:] = 1
        return values


def hash_of(label):
    return sum(map(ord, label))
