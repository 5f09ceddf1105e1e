"""From names of files to loaders: parts that do not overlap, what is learned from training cells alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from bench import config
from bench.data.cells.loader import CellLoader
from bench.data.cells.module import CellDataModule
from bench.data.cells.options import CollatorConfig, DataConfig, PartsConfig
from bench.data.cells.statistics import GeneStatistics
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput

Written = Callable[..., Path]


@pytest.fixture
def files(written: Written) -> list[Path]:
    """120 and 80 cells of 10 donors at two time points, 30 genes."""
    rng = np.random.default_rng(0)
    paths = []
    for name, n in (("first", 120), ("second", 80)):
        counts = rng.poisson(rng.lognormal(0, 1, 30), (n, 30)).astype(np.float32)
        counts[:, 0] += 1
        obs = pd.DataFrame(
            {
                "donor": rng.choice([f"d{k}" for k in range(10)], n),
                "cell_type": rng.choice(["B", "T", "NK"], n, p=[0.8, 0.15, 0.05]),
                "time_point": rng.choice(["day 2", "day 10"], n),
            },
            index=[f"{name}{k}" for k in range(n)],
        )
        var = pd.DataFrame(index=[f"GENE{k}" for k in range(30)])
        paths.append(written(sparse.csr_matrix(counts), name=name, obs=obs, var=var))
    return paths


def module(files: list[Path], collator: dict[str, Any] | None = None, **options: Any) -> CellDataModule:
    of_collator = CollatorConfig(**{"length": 16, "labels": ("cell_type",), **(collator or {})})
    of_data, parts = DataConfig(**{"batch_size": 8, **options}), PartsConfig(val=0.2, test=0.2)
    data = CellDataModule(files, of_collator, of_data, parts)
    data.setup()
    return data


def cells_of(loader: CellLoader | list[CellLoader]) -> list[int]:
    assert isinstance(loader, CellLoader)
    return [int(cell) for batch in loader for cell in batch.cells]


def test_no_cell_and_no_donor_is_in_two_parts(files: list[Path]) -> None:
    data = module(files)
    obs = pd.concat([store.obs for store in data.dataset.stores])
    parts = [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]
    cells = [set(cells_of(loader)) for loader in parts]
    donors = [set(obs["donor"].iloc[sorted(part)]) for part in cells]
    assert all(donors)
    assert not donors[0] & donors[1]
    assert not donors[2] & (donors[0] | donors[1])
    assert cells_of(data.predict_dataloader()) == list(range(200))


def test_what_was_changed_in_a_file_is_told_with_its_name(
    written: Written, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    counts = np.ones((2, 30), dtype=np.float32)
    counts[1] = 0
    var = pd.DataFrame(index=[f"GENE{k}" for k in range(30)])
    obs = pd.DataFrame({"donor": ["d1", "d2"], "cell_type": ["B", "T"]}, index=["x", "y"])
    module([*files, written(counts, name="third", obs=obs, var=var)])
    assert "third: 1 cells have no counts (first: 'y'); dropped.\n" in capsys.readouterr().err


def test_validation_and_test_are_the_same_every_time_and_whole(files: list[Path]) -> None:
    data = module(files)
    for loader, part in ((data.val_dataloader(), data.parts.val), (data.test_dataloader(), data.parts.test)):
        assert isinstance(loader, CellLoader)
        first, second = list(loader), list(loader)
        assert sorted(int(cell) for batch in first for cell in batch.cells) == part.tolist()
        for one, other in zip(first, second, strict=True):
            assert torch.equal(one.cells, other.cells)
            assert torch.equal(one.inputs.values, other.inputs.values)


def test_statistics_are_of_training_cells_alone(files: list[Path]) -> None:
    data = module(files, {"genes": "rank_top", "expression": "rank", "corruption": "none"})
    assert data.statistics is not None
    assert data.statistics.n_cells == len(data.parts.train)
    expected = GeneStatistics.of(data.dataset, data.parts.train)
    assert np.array_equal(data.statistics.medians, expected.medians)
    assert module(files).statistics is None


def test_a_second_start_reads_what_the_first_has_learned(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"genes": "hvg_fixed"}
    first = module(files, asked)

    def never(*_: object) -> GeneStatistics:
        raise AssertionError("learned again")

    monkeypatch.setattr(GeneStatistics, "of", never)
    second = module(files, asked)
    assert second.statistics is not None
    assert first.statistics is not None
    assert np.array_equal(second.statistics.hvg_rank, first.statistics.hvg_rank)


@pytest.mark.parametrize("sampler", ["random", "block", "weighted", "bucket"])
def test_every_sampler_gives_training_cells(files: list[Path], sampler: str) -> None:
    data = module(files, sampler=sampler, block=4, buffer=16, weight_by="cell_type" if sampler == "weighted" else "")
    cells = cells_of(data.train_dataloader())
    assert len(cells) == len(data.parts.train) // 8 * 8
    assert set(cells) <= set(data.parts.train)
    if sampler != "weighted":
        assert len(set(cells)) == len(cells)


def test_weights_draw_rare_types_more_often(files: list[Path]) -> None:
    data = module(files, sampler="weighted", weight_by="cell_type", scaler=1)
    drawn = data.dataset.codes("cell_type", np.array(cells_of(data.train_dataloader())))
    stored = data.dataset.codes("cell_type", data.parts.train)
    rare = data.dataset.categories["cell_type"].index("NK")
    assert (drawn == rare).mean() > 2 * (stored == rare).mean()


@pytest.mark.parametrize("previous", ["cell", "mean"])
def test_cells_come_with_earlier_ones_of_parts_that_may_be_seen(files: list[Path], previous: str) -> None:
    data = module(files, {"previous": True}, previous=previous)
    when = data.dataset.codes("time_point", np.arange(200))
    first = data.dataset.categories["time_point"].index("day 2")
    for batch in data.train_dataloader():
        assert batch.inputs.segments is not None
        has_earlier = batch.inputs.present[:, batch.inputs.segments == 1].any(dim=1).numpy()
        assert np.array_equal(has_earlier, when[batch.cells.numpy()] != first)
    if previous == "cell":
        source = data.train_dataloader().dataset
        earlier = source.__getitems__(data.parts.train).previous
        assert earlier is not None
        assert set(earlier.cells) <= {-1, *data.parts.train}


@pytest.mark.parametrize("thinning", [{"corruption": "mcv"}, {"view": "binomial"}])
def test_mean_counts_are_not_thinned(files: list[Path], thinning: dict[str, str]) -> None:
    with pytest.raises(BadInput, match=r"thins whole counts, which those of previous=mean are not; choose"):
        module(files, {"previous": True, **thinning}, previous="mean")


@pytest.mark.parametrize("label", ["time_point", "donor"])
def test_what_chooses_the_earlier_cell_is_no_label(files: list[Path], label: str) -> None:
    with pytest.raises(BadInput, match=f"column '{label}' decides which earlier cell the model sees, and would be"):
        module(files, {"previous": True, "labels": (label,)}, lineage=("donor",))


def test_a_model_is_given_new_data_in_its_own_vocabulary(files: list[Path]) -> None:
    trained = module(files, {"genes": "hvg_fixed"})
    options = DataConfig(batch_size=8)
    collator = CollatorConfig(length=16, genes="hvg_fixed", corruption="none")
    other = CellDataModule(files[1:], collator, options, vocabulary=trained.vocabulary, statistics=trained.statistics)
    other.setup("predict")
    assert other.vocabulary is trained.vocabulary
    assert cells_of(other.predict_dataloader()) == list(range(80))


def test_nothing_is_hidden_where_all_cells_are_predicted(files: list[Path]) -> None:
    data = module(files, {"length": 30, "mask_mix": True, "view": "mcv"})
    for batch in data.predict_dataloader():
        assert not batch.inputs.hidden.any()
        assert torch.equal(batch.inputs.values, batch.targets.counts)
        assert torch.equal(batch.inputs.values.sum(dim=1), batch.inputs.depth)


def test_a_checkpoint_is_not_used_with_other_genes_or_categories(files: list[Path]) -> None:
    trained = module(files)
    state = trained.state_dict()
    trained.load_state_dict(state)
    fewer = CellDataModule(files[1:], trained.config, vocabulary=trained.vocabulary, categories={"cell_type": ["B"]})
    fewer.setup()
    with pytest.raises(BadInput, match="the checkpoint knows cell_type as B, NK, T, these data have B; give"):
        fewer.load_state_dict(state)
    same = CellDataModule(files[1:], trained.config, categories=state["origin"]["categories"])
    same.setup()
    with pytest.raises(BadInput, match="the checkpoint was trained on first, second, and the data are second"):
        same.load_state_dict(state)
    other = CellDataModule(files, trained.config, vocabulary=Vocabulary("symbol", trained.vocabulary.names[::-1]))
    other.setup()
    with pytest.raises(BadInput, match="the checkpoint knows other genes than these data have"):
        other.load_state_dict(state)


def test_without_validation_cells_there_is_no_validation(files: list[Path]) -> None:
    data = CellDataModule(files, CollatorConfig(length=16), parts=PartsConfig(val=0, test=0, by="cells"))
    data.setup()
    assert data.val_dataloader() == []
    assert len(data.parts.train) == 200


def test_weighting_needs_a_column(files: list[Path]) -> None:
    with pytest.raises(BadInput, match="weight_by names a column for sampler=weighted"):
        config.build(DataConfig, {"sampler": "weighted"}, "data")
    with pytest.raises(BadInput, match=r"unknown column of obs: 'celltype'. Did you mean 'cell_type'"):
        module(files, sampler="weighted", weight_by="celltype")
