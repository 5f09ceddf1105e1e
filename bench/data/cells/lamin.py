"""Files of a laminDB collection, where lamindb is installed and an instance is connected."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bench.downloads.places import offline
from bench.errors import BadInput


def files(name: str) -> list[Path]:
    """Local paths of a collection's files in its order, remote ones copied into lamindb's own cache.

    Parameters
    ----------
    name
        Key of a collection, whose latest version is taken, or its uid: of 20 characters for one version, of 16 for
        the latest.

    Raises
    ------
    BadInput
        If lamindb is not installed, no instance is connected or it has no such collection, a file of it is no
        `.h5ad`, or `BENCH_OFFLINE` forbids to copy one.
    """
    try:
        import lamindb
    except ImportError:
        raise BadInput(
            f"lamin:{name} needs the package lamindb, which is not installed; install it with pip install lamindb, and"
            " connect your instance with lamin connect."
        ) from None
    try:
        artifacts = list(_collection(lamindb, name).ordered_artifacts.all())
        remote = [artifact for artifact in artifacts if "://" in str(artifact.path)]
        _require(name, artifacts, remote)
        return [Path(str(artifact.cache())) for artifact in artifacts]
    except BadInput:
        raise
    except Exception as error:  # whatever Django, the database or a cloud answers is about the instance
        reason = re.split(r"[.!?:](?:\s|$)", str(error).strip() or type(error).__name__)[0][:200]
        raise BadInput(
            f"laminDB does not give the collection {name!r} ({reason}); connect its instance with lamin connect, and"
            " name it by key or uid."
        ) from None


def _collection(lamindb: Any, name: str) -> Any:
    """By key where there is one, else by uid, which lamindb matches by its beginning."""
    try:
        return lamindb.Collection.get(key=name)
    except lamindb.Collection.DoesNotExist:
        return lamindb.Collection.get(name)


def _require(name: str, artifacts: list[Any], remote: list[Any]) -> None:
    others = [artifact for artifact in artifacts if artifact.suffix != ".h5ad"]
    if others or not artifacts:
        what = f"{others[0].key or others[0].uid} is no .h5ad file" if others else "there is no file in it"
        raise BadInput(f"the laminDB collection {name!r} cannot be used: {what}; name one of .h5ad files.")
    if remote and offline():
        raise BadInput(
            f"{remote[0].path} of the laminDB collection {name!r} is not on this machine, and BENCH_OFFLINE forbids the"
            " network; copy its files here and give their paths."
        )
