"""What the tests of `ours` share: real cells as training reads them, and the likelihoods once more, with 60 digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anndata as ad
import mpmath as mp
import numpy as np
import pytest

from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset
from bench.data.cells.vocabulary import Vocabulary

Answer = tuple[Any, tuple[Any, ...]]
"""A negative log-likelihood and its gradient by each parameter."""


@pytest.fixture(scope="session")
def blood(pbmc: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> CellDataset:
    """The 700 blood cells and 765 genes of `pbmc` as training reads them, with their types."""
    folder = tmp_path_factory.mktemp("blood")
    pbmc.write_h5ad(folder / "blood.h5ad")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE_DIR", str(folder))
        store = store_of(folder / "blood.h5ad")
    return CellDataset([store], Vocabulary.of([store]), columns=("cell_type",))


@pytest.fixture
def reference() -> Iterator[SimpleNamespace]:
    """Textbook formulas in numbers of 60 digits: name -> (parameters, k) -> value and gradient; and their grid."""
    with mp.workdps(60):
        yield SimpleNamespace(of=REFERENCE, grid=grid, error=error)


def error(ours: float, exact: Any) -> float:
    """The difference as a share of max(1, |exact|); infinite where ours is not finite."""
    return float(abs(mp.mpf(ours) - exact) / max(1, abs(exact))) if np.isfinite(ours) else np.inf


def grid(name: str) -> np.ndarray:
    """Float64 (n, parameters + 1): log rate, log theta, zeta and k, the first three exact in float32."""
    rates = [-8, -7, -6, -5, -4, -3, -2, -1, -0.3, 0, 0.3, 1, 2, 3, 4, 5, 6]
    thetas = [-4, -3, -2, -1, 0, 0.5, 1, 2, 3, 4, 6]
    zetas = [-20, -3, 0, 3, 20]
    counts = [0, 1, 2, 3, 10, 100, 1000, 10000]
    natural = [np.float32(np.log(10) * np.array(powers)) for powers in (rates, thetas)]
    axes = [*[*natural, np.float32(zetas)][: len(PARAMETERS[name])], counts[name in ("ztp", "ztnb") :]]
    return np.array(list(product(*axes)), dtype=np.float64)


PARAMETERS = {
    "poisson": ("eta",),
    "ztp": ("eta",),
    "nb": ("eta", "tau"),
    "ztnb": ("eta", "tau"),
    "zinb": ("eta", "tau", "zeta"),
}

_log_gamma = lru_cache(None)(mp.loggamma)
_digamma = lru_cache(None)(mp.digamma)


def _poisson(eta: Any, k: int) -> Answer:
    rate = mp.exp(eta)
    return rate - k * eta + _log_gamma(k + 1), (rate - k,)


def _truncated_poisson(eta: Any, k: int) -> Answer:
    rate = mp.exp(eta)
    loss, (slope,) = _poisson(eta, k)
    return loss + mp.log(-mp.expm1(-rate)), (slope + rate / mp.expm1(rate),)


def _zero(eta: Any, tau: Any) -> tuple[Any, Any, Any]:
    """-log P(0) of the negative binomial, and its slopes."""
    mu, theta = mp.exp(eta), mp.exp(tau)
    return (
        theta * mp.log1p(mu / theta),
        theta * mu / (theta + mu),
        theta * (mp.log1p(mu / theta) - mu / (theta + mu)),
    )


def _negative_binomial(eta: Any, tau: Any, k: int) -> Answer:
    mu, theta = mp.exp(eta), mp.exp(tau)
    zero, _, _ = _zero(eta, tau)
    loss = _log_gamma(theta) - _log_gamma(theta + k) + _log_gamma(k + 1) + k * mp.log1p(theta / mu) + zero
    by_theta = _digamma(theta) - _digamma(theta + k) + (k - mu) / (theta + mu) + mp.log1p(mu / theta)
    return loss, (theta * (mu - k) / (theta + mu), theta * by_theta)


def _truncated_negative_binomial(eta: Any, tau: Any, k: int) -> Answer:
    loss, slopes = _negative_binomial(eta, tau, k)
    zero, *by = _zero(eta, tau)
    return loss + mp.log(-mp.expm1(-zero)), tuple(s + z / mp.expm1(zero) for s, z in zip(slopes, by, strict=True))


def _zero_inflated(eta: Any, tau: Any, zeta: Any, k: int) -> Answer:
    share = 1 / (1 + mp.exp(-zeta))
    if k:
        loss, slopes = _negative_binomial(eta, tau, k)
        return loss + mp.log1p(mp.exp(zeta)), (*slopes, share)
    zero, *by = _zero(eta, tau)
    counted = mp.exp(-zero) / (1 + mp.exp(zeta))
    chance = share + counted
    by_share = share * mp.expm1(-zero) / (1 + mp.exp(zeta)) / chance
    return -mp.log(chance), (*(counted / chance * z for z in by), by_share)


REFERENCE: dict[str, Callable[..., Answer]] = {
    name: lru_cache(None)(function)
    for name, function in {
        "poisson": _poisson,
        "ztp": _truncated_poisson,
        "nb": _negative_binomial,
        "ztnb": _truncated_negative_binomial,
        "zinb": _zero_inflated,
    }.items()
}


@pytest.fixture(scope="session")
def blood_file(pbmc: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pbmc` as a file, of seven donors, with a cache beside it."""
    cells = pbmc.copy()
    cells.obs["donor"] = [f"d{k % 7}" for k in range(cells.n_obs)]
    path = tmp_path_factory.mktemp("pretraining") / "blood.h5ad"
    cells.write_h5ad(path)
    return path


@pytest.fixture(scope="session")
def pretrain(blood_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Trains `ours` as the verb does and returns the folder: `pretrain({"model.width": 16}, config="nano")`."""
    from bench.training.command import Training
    from bench.training.configure import configured
    from bench_ours import pretraining
    from bench_ours.commands import PRETRAIN

    def run(settings: dict[str, Any] | None = None, config: str = "nano", seed: int = 0, **training: Any) -> Path:
        few = {"trainer.max_steps": 3, "trainer.val_every": 0, "data.batch_size": 16, "objective.length": 48}
        chosen = configured(PRETRAIN, config, {**few, **(settings or {})})
        training.setdefault("out", tmp_path_factory.mktemp("trained") / "model")
        training.setdefault("data", (str(blood_file),))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BENCH_CACHE_DIR", str(blood_file.with_name("cache")))
            pretraining.pretrain(
                Training("ours", "pretrain", config=chosen.sections, seed=seed, loggers=("csv",), **training)
            )
        return Path(training["out"])

    return run


@pytest.fixture(scope="session")
def folder(pretrain: Callable[..., Path]) -> Path:
    """A trained folder of few steps."""
    return pretrain()


@pytest.fixture(scope="session")
def asked(blood_file: Path) -> ad.AnnData:
    """The same cells as a model of the benchmark gets them."""
    from bench.data.canonical import canonicalise
    from bench.specs import DatasetSpec

    return canonicalise(
        ad.read_h5ad(blood_file), DatasetSpec("blood", "", "a:b", roles={"donor": "donor", "cell_type": "cell_type"})
    )
