"""Does a dataset fit into the memory that a run may use? Asked of its files before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.data import safety, sets
from bench.errors import BadInput
from bench.wording import size

if TYPE_CHECKING:
    from bench.specs import DatasetSpec


def require(spec: DatasetSpec, limit: int | None) -> None:
    """Refuse a dataset whose content alone is larger than the limit.

    Parameters
    ----------
    spec
        Of any dataset; one without files, or with files that are not `.h5ad`, passes.
    limit
        Bytes, from `--max-memory`; None: no limit.

    Raises
    ------
    BadInput
        With what it needs and what is allowed, or because a file is refused (see `bench.data.safety`).
    """
    if limit is None:
        return
    needed = sum(safety.needed_memory(path) for path in _files(spec))
    if needed > limit:
        raise BadInput(
            f"dataset {spec.name} would need {size(needed)} in memory, more than the {size(limit)} of"
            " --max-memory; raise it, give a subset, or store X as sparse (CSR) float32."
        )


def _files(spec: DatasetSpec) -> list[Path]:
    """The `.h5ad` files of a dataset."""
    path = Path(str(spec.params.get("path", "")))
    if path.suffix == ".toml":
        return [member.path for member in sets.read(path).members]
    if path.is_dir() and spec.params.get("path"):
        return sorted(path.rglob("*.h5ad"))
    return [path] if path.suffix == ".h5ad" else []
