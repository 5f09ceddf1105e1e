"""A server on 127.0.0.1 that answers as public hosts do on bad days."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Looks the answer up by path, and notes what was asked."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(Asked(self.path, dict(self.headers)))
        answers = self.server.answers.get(self.path, [status(404)])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        try:
            answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def reply(self, code: int, body: bytes, length: int | None = None, **headers: str) -> None:
        """Send `body`, saying it is `length` bytes long; a shorter one is cut off."""
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]


@dataclass
class Server(ThreadingHTTPServer):
    """Answers of each path, given in turn; the last one stays."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.daemon_threads = True

    __hash__ = ThreadingHTTPServer.__hash__

    def at(self, path: str, *answers: Answer) -> str:
        """Answer so at a path; its address."""
        self.answers[path] = list(answers)
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def ranges(self) -> list[str | None]:
        """The `Range` of each request so far."""
        return [asked.headers.get("Range") for asked in self.asked]


@contextmanager
def serving() -> Iterator[Server]:
    """A server in a thread of its own."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def whole(body: bytes, validator: bool = True) -> Answer:
    """A good server: knows ranges, `If-Range` and `ETag`."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    extra = {"ETag": etag} if validator else {}

    def answer(handler: Handler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked and handler.headers.get("If-Range", etag) == etag else 0
        if start >= len(body) > 0:
            handler.reply(416, b"", Content_Range=f"bytes */{len(body)}")
        elif start:
            handler.reply(206, body[start:], Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}", **extra)
        else:
            handler.reply(200, body, **extra)

    return answer


def cut(body: bytes, after: int, validator: bool = True) -> Answer:
    """Promises the whole and hangs up after so many bytes."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    extra = {"ETag": etag} if validator else {}
    return lambda handler: handler.reply(200, body[:after], length=len(body), **extra)


def no_ranges(body: bytes) -> Answer:
    """Gives the whole, whatever part was asked for."""
    return lambda handler: handler.reply(200, body)


def status(code: int) -> Answer:
    """An error."""
    return lambda handler: handler.reply(code, b"no")


def moved(to: str) -> Answer:
    """A redirect."""
    return lambda handler: handler.reply(302, b"", Location=to)


def choosy(body: bytes) -> Answer:
    """403 for what does not introduce itself, as scverse's and figshare's hosts answer."""

    def answer(handler: Handler) -> None:
        known = handler.headers.get("User-Agent", "").startswith("bench-harness/")
        handler.reply(200 if known else 403, body if known else b"forbidden")

    return answer


def silent(seconds: float) -> Answer:
    """Accepts, and says nothing for a while."""

    def answer(handler: Handler) -> None:
        time.sleep(seconds)
        handler.close_connection = True

    return answer
