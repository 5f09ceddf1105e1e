"""Single datasets of an HDF5 file that is not AnnData, reached by name and checked before they are read.

Only the named datasets are touched. They must lie in the file itself (no link, no external storage) and must
fit into memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.data import safety
from bench.errors import BadInput
from bench.wording import size

if TYPE_CHECKING:
    import h5py
    import numpy as np


def read_arrays(path: Path, wanted: Iterable[str]) -> dict[str, np.ndarray]:
    """Read datasets by name.

    Parameters
    ----------
    path
        An HDF5 file.
    wanted
        Names from the root on, such as `"matrix/data"`.

    Returns
    -------
    Name -> array; byte strings as `str` objects.

    Raises
    ------
    BadInput
        If the file is missing or not HDF5, a dataset is missing, lies elsewhere or is too large.
    """
    import h5py

    safety.require_file(path)
    try:
        with h5py.File(path, "r") as file:
            found = {name: dataset(path, file, name) for name in wanted}
            _require_memory(path, found.values())
            return {name: _array(array) for name, array in found.items()}
    except (OSError, RuntimeError, KeyError) as error:  # h5py's own, on what is not HDF5 or damaged
        reason = (str(error).strip("'\"").splitlines() or [type(error).__name__])[0]
        raise BadInput(f"{path} is not a readable HDF5 file ({reason}); delete it and fetch it again.") from None


def dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    """A dataset of an open file, known to lie in it; raises `BadInput` where it is missing or lies elsewhere."""
    import h5py

    place: Any = file
    for step in name.split("/"):
        link = place.get(step, getlink=True) if isinstance(place, h5py.Group) else None
        if link is None:
            raise BadInput(f"{path} has no dataset {name!r}; it is not the file that was expected.")
        if not isinstance(link, h5py.HardLink):
            raise BadInput(f"refused: {path} links to another place ({name}).")
        place = place[step]
    if not isinstance(place, h5py.Dataset):
        raise BadInput(f"{path}: {name!r} is no dataset; it is not the file that was expected.")
    if place.external or place.is_virtual:
        raise BadInput(f"refused: {path} stores data outside itself ({name}).")
    return place


def _require_memory(path: Path, datasets: Iterable[h5py.Dataset]) -> None:
    needed = sum(math.prod(d.shape or ()) * max(d.dtype.itemsize, 8) for d in datasets)
    available = safety.available_memory()
    if needed > available:
        raise BadInput(
            f"{path} would need {size(needed)} in memory but {size(available)} are available; use a larger machine."
        )


def _array(stored: h5py.Dataset) -> np.ndarray:
    import numpy as np

    values = stored[()]
    if stored.dtype.kind not in "SO":
        return np.asarray(values)
    texts = [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in np.ravel(values).tolist()]
    return np.array(texts, dtype=object)
