"""One folder of fetched files, and all that may have to be done to it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import filelock

from bench.downloads import receipt
from bench.downloads.addresses import resolved
from bench.downloads.archives import remove, unpack
from bench.downloads.fetch import Progress, total_size
from bench.downloads.part import Part
from bench.downloads.places import INCOMING, kept_name, kept_path, offline, packed_path, present
from bench.downloads.receipt import Receipt
from bench.downloads.sizes import NoRoom, require_room
from bench.downloads.verify import genuine, impossible, published, receipt_of, wrong_checksum
from bench.errors import BadInput, BenchError
from bench.specs import RemoteFile

_LOCK = ".lock"
_NAMED = 4
"""Files that are named one by one in the route by hand."""


class Folder:
    """The state of one call of `bench.downloads.fetch.fetch`, whose parameters these are."""

    def __init__(self, folder: Path, what: str, manual: str, progress: Progress, force: bool) -> None:
        self.folder, self.what, self.manual, self.progress, self.force = folder, what, manual, progress, force
        self.receipts: dict[str, Receipt] = receipt.read(folder)

    def settled(self, files: Sequence[RemoteFile]) -> bool:
        """Whether all is here with receipts: then nothing is written, and a shared cache may be read-only."""
        return all(kept_name(f) in self.receipts and self._sound(f) for f in files)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder against a second fetch; what killed ones have left is removed, but for resumable parts."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.folder / _LOCK)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                self.progress.note(f"{self.what}: another process is fetching it; waiting")
                lock.acquire()
        except OSError as error:
            raise BadInput(
                f"cannot write to {self.folder}: {error.strerror or error}; set BENCH_CACHE_DIR to another folder."
            ) from None
        try:
            self.receipts = receipt.read(self.folder)
            _sweep(self.folder / INCOMING)
            yield
        finally:
            lock.release()

    def complete(self, files: Sequence[RemoteFile]) -> None:
        """Get what is missing."""
        missing = [file for file in files if self.force or not self._at_hand(file)]
        if not missing:
            return
        require_route(missing, self.folder, self.what, self.manual)
        require_room(self.folder, total_size(missing) or 0, self.what)
        for file in missing:
            self._download(file)

    def _sound(self, file: RemoteFile) -> bool:
        return present(file, self.folder, self.receipts) and genuine(file, self.folder, self.receipts)

    def _at_hand(self, file: RemoteFile) -> bool:
        """Whether a file is here, perhaps put there by hand; that gets a receipt too."""
        path = kept_path(file, self.folder)
        if self._sound(file):
            if kept_name(file) not in self.receipts:
                size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else None
                arrived = None if file.unpack else path
                self._note(file, receipt_of(file, "", arrived, path, path.stat().st_size if size is None else size))
            return True
        packed = packed_path(file, self.folder)
        if file.unpack and packed.is_file():
            return self._adopt(file, packed)
        if path.exists():
            self.progress.note(f"{path} is not the published file ({_difference(file, path)}); it is fetched anew")
        return False

    def _adopt(self, file: RemoteFile, packed: Path) -> bool:
        """Unpack an archive that was put there by hand."""
        why = impossible(packed, file) or wrong_checksum(packed, file)
        if why:
            raise BadInput(f"{packed} is not the published file: {why}; remove it, or put the right one there.")
        self._keep(file, packed, "")
        return True

    def _download(self, file: RemoteFile) -> None:
        from bench.downloads.retrieve import retrieve  # imports requests and pooch

        arrived = _incoming(file, self.folder)
        route = route_by_hand([file], self.folder, self.manual)
        url = retrieve(file, arrived, self.what, route, self.progress)
        noted = self.receipts.get(kept_name(file))
        if noted and not published(file) and not self.force:
            found = receipt_of(file, url, arrived, arrived, 0).sha256
            if noted.sha256 and found != noted.sha256:
                remove(arrived)
                raise BadInput(
                    f"{self.what}: {url} holds another file than on {noted.date[:10]} (sha256 {found}, it was"
                    f" {noted.sha256}); scores on the two do not compare. Take the new one with --force."
                )
        try:
            self._keep(file, arrived, url)
        except NoRoom:
            os.replace(arrived, Part.of(arrived).path)  # what took hours to come is not downloaded again
            raise
        except BenchError:
            remove(arrived)
            raise

    def _keep(self, file: RemoteFile, arrived: Path, url: str) -> None:
        """Unpack what arrived where that is asked for, and give it its name and its receipt."""
        target = kept_path(file, self.folder)
        ready, size = arrived, arrived.stat().st_size
        if file.unpack:
            ready = _incoming(file, self.folder).with_suffix(".unpacked")
            ready.parent.mkdir(parents=True, exist_ok=True)
            self.progress.note(f"unpacking {file.name}")
            size = unpack(arrived, ready)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir() or ready.is_dir():
            remove(target)
        os.replace(ready, target)
        if target.is_dir():
            self.progress.note(f"taking the checksum of {target}")
        self._note(file, receipt_of(file, url, arrived if file.unpack else target, target, size))
        remove(arrived)

    def _note(self, file: RemoteFile, note: Receipt) -> None:
        receipt.write(self.folder, kept_name(file), note)
        self.receipts[kept_name(file)] = note


def _difference(file: RemoteFile, path: Path) -> str:
    if file.unpack or path.is_dir():
        return "it has another size or checksum than it came with"
    return impossible(path, file) or wrong_checksum(path, file) or "it has another size than it came with"


def _incoming(file: RemoteFile, folder: Path) -> Path:
    """Where a file arrives."""
    return folder / INCOMING / file.name.replace("/", "__")


def _sweep(incoming: Path) -> None:
    """Remove what is neither a part nor the note beside one."""
    for path in incoming.iterdir() if incoming.is_dir() else ():
        if not path.name.endswith((".part", ".part.json")):
            remove(path)


def route_by_hand(files: Sequence[RemoteFile], folder: Path, manual: str = "") -> str:
    """For those who have no network, or whom a login stops: address, place and name, checksum."""
    steps = [manual.rstrip(". ")] if manual else []
    open_, closed = [f for f in files if f.urls], [f for f in files if not f.urls]
    steps += [f"download {resolved(f.urls[0])} and save it as {_place(f, folder)}" for f in open_[:_NAMED]]
    if len(open_) > _NAMED:
        steps.append(f"and so for {len(open_) - _NAMED} more files (bench show tells their addresses)")
    if closed:
        names = (_place(f, folder).removeprefix(f"{folder}/") for f in closed)
        steps.append(f"put {', '.join(names)} into {folder}")
    return f"By hand: {'; '.join(steps)}; then run the same command again."


def require_route(files: Sequence[RemoteFile], folder: Path, what: str, manual: str) -> None:
    """Refuse to go to the network where it is forbidden, or where there is nowhere to go.

    Raises
    ------
    BadInput
        With the manual route.
    """
    closed = [file for file in files if not file.urls]
    if closed:
        raise BadInput(f"{what} cannot be downloaded by a program. {route_by_hand(closed, folder, manual)}")
    if offline():
        route = route_by_hand(files, folder, manual)
        raise BadInput(f"{what} is not on this machine, and BENCH_OFFLINE forbids the network. {route}")


def _place(file: RemoteFile, folder: Path) -> str:
    """Where to put a file, and how to know that it is the right one."""
    kind, value = ("sha256", file.sha256) if file.sha256 else ("md5", file.md5)
    return f"{packed_path(file, folder)}" + (f" ({kind} {value})" if value else "")
