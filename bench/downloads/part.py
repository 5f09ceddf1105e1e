"""A file on its way: the bytes that are here as `NAME.part`, and what they are a part of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Part:
    """An unfinished download. `NAME.part.json` holds its address, its validator and the size of the whole."""

    path: Path

    @classmethod
    def of(cls, target: Path) -> Part:
        """The part of what will be `target`."""
        return cls(target.with_name(f"{target.name}.part"))

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    def resume_headers(self, url: str, checked: bool) -> dict[str, str]:
        """What to ask for: the rest where it is sure to belong to what is here, else the whole.

        A server is asked with the validator it gave (`If-Range`: a changed file comes whole). Where it gave
        none, or where another mirror goes on, only a published checksum (`checked`) makes a rest safe.
        """
        if not self.size:
            return {}
        headers = {"Range": f"bytes={self.size}-"}
        note = self._note()
        if note.get("url") == url and note.get("validator"):
            return {**headers, "If-Range": str(note["validator"])}
        if checked:
            return headers
        self.drop()
        return {}

    def fits(self, url: str, headers: Mapping[str, str], total: int | None) -> bool:
        """Whether an answer goes on with the same file, as far as it says; some servers ignore `If-Range`."""
        note = self._note()
        if total is not None and note.get("total") not in (None, total):
            return False
        known, given = note.get("validator"), validator(headers)
        return note.get("url") != url or not known or not given or known == given

    def whole(self, content_range: str) -> bool:
        """Whether a refused range (416) says that everything is here."""
        return bool(self.size) and content_range == f"bytes */{self.size}"

    def remember(self, url: str, headers: Mapping[str, str], total: int | None) -> None:
        """Note what is being received."""
        note = {"url": url, "validator": validator(headers), "total": total}
        self._note_path.write_text(json.dumps(note), encoding="utf-8")

    def drop(self) -> None:
        """Forget what is here."""
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    @property
    def _note_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def _note(self) -> dict[str, Any]:
        try:
            note = json.loads(self._note_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}


def validator(headers: Mapping[str, str]) -> str:
    """What tells versions of a file apart: a strong `ETag`, else `Last-Modified` (RFC 9110, section 13.1.5)."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")
