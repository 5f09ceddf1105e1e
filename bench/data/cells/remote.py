"""Files behind addresses, copied once: whole, and again only where the address holds another file.

fsspec says what is behind an address, and copies from clouds. What comes by http goes the way of `bench fetch`, which
resumes where a connection broke. A copy is kept as

    $BENCH_CACHE_DIR/remote/ADDRESS/STATE/NAME

with hashes of the address and of what its server tells versions of a file apart by.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import filelock
import fsspec
from fsspec.callbacks import Callback

from bench.atomic import replacing
from bench.data.cache import cache_dir
from bench.data.names import safe_name
from bench.downloads import content
from bench.downloads.addresses import local, refusal
from bench.downloads.bars import Bars
from bench.downloads.fetch import Progress, fetch
from bench.downloads.places import offline
from bench.downloads.retrieve import DownloadFailed
from bench.downloads.sizes import FULL, no_room, require_room
from bench.downloads.transfer import CONNECT_S, SILENCE_S, user_agent
from bench.errors import BadInput
from bench.specs import RemoteFile

_STATE = (
    *("size", "ETag", "Content-MD5", "Last-Modified"),  # http
    *("LastModified", "VersionId"),  # s3, with size and ETag
    *("md5Hash", "generation", "updated"),  # gs
    *("etag", "last_modified"),  # abfs
    *("created", "mtime"),  # memory, sftp
)
"""What file systems of fsspec call that by which versions of a file are told apart."""


def files(url: str) -> list[Path]:
    """Local copies of the file behind an address, or, but for http, of all that a pattern with `*` stands for.

    Raises
    ------
    BadInput
        If a package is missing, the address is not asked (see `bench.downloads.addresses`), it holds no `.h5ad`
        file, `BENCH_OFFLINE` forbids the network and there is no copy, or the disk is full.
    DownloadFailed
        If there is no such file, or it does not come whole.
    """
    if offline():
        return [_last_copy(url)]
    fs, path = _file_system(url)
    if "*" not in path or _is_web(url):
        return [_copy(url, fs, path)]
    found = _asked(url, lambda: sorted(fs.glob(path)))
    if not found:
        raise DownloadFailed(f"no file is like {url}; name .h5ad files that are there.")
    return [_copy(fs.unstrip_protocol(one), fs, one) for one in found]


def _copy(url: str, fs: Any, path: str) -> Path:
    info = _asked(url, lambda: fs.info(path))
    state = json.dumps({name: str(info[name]) for name in _STATE if name in info}, sort_keys=True)
    target = _folder(url) / _hash(state) / _name(path)
    if target.is_file():
        return target
    size = int(info["size"]) if info.get("size") is not None else None
    with Bars() as bars:
        if _is_web(url):
            fetch([RemoteFile(target.name, (url,), size=size, kind="hdf5")], target.parent, what=url, progress=bars)
        else:
            _get(url, size, target, bars, lambda to, callback: fs.get_file(path, str(to), callback=callback))
    return target


def _get(url: str, size: int | None, target: Path, bars: Progress, get: Callable[[Path, Callback], object]) -> None:
    """Copy a file as fsspec does, alone, checked before it has its name."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(target.parent / ".lock"):
            if target.is_file():  # another process has just copied it
                return
            for left in target.parent.glob(".*.tmp"):  # of processes that were killed
                left.unlink()
            require_room(target.parent, size or 0, url)
            with replacing(target) as temporary:
                callback = Callback(hooks={"bars": lambda _, done, **__: bars.moved(target.name, done, size)})
                _asked(url, lambda: get(temporary, callback))
                _require_whole(url, temporary, size)
    except OSError as error:
        if error.errno in FULL:
            raise no_room(target.parent, f"{url} does not fit") from None
        raise BadInput(f"cannot write to {target.parent}: {error.strerror or error}; see to the disk.") from None


def _require_whole(url: str, path: Path, size: int | None) -> None:
    here = path.stat().st_size
    if size is not None and here != size:
        raise DownloadFailed(f"{url} came truncated: {here:,} of {size:,} bytes; run the same command again.")
    wrong = content.impostor(path) or content.mismatch(path, "hdf5")
    if wrong:
        raise BadInput(f"{url} holds {wrong} instead of a .h5ad file; give the address of the file itself.")


def _asked(url: str, question: Callable[[], Any]) -> Any:
    """The answer of a file system, or one sentence of why there is none."""
    try:
        return question()
    except OSError as error:
        if error.errno in FULL:
            raise
        raise _unanswered(url, error) from None
    except Exception as error:  # each cloud's client has errors of its own
        raise _unanswered(url, error) from None


def _unanswered(url: str, error: Exception) -> DownloadFailed:
    cause = error.__cause__ or error  # fsspec says of most answers of a web server that there is no file
    words = (str(cause).strip().splitlines() or [""])[0][:200] or type(cause).__name__
    reason = "".join(c if c.isprintable() else "?" for c in words)  # a server's words go to a terminal
    return DownloadFailed(
        f"{url} cannot be read ({reason}); see to the address and your rights, or give a copy's path."
    )


def _file_system(url: str) -> tuple[Any, str]:
    """The file system of an address, and the address as it knows it."""
    why = refusal(url) if _is_web(url) else ""
    if why:
        raise BadInput(f"{url}: {why}; give another address, or copy the file here and give its path.")
    try:
        return fsspec.url_to_fs(url, **(_web_options(url) if _is_web(url) else {}))
    except ImportError as error:
        raise BadInput(
            f"{url} needs a package that is not installed ({error}); install it with pip, or copy the file here and"
            " give its path."
        ) from None
    except Exception as error:  # credentials, regions, proxies: whatever a cloud's client wants to know at first
        raise _unanswered(url, error) from None


def _web_options(url: str) -> Mapping[str, Any]:
    """As `bench.downloads.transfer` asks: introduced, through proxies, and not for ever."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
    headers = {"User-Agent": user_agent()}
    return {"client_kwargs": {"headers": headers, "timeout": timeout, "trust_env": not local(url)}}


def _last_copy(url: str) -> Path:
    copies = sorted(_folder(url).glob("*/*.h5ad"), key=lambda path: path.stat().st_mtime_ns)
    if not copies:
        raise BadInput(
            f"{url} is not on this machine, and BENCH_OFFLINE forbids the network; copy the file here and give its"
            " path."
        )
    return copies[-1]


def _folder(url: str) -> Path:
    return cache_dir() / "remote" / _hash(url)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _name(path: str) -> str:
    last = re.split(r"[?#]", path)[0].rstrip("/").rpartition("/")[2]
    return safe_name(last.removesuffix(".h5ad")) + ".h5ad"


def _is_web(url: str) -> bool:
    return urlsplit(url).scheme in {"http", "https"}
