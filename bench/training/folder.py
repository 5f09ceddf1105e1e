"""The folder of a trained model: everything that whoever runs it must know, and no code.

    model.safetensors       the network's state
    config.yaml             what it is, and every option it was trained with
    vocabulary.parquet      its genes, in order
    statistics.parquet      what its collator knows of the training cells, where it needs that
    categories.json         what the codes of covariates stand for, and the classes of its heads
    provenance.json         see `bench.training.provenance`
    fingerprints.npz        of all cells of its data, see `bench.data.fingerprints`

Beside them stand `checkpoints/`, `logs/` and curves, which nobody needs to use the model. How these files are kept
together is `bench.weights.trained`'s.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import numpy as np
import yaml

from bench import config
from bench.capabilities import Weights
from bench.conform import checker
from bench.data import fingerprints
from bench.data.cells.statistics import GeneStatistics
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput
from bench.training.command import Verb
from bench.training.provenance import Provenance
from bench.weights import safetensors_file, trained
from bench.wording import counted, listed, size

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor

    from bench.data.fingerprints import Fingerprints

FORMAT = 1
"""Of the folder; a newer one is not read."""
ABOUT = "about"
"""The table of `config.yaml` that says what the model is; `seed` stands beside it, the others are sections of options,
as in a file that is given to `--config`."""

MOST_GENES, MOST_BYTES = 1_000_000, 1000
"""Rows of a table of genes, and bytes of each."""

Options = TypeVar("Options")


class _About(TypedDict):
    """What a model is."""

    format: int
    model: str
    version: str
    verb: Verb
    extra: dict[str, Any]


class _Header(TypedDict):
    """What `config.yaml` has beside sections."""

    about: _About
    seed: int


class _Words(TypedDict):
    """`categories.json`."""

    categories: dict[str, list[str]]
    classes: dict[str, list[str]]


@dataclass(frozen=True)
class Card:
    """Everything about a trained model but its weights."""

    model: str
    """Name of the spec that trained it."""
    version: str
    verb: Verb
    seed: int
    config: Mapping[str, Mapping[str, Any]]
    """Section -> option -> value, every option (see `bench.config.as_dict`)."""
    vocabulary: Vocabulary
    statistics: GeneStatistics | None = None
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column of `obs` -> what its codes stand for."""
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column of `obs` -> classes that a head tells apart."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready facts of one model, such as sizes that follow from the data."""


def write(
    folder: Path,
    card: Card,
    state: Mapping[str, Tensor],
    provenance: Provenance,
    prints: Sequence[Fingerprints],
) -> None:
    """Write a trained model, whole or not at all; checkpoints and logs in the folder stay.

    Parameters
    ----------
    folder
        Made if it is not there; a model in it is replaced. One process may write.
    state
        Name -> tensor, such as `learner.network.state_dict()`, on any device; tied tensors are written twice.
    provenance
        From `bench.training.provenance.describe`.
    prints
        Of all its data, from `bench.data.fingerprints.of_dataset` or `of_anndata`; those of the weights it began with
        are added by `fingerprints_before`.

    Raises
    ------
    BadInput
        If the folder cannot be written to.
    OSError
        If there is no room.
    """
    with trained.replacing_model(folder) as place:
        (place / trained.CONFIG).write_text(_yaml(card), encoding="utf-8")
        _save(state, place / trained.WEIGHTS)
        (place / trained.WEIGHTS).chmod((place / trained.CONFIG).stat().st_mode)  # it is made for its owner alone
        card.vocabulary.write(place / trained.VOCABULARY)
        if card.statistics is not None:
            card.statistics.write(place / trained.STATISTICS)
        words = {"categories": dict(card.categories), "classes": dict(card.classes)}
        (place / trained.CATEGORIES).write_text(_json(words), encoding="utf-8")
        fingerprints.write(place / trained.FINGERPRINTS, prints)
        (place / trained.PROVENANCE).write_text(_json(provenance), encoding="utf-8")


def read_card(folder: Path, models: Collection[str]) -> Card:
    """What a folder says of its model; every file of it is compared with its checksum.

    Parameters
    ----------
    folder
        Of any origin: it is read without running what it holds.
    models
        Names of those that the caller can make of it.

    Raises
    ------
    BadInput
        If a file is missing, damaged, or not of the same training as the others, or the model is none of `models`.
    """
    trained.require_whole(folder)
    table = _table(folder)
    about, seed = table.pop(ABOUT), table.pop("seed")
    if about["model"] not in models:
        raise BadInput(f"{folder} holds a trained {about['model']}, not {' or '.join(models)}; give a folder of that.")
    words = _words(folder)
    vocabulary = _vocabulary(folder)
    return Card(
        model=about["model"],
        version=about["version"],
        verb=about["verb"],
        seed=seed,
        config=table,
        vocabulary=vocabulary,
        statistics=_statistics(folder, vocabulary),
        categories={column: tuple(names) for column, names in words["categories"].items()},
        classes={column: tuple(names) for column, names in words["classes"].items()},
        extra=about["extra"],
    )


def read_state(folder: Path) -> dict[str, np.ndarray]:
    """The network's state, read from the disk when it is used; compare it with the model by `bench.weights.matching`.

    Raises
    ------
    BadInput
        If the file is missing or damaged.
    """
    return safetensors_file.read(trained.found(folder, trained.WEIGHTS))


def fingerprints_before(weights: Weights) -> list[Fingerprints]:
    """Fingerprints of what the weights were trained on that a training begins with; none where nobody can tell."""
    try:
        found = trained.found(weights, trained.FINGERPRINTS) if isinstance(weights, Path) else None
        return [] if found is None else list(fingerprints.read(found))
    except BadInput:
        return []


def section(card: Card, name: str, cls: type[Options]) -> Options:
    """The options of one section, typed.

    Raises
    ------
    BadInput
        If there is no such section, or its options are not those of `cls`.
    """
    if name not in card.config:
        raise BadInput(f"the trained {card.model} has no options of {name!r}, only of {listed(card.config)}.")
    built: Options = config.build(cls, card.config[name], f"{name} of the trained {card.model}")
    return built


def _save(state: Mapping[str, Tensor], path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:  # copies, as tensors that share memory are refused
        save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}, path)
    except SafetensorError as error:  # which tells what the system said as text
        said = re.search(r"\(os error (\d+)\)", str(error))
        if said is None:
            raise BadInput(f"cannot write weights to {path}: {error}; see to the disk.") from None
        number = int(said[1])
        raise OSError(number, os.strerror(number), str(path)) from None


class _Plain(yaml.SafeDumper):
    """Writes a list that comes twice twice: aliases are refused when a config is read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(card: Card) -> str:
    about = _About(format=FORMAT, model=card.model, version=card.version, verb=card.verb, extra=dict(card.extra))
    sections = {name: dict(options) for name, options in card.config.items()}
    plain = json.loads(_json({ABOUT: about, "seed": card.seed, **sections}))  # tuples become lists
    return yaml.dump(plain, Dumper=_Plain, sort_keys=False, allow_unicode=True)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)


def _table(folder: Path) -> dict[str, Any]:
    """`config.yaml`, of which all that is relied on is there."""
    table = config.read(trained.found(folder, trained.CONFIG))
    about = table.get(ABOUT)
    written = about.get("format") if isinstance(about, dict) else None
    if isinstance(written, int) and written > FORMAT:
        raise BadInput(f"{folder} has format {written}, this bench reads up to {FORMAT}: upgrade bench-harness.")
    _check(_Header, table, folder, trained.CONFIG)
    sections = {name: options for name, options in table.items() if name not in (ABOUT, "seed")}
    _check(dict[str, dict[str, Any]], sections, folder, trained.CONFIG)
    return table


def _words(folder: Path) -> _Words:
    value = trained.read_json(folder, trained.CATEGORIES)
    _check(_Words, value, folder, trained.CATEGORIES)
    return _Words(**value)  # type: ignore[typeddict-item]


def _check(hint: Any, value: Any, folder: Path, name: str) -> None:
    try:
        checker(hint)(value, "")
    except (ValueError, RecursionError) as error:
        raise trained.damaged(folder, name, str(error)) from None


def _vocabulary(folder: Path) -> Vocabulary:
    """The genes, whose names are looked at before each row gets its own copy of one."""
    import pyarrow as pa

    table = _parquet(folder, trained.VOCABULARY, MOST_GENES)
    if not all(pa.types.is_dictionary(kind) for kind in table.schema.types):
        raise trained.damaged(folder, trained.VOCABULARY, "it does not hold columns of names")
    for column in table.columns:
        if sum(len(chunk.dictionary) for chunk in column.chunks) < sum(map(_filled, column.chunks)):
            raise trained.damaged(folder, trained.VOCABULARY, f"its {table.num_rows:,} rows hold fewer names")
    return Vocabulary.read(trained.found(folder, trained.VOCABULARY))


def _filled(chunk: pa.DictionaryArray) -> int:
    """Rows that are not empty: what genes are called otherwise is not known of each."""
    empty = chunk.dictionary.index("").as_py()
    return len(chunk) - int(np.count_nonzero(chunk.indices.to_numpy(zero_copy_only=False) == empty))


def _statistics(folder: Path, vocabulary: Vocabulary) -> GeneStatistics | None:
    if not trained.has(folder, trained.STATISTICS):
        return None
    _parquet(folder, trained.STATISTICS, len(vocabulary))
    return GeneStatistics.read(trained.found(folder, trained.STATISTICS), vocabulary)


def _parquet(folder: Path, name: str, most: int) -> pa.Table:
    """A table as it is stored, repeated texts once: one that is much larger inside than outside is refused unread."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = pq.read_metadata(trained.found(folder, name))
        n_bytes = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
        if about.num_rows > most or n_bytes > most * MOST_BYTES:
            raise trained.damaged(folder, name, f"it claims {counted(about.num_rows, 'row')} in {size(n_bytes)}")
        columns = about.schema.to_arrow_schema().names
        return pq.read_table(trained.found(folder, name), read_dictionary=columns)
    except (OSError, pa.ArrowException) as error:
        raise trained.damaged(folder, name, str(error)) from None
