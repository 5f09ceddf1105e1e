"""A training that Lightning stops and resumes sees the cells, and the corruption, that it would have seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from scipy import sparse

from bench.data.cells.batch import CellBatch
from bench.data.cells.loader import CellLoader
from bench.data.cells.module import CellDataModule
from bench.data.cells.options import CollatorConfig, DataConfig
from bench.data.cells.parts import PartsConfig
from bench.errors import BadInput

STEPS = 6
"""Of an epoch."""


class Watcher(LightningModule):
    """Predicts depth by the values it sees, and keeps what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.Linear(16, 1)
        self.seen: list[tuple[list[int], bytes]] = []
        self.validated: list[tuple[list[int], bytes]] = []

    def training_step(self, batch: CellBatch) -> torch.Tensor:
        self.seen.append(_told(batch))
        return (self.weights(batch.inputs.values)[:, 0] - batch.inputs.depth).square().mean()

    def validation_step(self, batch: CellBatch) -> None:
        self.validated.append(_told(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


def _told(batch: CellBatch) -> tuple[list[int], bytes]:
    return batch.cells.tolist(), batch.inputs.values.numpy().tobytes() + batch.targets.scored.numpy().tobytes()


@pytest.fixture
def file(written: Callable[..., Path]) -> Path:
    return write(written, seed=0)


def write(written: Callable[..., Path], seed: int) -> Path:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(1.0, (60, 30)).astype(np.float32)
    counts[:, 0] += 1
    obs = pd.DataFrame({"donor": [f"d{k % 10}" for k in range(60)]}, index=[f"cell{k}" for k in range(60)])
    var = pd.DataFrame(index=[f"GENE{k}" for k in range(30)])
    return written(sparse.csr_matrix(counts), obs=obs, var=var)


def data_of(file: Path, seed: int = 0, val: float = 0.1, **options: Any) -> CellDataModule:
    parts, options = PartsConfig(val=val, test=0.1), {"batch_size": 8, **options}
    return CellDataModule([file], CollatorConfig(length=16), DataConfig(**options), parts, seed=seed)


def train(
    folder: Path, data: CellDataModule, steps: int, resume: Path | None = None, **options: Any
) -> tuple[Watcher, Trainer]:
    torch.manual_seed(0)
    model = Watcher()
    trainer = Trainer(
        max_steps=steps,
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1)],
        **options,
    )
    trainer.fit(model, data, ckpt_path=resume, weights_only=False)
    return model, trainer


@pytest.fixture
def whole(file: Path, tmp_path: Path) -> Watcher:
    """14 steps without a stop: two epochs, and two steps of the third."""
    return train(tmp_path / "whole", data_of(file), 14)[0]


def test_an_epoch_has_as_many_steps_as_it_has_batches(whole: Watcher) -> None:
    epochs = [whole.seen[:STEPS], whole.seen[STEPS : 2 * STEPS]]
    cells = [sorted(cell for told, _ in epoch for cell in told) for epoch in epochs]
    assert all(len(set(epoch)) == 8 * STEPS for epoch in cells)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("limit", [None, 2])
def test_validation_sees_the_same_in_every_epoch(file: Path, tmp_path: Path, limit: int | None) -> None:
    """Also after the few batches that Lightning tries before it trains, and where it is cut short."""
    data = data_of(file, val=0.3, batch_size=4)
    model, _ = train(tmp_path, data, 14, num_sanity_val_steps=1, limit_val_batches=limit)
    loader = data.val_dataloader()
    assert isinstance(loader, CellLoader)
    expected = [_told(batch) for batch in loader][:limit]
    assert len(loader) > 2
    assert model.validated == [expected[0], *expected * ((len(model.validated) - 1) // len(expected))]
    assert len(model.validated) > len(expected)


@pytest.mark.parametrize("stop", [1, 5, 6, 7, 11, 12, 13])
def test_a_resumed_training_sees_what_it_would_have_seen(whole: Watcher, file: Path, tmp_path: Path, stop: int) -> None:
    checkpoint = tmp_path / "whole" / f"step={stop}.ckpt"
    resumed, trainer = train(tmp_path / "resumed", data_of(file), 14, checkpoint)
    assert resumed.seen == whole.seen[stop:]
    assert trainer.global_step == 14
    assert torch.equal(resumed.weights.weight, whole.weights.weight)


@pytest.mark.parametrize("stop", [3, 8])
def test_workers_do_not_change_where_a_training_goes_on(whole: Watcher, file: Path, tmp_path: Path, stop: int) -> None:
    train(tmp_path / "helped", data_of(file, workers=2), stop)
    checkpoint = tmp_path / "helped" / f"step={stop}.ckpt"
    resumed, _ = train(tmp_path / "resumed", data_of(file), 14, checkpoint)
    assert resumed.seen == whole.seen[stop:]


def test_a_training_cut_short_in_each_epoch_begins_the_next_anew(whole: Watcher, file: Path, tmp_path: Path) -> None:
    short, _ = train(tmp_path / "short", data_of(file), 6, limit_train_batches=3)
    assert short.seen == whole.seen[:3] + whole.seen[STEPS : STEPS + 3]
    resumed, _ = train(tmp_path / "again", data_of(file), 6, tmp_path / "short" / "step=4.ckpt", limit_train_batches=3)
    assert resumed.seen == whole.seen[STEPS + 1 : STEPS + 3]


def test_other_data_parts_or_order_are_not_resumed(
    whole: Watcher, file: Path, tmp_path: Path, written: Callable[..., Path]
) -> None:
    checkpoint = tmp_path / "whole" / "step=3.ckpt"
    for data, words in (
        (data_of(file, val=0.3), "the cells are divided otherwise than for the checkpoint"),
        (data_of(file, seed=1), "order: Random, seed 0, and now it is Random, seed 1"),
        (data_of(file, sampler="block"), "now it is Blocks, seed 0, blocks of"),
        (data_of(file, batch_size=7), "after 24 cells of an epoch, no whole number of steps of 7"),
    ):
        with pytest.raises(BadInput, match=words):
            train(tmp_path / "other", data, 12, checkpoint)
    changed = write(written, seed=1)
    with pytest.raises(BadInput, match="cells changed since the checkpoint was written"):
        train(tmp_path / "other", data_of(changed), 12, checkpoint)


def test_a_file_that_was_renamed_is_the_same_data(whole: Watcher, file: Path, tmp_path: Path) -> None:
    renamed = file.rename(tmp_path / "renamed.h5ad")
    resumed, _ = train(tmp_path / "resumed", data_of(renamed), 14, tmp_path / "whole" / "step=12.ckpt")
    assert resumed.seen == whole.seen[12:]


def test_a_model_is_tested_on_other_files_but_not_on_other_genes(
    whole: Watcher, tmp_path: Path, written: Callable[..., Path]
) -> None:
    checkpoint = tmp_path / "whole" / "step=3.ckpt"
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, default_root_dir=tmp_path)
    model, other = Watcher(), data_of(write(written, seed=1))
    trainer.validate(model, other, ckpt_path=checkpoint, verbose=False, weights_only=False)
    assert sorted(cell for cells, _ in model.validated for cell in cells) == other.parts.val.tolist()
    others = pd.DataFrame(index=[f"OTHER{k}" for k in range(30)])
    obs = pd.DataFrame({"donor": list("abcdefghij")}, index=list("abcdefghij"))
    file = written(sparse.csr_matrix(np.ones((10, 30), dtype=np.float32)), name="others", obs=obs, var=others)
    with pytest.raises(BadInput, match="the checkpoint knows other genes"):
        trainer.validate(Watcher(), data_of(file), ckpt_path=checkpoint, verbose=False, weights_only=False)
