"""The verbs of the command line for notebooks and scripts: `import bench; bench.run(...)`.

Names that a package of the core has (`bench.data`) cannot be verbs here: `bench data show` is `outline`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from bench.conformance.report import Report as Conformance
    from bench.preparation.outline import Outline
    from bench.preparation.report import Report as Preparation
    from bench.runs.embed import Embedded
    from bench.store.diff.compare import Comparison
    from bench.training.command import Verb
    from bench.training.fitted import Fitted

Names = str | Sequence[str]


def run(
    model: Names = (),
    task: Names = (),
    dataset: Names | Path = (),
    *,
    seed: int | Sequence[int] = 0,
    embedding: str = "",
    set: Mapping[str, Any] | None = None,
    task_set: Mapping[str, Any] | None = None,
    data_set: Mapping[str, Any] | None = None,
    obs: Mapping[str, str] | None = None,
    layer: str = "",
    weights: str = "",
    baselines: bool = False,
    device: str = "cpu",
    jobs: int = 1,
    executor: Literal["local", "inline"] = "local",
    timeout: float | None = None,
    max_memory: int | None = None,
    force: bool = False,
    retry_failed: bool = False,
    results: str | Path | None = None,
) -> pd.DataFrame:
    """Examine models on tasks, as `bench run` does.

    Parameters
    ----------
    model, task, dataset
        One name or several; a dataset may be a path.
    seed
        Of the model; several make several runs.
    timeout, max_memory
        Seconds and bytes of one run.
    results
        The results folder; else `$BENCH_RESULTS`, else `./results`.

    Other parameters are the options of `bench run`.

    Returns
    -------
    One row per run and headline metric, see `results`.

    Raises
    ------
    BadInput
        For unknown names, wrong options or unreadable data, and where nothing goes together: nothing has
        been run then. What does not go together in a grid is a warning.
    """
    from bench.runs.request import Request
    from bench.runs.run import Policy
    from bench.runs.run import run as run_request
    from bench.runs.supervise import Limits
    from bench.store.location import results_dir

    folder = results_dir(Path(results) if results else None)
    request = Request(
        tasks=_several(task),
        models=_several(model),
        datasets=_several(dataset),
        seeds=[seed] if isinstance(seed, int) else list(seed),
        embedding=embedding,
        set=set or {},
        task_set=task_set or {},
        data_set=data_set or {},
        obs=obs or {},
        layer=layer,
        weights=weights,
        baselines=baselines,
        device=device,
    )
    policy = Policy(folder, jobs, executor, Limits(timeout, max_memory), force=force, retry_failed=retry_failed)
    outcome = run_request(request, policy)
    if outcome.refusals and not outcome.records:
        raise BadInput("; ".join(map(str, outcome.refusals)))
    for refusal in outcome.refusals:
        warnings.warn(f"skipped {refusal}", stacklevel=2)
    return results_frame(folder, run_id=[record["run_id"] for record in outcome.records])


def results(results: str | Path | None = None, **filters: Any) -> pd.DataFrame:
    """What was measured: one row per run and headline metric, as `bench results --csv` gives it.

    Parameters
    ----------
    results
        The results folder; else `$BENCH_RESULTS`, else `./results`.
    **filters
        See `bench.store.queries.results`: `model="pca"`, `task=[...]`, `controls=True` ...
    """
    from bench.store.location import results_dir

    return results_frame(results_dir(Path(results) if results else None), **filters)


def results_frame(folder: Path, **filters: Any) -> pd.DataFrame:
    """Bring the index of a results folder up to date and ask it."""
    from bench.store import queries
    from bench.store.index import Store

    store = Store(folder)
    store.sync()
    return queries.results(store, **filters)


def embed(model: str, data: str | Path, out: str | Path, **options: Any) -> Embedded:
    """Write a file again with `obsm["X_<model>"]`, as `bench embed` does; see `bench.runs.embed.embed`."""
    from bench.runs.embed import embed as embed_file

    return embed_file(model, Path(data), Path(out), **options)


def index(results: str | Path | None = None, rebuild: bool = False) -> int:
    """Bring the index up to date and return how many records were added, as `bench index` does."""
    from bench.store.index import Store
    from bench.store.location import results_dir

    return Store(results_dir(Path(results) if results else None)).sync(rebuild=rebuild).ingested


def doctor(
    data: str | Path = "", model: Names = (), task: Names = (), *, results: str | Path | None = None, **options: Any
) -> pd.DataFrame:
    """What is wrong with a dataset or, without one, with this installation, as `bench doctor` says it.

    Parameters
    ----------
    data
        A registered name, a `.h5ad` file or a `.toml` set.
    model, task
        What it is meant for.
    results
        The results folder; else `$BENCH_RESULTS`, else `./results`.
    **options
        `obs`, `layer`, `data_set`, `task_set`, `weights`, `trials`: see `bench.diagnosis.query.Query`.

    Returns
    -------
    One row per finding: `level` (ok | note | warning | error), `subject`, `text`, and `mend`, the option that helps.
    """
    import pandas as pd

    from bench.diagnosis import data as dataset
    from bench.diagnosis import installation
    from bench.diagnosis.finding import Finding
    from bench.diagnosis.query import Query
    from bench.store.location import results_dir

    folder = results_dir(Path(results) if results else None)
    query = Query(str(data), _several(model), _several(task), results=folder, **options)
    found = dataset.examine(query) if data else installation.examine(folder)
    return pd.DataFrame([asdict(f) for f in found], columns=[f.name for f in fields(Finding)])


def pretrain(
    model: str,
    data: Names | Path,
    out: str | Path,
    *,
    config: str | Path = "",
    set: Mapping[str, Any] | None = None,
    seed: int | None = None,
    resume: bool = False,
    **options: Any,
) -> Fitted:
    """Train a model on stored cells, as `bench pretrain` does.

    Parameters
    ----------
    data
        Files, folders, patterns, stores or addresses: one or several.
    out
        Folder of the trained model.
    config
        The name of one of the model's own configurations, or a `.yaml` or `.toml` file.
    set
        `section.option` -> value: `{"trainer.max_steps": 1000}`.
    seed
        None: that of the configuration, or 0.
    resume
        Go on from the last checkpoint in `out`.
    **options
        `device`, `devices`, `nodes`, `loggers`: see `bench.training.request.Request`.

    Raises
    ------
    BadInput
        For whatever is wrong with the request, the data or the folder.
    """
    return _train("pretrain", model, data, out, config, set, seed=seed, resume="yes" if resume else "no", **options)


def finetune(
    model: str,
    data: Names | Path,
    out: str | Path,
    *,
    weights: str | Path,
    task: str,
    config: str | Path = "",
    set: Mapping[str, Any] | None = None,
    seed: int | None = None,
    resume: bool = False,
    **options: Any,
) -> Fitted:
    """Train a pretrained model further for a task, as `bench finetune` does.

    Parameters
    ----------
    weights
        Folder that `pretrain` wrote, or `"untrained"`.
    task
        What for.

    Other parameters, and what is raised, are those of `pretrain`.
    """
    options |= {"weights": str(weights), "task": task, "seed": seed, "resume": "yes" if resume else "no"}
    return _train("finetune", model, data, out, config, set, **options)


def outline(data: str | Path, **options: Any) -> Outline:
    """What a dataset holds, as `bench data show` says it; see `bench.preparation.outline.outline`."""
    from bench.preparation.outline import outline as outline_of

    return outline_of(str(data), **options)


def prepare(
    data: str | Path,
    out: str | Path | None,
    *,
    obs: Mapping[str, str] | None = None,
    layer: str = "",
    data_set: Mapping[str, Any] | None = None,
    **options: Any,
) -> Preparation:
    """Write a file that `run` takes at once, as `bench data prepare` does; without `out`, only report.

    The options are those of `bench.preparation.options.Options`: `min_genes`, `max_percent_mt`, `map_genes` ...
    """
    from bench.config import build
    from bench.preparation.options import Options
    from bench.preparation.prepare import prepare as make

    chosen = build(Options, options, "bench.prepare")
    return make(data, Path(out) if out else None, chosen, obs=obs, layer=layer, data_set=data_set)


def fetch(dataset: str = "", *, weights: str = "", force: bool = False) -> list[Path]:
    """Download the files of a dataset, or the weights of a model, as `bench fetch` does, and return where they are.

    Raises
    ------
    BadInput
        If there is no such dataset or model, or its files can only be got by hand: the message says how.
    """
    from bench.catalogue import catalogue
    from bench.downloads import places
    from bench.downloads.fetch import fetch as download

    if bool(dataset) == bool(weights):
        raise BadInput("name one dataset, or one model with weights=.")
    if dataset:
        spec = catalogue().dataset(dataset)
        files, folder, manual = spec.files, places.dataset_folder(dataset), spec.manual
    else:
        published = catalogue().model(weights).weights
        files, folder, manual = published.files if published else (), places.weights_folder(weights), ""
    return download(files, folder, what=dataset or f"weights of model {weights}", manual=manual, force=force)


def check(name: str, **options: Any) -> Conformance:
    """Run the conformance kit on a model or task, as `bench plugin check` does; see `bench.conformance.examine`."""
    from bench.conformance import examine

    return examine(name, **options)


def diff(first: str, second: str, results: str | Path | None = None) -> Comparison:
    """What differs between two runs, and whether it matters, as `bench diff` says it."""
    from bench.store.diff.compare import compare
    from bench.store.location import results_dir

    return compare(results_dir(Path(results) if results else None), first, second)


def _train(
    verb: Verb,
    model: str,
    data: Names | Path,
    out: str | Path,
    config: str | Path,
    settings: Mapping[str, Any] | None,
    **options: Any,
) -> Fitted:
    """Check a request to train and do it."""
    from bench.training.request import Request, checked

    options |= {"loggers": tuple(_several(options.get("loggers", Request.loggers)))}
    request = Request(verb, model, tuple(_several(data)), Path(out), str(config), settings or {}, **options)
    return checked(request).train()


def _several(names: Names | Path) -> list[str]:
    return [str(names)] if isinstance(names, (str, Path)) else [str(name) for name in names]
