"""`fetched.json`: where the files of a folder came from, and what they were when they came."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from bench.atomic import replacing
from bench.errors import BadInput

NAME = "fetched.json"


@dataclass(frozen=True)
class Receipt:
    """One file, as it arrived."""

    url: str
    """Empty for a file that was put there by hand."""
    sha256: str
    """Of the bytes at the address."""
    size: int
    """Bytes at the address."""
    kept_size: int
    """Bytes of what is kept: of the file, or of all files of an unpacked archive."""
    kept_sha256: str
    """Of what is kept; of a folder see `bench.data.identity.folder_sha256`."""
    status: Literal["verified", "unverified"]
    """Whether the publisher's checksum was compared, or there is none and this one was only noted."""
    date: str


def now() -> str:
    """The date of a receipt."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read(folder: Path) -> dict[str, Receipt]:
    """Receipts by the name a file is kept under; none where there is no readable `fetched.json`."""
    try:
        document = json.loads((folder / NAME).read_text(encoding="utf-8"))
        entries = document["files"]
        return {str(name): _receipt(entry) for name, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write(folder: Path, name: str, receipt: Receipt) -> None:
    """Add or replace one receipt.

    Raises
    ------
    BadInput
        If the folder cannot be written to.
    """
    entries = {key: dataclasses.asdict(value) for key, value in {**read(folder), name: receipt}.items()}
    try:
        with replacing(folder / NAME) as temporary:
            temporary.write_text(json.dumps({"schema": 1, "files": entries}, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {folder / NAME}: {error.strerror or error}.") from None


def _receipt(entry: Any) -> Receipt:
    receipt = Receipt(**entry)
    for field in dataclasses.fields(Receipt):
        expected = int if field.name in {"size", "kept_size"} else str
        if not isinstance(getattr(receipt, field.name), expected):
            raise TypeError(field.name)
    return receipt
