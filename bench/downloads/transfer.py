"""One address into one file over HTTP: resumed where it broke off, tried again where that may help.

pooch brings no resume, and its own downloader writes into a temporary file that is gone after a failure;
this module is the downloader it is given (see `bench.downloads.fetch`).
"""

from __future__ import annotations

import re
import time
from importlib import metadata
from typing import Any

import requests
import urllib3

from bench.downloads.addresses import local, refusal
from bench.downloads.fetch import Progress
from bench.downloads.part import Part
from bench.downloads.sizes import FULL, no_room, require_room, shown
from bench.specs import RemoteFile

CONNECT_S, SILENCE_S = 15.0, 60.0
"""How long to wait for a connection, and for the next byte."""

ATTEMPTS, MAX_ATTEMPTS, PAUSE_S = 3, 100, 1.0
"""Tries in a row that bring nothing new, tries in all, and the pause between them, which grows."""

SMALL = 1_000_000
"""Bytes. An answer of another size than expected is still read where it is this small: it says what went wrong."""

_CHUNK = 1 << 20
_NUMBER = "[0-9]{1,18}"
_PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Statuses that may be gone in a moment (RFC 9110, RFC 6585)."""


class Failed(Exception):
    """Why an address did not give the file; `again` where the same question may get another answer."""

    def __init__(self, reason: str, again: bool = False) -> None:
        # A server's words go to a terminal: no escape sequences, no pages of text.
        super().__init__("".join(c if c.isprintable() else "?" for c in reason[:300]))
        self.again = again


def download(url: str, part: Part, file: RemoteFile, progress: Progress) -> None:
    """Make `part` whole from one address.

    Raises
    ------
    Failed
        With the last reason, when nothing more can be expected of the address.
    BadInput
        If the disk is full.
    """
    best, idle = part.size, 0
    for _ in range(MAX_ATTEMPTS):
        try:
            return _attempt(url, part, file, progress)
        except Failed as failure:
            idle = 0 if part.size > best else idle + 1
            best = max(best, part.size)
            if not failure.again or idle >= ATTEMPTS:
                raise
            time.sleep(PAUSE_S * (idle + 1))
    raise Failed(f"the connection broke {MAX_ATTEMPTS} times, {part.size:,} bytes are here")


class _Session(requests.Session):
    """Follows a redirect only to where it may go."""

    def get_redirect_target(self, resp: requests.Response) -> Any:
        target: str | None = None
        try:
            target = super().get_redirect_target(resp)
            why = refusal(requests.compat.urljoin(resp.url, target), resp.url) if target else ""
        except ValueError:
            why = "not a valid address"
        if why:
            raise Failed(f"redirects to {target or 'nowhere'}; {why}")
        return target


def _session(url: str) -> _Session:
    session = _Session()
    session.trust_env = not local(url)  # a proxy cannot reach this machine
    session.headers["User-Agent"] = user_agent()
    # Bytes as they are stored: a server that compresses on the way would change their number and checksum.
    session.headers["Accept-Encoding"] = "identity"
    return session


def user_agent() -> str:
    """How we introduce ourselves: public hosts answer 403 or an empty page to a bare `Python-urllib`."""
    return f"bench-harness/{metadata.version('bench-harness')} (+https://pypi.org/project/bench-harness)"


def _attempt(url: str, part: Part, file: RemoteFile, progress: Progress) -> None:
    headers = part.resume_headers(url, checked=bool(file.sha256 or file.md5))
    try:
        with (
            _session(url) as session,
            session.get(url, headers=headers, stream=True, timeout=(CONNECT_S, SILENCE_S)) as response,
        ):
            _receive(response, url, part, file, progress)
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise Failed(f"no answer within {max(CONNECT_S, SILENCE_S):g} s", again=True) from None
    except requests.exceptions.SSLError as error:
        raise Failed(f"no secure connection ({_cause(error)})") from None
    except (requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
        raise Failed(f"no connection ({_cause(error)})", again=True) from None
    except requests.RequestException as error:
        raise Failed(_cause(error)) from None
    except OSError as error:
        if error.errno in FULL:
            raise no_room(part.path.parent, "the disk is full") from None
        raise


def _receive(response: requests.Response, url: str, part: Part, file: RemoteFile, progress: Progress) -> None:
    if response.status_code == 416 and part.whole(response.headers.get("Content-Range", "")):
        return
    if response.status_code not in {200, 206}:
        if response.status_code == 416:
            part.drop()
        again = response.status_code in _PASSING or response.status_code == 416
        raise Failed(f"{response.status_code} {response.reason}".strip(), again)
    offset, total = _extent(response, url, part)
    if total is not None and file.size is not None and total != file.size and total > SMALL:
        raise Failed(f"answered with {shown(total)} instead of {shown(file.size)}")
    require_room(part.path.parent, (total or file.size or offset) - offset, file.name)
    part.remember(url, response.headers, total)
    _write(response, offset, total, part, file, progress)


def _extent(response: requests.Response, url: str, part: Part) -> tuple[int, int | None]:
    """Where the answer begins in the file, and how long the file is."""
    if response.status_code == 200:  # from the beginning: the server knows no ranges, or the file has changed
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if re.fullmatch(_NUMBER, length) else None
    found = re.fullmatch(rf"bytes ({_NUMBER})-{_NUMBER}/({_NUMBER}|\*)", response.headers.get("Content-Range", ""))
    total = int(found[2]) if found and found[2] != "*" else None
    if not found or int(found[1]) != part.size or not part.fits(url, response.headers, total):
        part.drop()
        raise Failed("answered with another file than the part that is here", again=True)
    return part.size, total


def _write(
    response: requests.Response, offset: int, total: int | None, part: Part, file: RemoteFile, progress: Progress
) -> None:
    done, whole = offset, file.size if total is None else total
    try:
        with part.path.open("ab" if offset else "wb") as out:
            progress.moved(file.name, done, whole)
            for block in response.raw.stream(_CHUNK, decode_content=False):
                out.write(block)
                done += len(block)
                progress.moved(file.name, done, whole)
                if whole is not None and done > max(whole, SMALL):
                    raise Failed(f"answered with more than the {shown(whole)} expected")
    except urllib3.exceptions.TimeoutError:
        raise
    except urllib3.exceptions.HTTPError as error:
        of = f" of {whole:,}" if whole is not None else ""
        raise Failed(f"truncated: {done:,}{of} bytes ({_cause(error)})", again=True) from None
    if whole is not None and done < whole:
        raise Failed(f"truncated: {done:,} of {whole:,} bytes", again=True)


def _cause(error: BaseException) -> str:
    """The innermost reason, in one line."""
    inner: Any = error
    while True:
        deeper = getattr(inner, "reason", None) or (inner.args[0] if inner.args else None)
        if not isinstance(deeper, BaseException):
            break
        inner = deeper
    text = re.sub(r"^\w*Connection\w*\([^)]*\): ", "", " ".join(str(inner).split()))
    return text[:200] or type(inner).__name__
