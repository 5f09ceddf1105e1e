"""Whatever a server does: the right file under its name, or a sentence and nothing under it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.downloads.server import Server, choosy, cut, moved, no_ranges, silent, status, whole

from bench.data import identity
from bench.data.identity import folder_sha256
from bench.downloads import archives, sizes, transfer
from bench.downloads.fetch import fetch, located, total_size
from bench.downloads.places import dataset_folder
from bench.downloads.retrieve import DownloadFailed
from bench.errors import BadInput
from bench.specs import RemoteFile

HDF5 = b"\x89HDF\r\n\x1a\n"
BODY = HDF5 + np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>" + b" " * 1200


def remote(*urls: str, body: bytes = BODY, checked: bool = True, **fields: Any) -> RemoteFile:
    """A file as a plugin declares it."""
    known = {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)} if checked else {}
    return RemoteFile(**{"name": "cells.h5ad", "urls": urls, **known, **fields})


def get(file: RemoteFile, folder: Path, **options: Any) -> Path:
    """Fetch one file."""
    return fetch([file], folder, what="dataset mine", **options)[0]


def receipt(folder: Path, name: str = "cells.h5ad") -> dict[str, Any]:
    return json.loads((folder / "fetched.json").read_text())["files"][name]


def refused(file: RemoteFile, folder: Path, **options: Any) -> str:
    """The message of a download that fails; nothing stands under the file's name then."""
    with pytest.raises(DownloadFailed) as error:
        get(file, folder, **options)
    assert not (folder / "cells.h5ad").exists()
    assert not (folder / "fetched.json").exists()
    return str(error.value)


def unfinished(folder: Path) -> list[str]:
    """What is left of downloads that did not end well."""
    return sorted(p.name for p in (folder / ".incoming").iterdir())


# --- what arrives -------------------------------------------------------------------------------------


def test_a_file_arrives_whole_with_a_receipt(server: Server, tmp_path: Path) -> None:
    file = remote(server.at("/cells", whole(BODY)), kind="hdf5")
    assert get(file, tmp_path).read_bytes() == BODY
    note = receipt(tmp_path)
    assert (note["status"], note["sha256"], note["size"]) == ("verified", SHA256, len(BODY))
    assert note["url"] == file.urls[0]
    assert unfinished(tmp_path) == []
    assert located([file], tmp_path) == tmp_path / "cells.h5ad"


def test_a_file_that_is_there_is_not_downloaded_again(server: Server, tmp_path: Path) -> None:
    file = remote(server.at("/cells", whole(BODY)))
    get(file, tmp_path)
    get(file, tmp_path)
    assert len(server.asked) == 1


def test_a_damaged_file_is_downloaded_again(server: Server, tmp_path: Path) -> None:
    file = remote(server.at("/cells", whole(BODY)))
    get(file, tmp_path).write_bytes(b"x" + BODY[1:])
    assert get(file, tmp_path).read_bytes() == BODY


def test_several_files_are_found_as_their_folder(server: Server, tmp_path: Path) -> None:
    files = [remote(server.at(f"/{n}", whole(BODY)), name=f"part/{n}.h5ad") for n in "ab"]
    assert fetch(files[:1], tmp_path, what="dataset mine") == [tmp_path / "part" / "a.h5ad"]
    assert located(files, tmp_path) is None
    fetch(files, tmp_path, what="dataset mine")
    assert located(files, tmp_path) == tmp_path
    assert total_size(files) == 2 * len(BODY)


def test_we_introduce_ourselves(server: Server, tmp_path: Path) -> None:
    get(remote(server.at("/cells", choosy(BODY))), tmp_path)
    assert server.asked[0].headers["User-Agent"].startswith("bench-harness/")
    assert server.asked[0].headers["Accept-Encoding"] == "identity"


def test_bytes_are_kept_as_stored_even_if_called_compressed(server: Server, tmp_path: Path) -> None:
    packed = gzip.compress(b"counts")
    url = server.at("/x", lambda h: h.reply(200, packed, Content_Encoding="gzip"))
    assert get(remote(url, body=packed, name="x.csv.gz"), tmp_path).read_bytes() == packed


def test_an_md5_is_compared_where_there_is_no_sha256(server: Server, tmp_path: Path) -> None:
    url = server.at("/cells", whole(BODY))
    good = hashlib.md5(BODY).hexdigest()
    get(remote(url, sha256="", md5=good), tmp_path / "good")
    assert receipt(tmp_path / "good")["status"] == "verified"
    assert f"md5 {good} instead of {'0' * 32}" in refused(remote(url, sha256="", md5="0" * 32), tmp_path / "bad")


def test_redirects_are_followed(server: Server, tmp_path: Path) -> None:
    url = server.at("/old", moved(server.at("/cells", whole(BODY))))
    assert get(remote(url), tmp_path).read_bytes() == BODY


# --- connections that break ---------------------------------------------------------------------------


def test_a_connection_that_was_cut_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    url = server.at("/cells", cut(BODY, 1_000_000), whole(BODY))
    assert get(remote(url), tmp_path).read_bytes() == BODY
    assert server.ranges() == [None, "bytes=1000000-"]
    assert "If-Range" in server.asked[1].headers


def test_a_later_command_goes_on_too(server: Server, tmp_path: Path) -> None:
    file = remote(server.at("/cells", cut(BODY, 1_000_000), status(403)))
    message = refused(file, tmp_path)
    assert "403 Forbidden" in message
    assert unfinished(tmp_path) == ["cells.h5ad.part", "cells.h5ad.part.json"]
    server.at("/cells", whole(BODY))
    assert get(file, tmp_path).read_bytes() == BODY
    assert server.ranges()[-1] == "bytes=1000000-"


def test_a_server_that_always_cuts_is_given_up_with_the_sizes(server: Server, tmp_path: Path) -> None:
    url = server.at("/cells", cut(BODY, 700_000), status(503))
    assert "503 Service Unavailable" in refused(remote(url), tmp_path / "a")
    url = server.at("/cells", cut(BODY, 700_000, validator=False))
    assert f"truncated: 700,000 of {len(BODY):,} bytes" in refused(remote(url), tmp_path / "b")
    assert len(server.asked) < 12


def test_a_server_that_knows_no_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    url = server.at("/cells", cut(BODY, 1_000_000), no_ranges(BODY))
    assert get(remote(url), tmp_path).read_bytes() == BODY


def test_a_file_that_changed_meanwhile_comes_whole(server: Server, tmp_path: Path) -> None:
    other = HDF5 + np.random.default_rng(1).bytes(3_000_000)
    url = server.at("/cells", cut(other, 1_000_000), whole(BODY))
    assert get(remote(url, checked=False), tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("checked", [True, False])
def test_a_rest_of_another_file_is_not_glued_on(server: Server, tmp_path: Path, checked: bool) -> None:
    """Some servers ignore `If-Range`: a part of the old file, then a range of the new one."""
    other = HDF5 + np.random.default_rng(1).bytes(3_000_000)

    def careless(handler: Any) -> None:
        del handler.headers["If-Range"]
        whole(BODY, validator=checked)(handler)

    url = server.at("/cells", cut(other, 1_000_000, validator=checked), careless)
    assert get(remote(url, checked=checked), tmp_path).read_bytes() == BODY


def test_a_part_without_validator_or_checksum_is_not_trusted(server: Server, tmp_path: Path) -> None:
    url = server.at("/cells", cut(BODY, 1_000_000, validator=False), whole(BODY))
    get(remote(url, checked=False), tmp_path)
    assert server.ranges() == [None, None]


def test_another_mirror_goes_on_where_a_checksum_makes_it_safe(server: Server, tmp_path: Path) -> None:
    first, second = server.at("/1", cut(BODY, 1_000_000), status(404)), server.at("/2", whole(BODY))
    assert get(remote(first, second), tmp_path).read_bytes() == BODY
    assert server.ranges() == [None, "bytes=1000000-", "bytes=1000000-"]


def test_a_part_that_is_whole_already_is_taken(server: Server, tmp_path: Path) -> None:
    file = remote(server.at("/cells", whole(BODY)))
    (tmp_path / ".incoming").mkdir()
    (tmp_path / ".incoming" / "cells.h5ad.part").write_bytes(BODY)
    assert get(file, tmp_path).read_bytes() == BODY
    assert server.ranges() == [f"bytes={len(BODY)}-"]


def test_a_short_body_without_a_length_is_noticed(server: Server, tmp_path: Path) -> None:
    def unsaid(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(BODY[:500_000])
        handler.close_connection = True

    assert f"500,000 of {len(BODY):,}" in refused(remote(server.at("/cells", unsaid)), tmp_path)


def test_a_silent_server_is_left(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    monkeypatch.setattr(transfer, "CONNECT_S", 0.5)
    assert "no answer within 0.5 s" in refused(remote(server.at("/cells", silent(3))), tmp_path)


def test_a_server_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    assert "Connection refused)" in refused(remote("http://127.0.0.1:9/cells"), tmp_path)


# --- answers that are not the file --------------------------------------------------------------------


def test_the_next_mirror_is_asked_and_all_failures_are_told(server: Server, tmp_path: Path) -> None:
    bad = [server.at("/gone", status(404)), server.at("/ill", status(500)), server.at("/page", no_ranges(PAGE))]
    good = server.at("/cells", whole(BODY))
    assert get(remote(*bad, good), tmp_path / "good").read_bytes() == BODY
    message = refused(remote(*bad), tmp_path / "bad")
    for told in ("/gone: 404 Not Found", "/ill: 500 Internal", "/page: answered with an HTML page, 1.3 kB, instead"):
        assert told in message
    assert f"save it as {tmp_path / 'bad' / 'cells.h5ad'} (sha256 {SHA256})" in message


@pytest.mark.parametrize(
    ("body", "fields", "said"),
    [
        (PAGE, {}, "an HTML page, 1.3 kB"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1200000000\n",
            {},
            "a git-LFS pointer, 73 bytes (to a file of 1.2 GB)",
        ),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', {}, "an XML error message"),
        (b"", {}, "an empty file"),
        (b'{"message": "not found"}', {"kind": "hdf5"}, "not hdf5"),
        (b"PAR1" + b"x" * 30, {"kind": "parquet"}, "not parquet"),
        (b"PAR1", {"kind": "parquet"}, "not parquet"),
        (b"plain", {"kind": "gzip"}, "not gzip"),
        (b"plain", {"kind": "zip"}, "not zip"),
        (b"plain", {"kind": "tar"}, "not tar"),
        (b"a\0b", {"kind": "text"}, "not text"),
        (HDF5 + b"short", {"size": 99}, "13 bytes instead of 99"),
        (HDF5 + b"other", {"sha256": "0" * 64}, f"instead of {'0' * 64}"),
    ],
)
def test_what_came_instead_is_named(
    server: Server, tmp_path: Path, body: bytes, fields: dict[str, Any], said: str
) -> None:
    assert said in refused(remote(server.at("/cells", whole(body)), checked=False, **fields), tmp_path)
    assert unfinished(tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("hdf5", b"\0" * 512 + HDF5),
        ("parquet", b"PAR1....PAR1"),
        ("zip", b"PK\x05\x06" + b"\0" * 18),
        ("gzip", gzip.compress(b"x", mtime=0)),
        ("text", b"gene,symbol\n"),
        ("", b"anything"),
    ],
)
def test_every_kind_is_known_by_its_first_bytes(server: Server, tmp_path: Path, kind: Any, body: bytes) -> None:
    file = remote(server.at("/cells", whole(body)), body=body, kind=kind)
    assert get(file, tmp_path).read_bytes() == body


def test_a_servers_words_cannot_move_the_cursor(server: Server, tmp_path: Path) -> None:
    def coloured(handler: Any) -> None:
        handler.send_response(404, "\x1b[2J gone")
        handler.end_headers()

    message = refused(remote(server.at("/cells", coloured)), tmp_path)
    assert "404 ?[2J gone" in message
    assert "\x1b" not in message


def header(first: str, name: str, value: bytes) -> Any:
    """An answer with one header of the server's own making."""
    return lambda handler: handler.wfile.write(
        b"HTTP/1.1 " + first.encode() + b"\r\n" + name.encode() + b": " + value + b"\r\n\r\n" + BODY[:99]
    )


@pytest.mark.parametrize(
    ("first", "name", "value", "said"),
    [
        ("302 Found", "Location", b"http://[", "redirects to http://[; not a valid address"),
        ("302 Found", "Location", b"https://x\xff/", "not a valid address"),
        ("206 Partial", "Content-Range", b"bytes 0-9/" + b"9" * 5000, "another file than the part"),
        ("404 " + "x" * 9999, "X", b"", "404 xxx"),
    ],
)
def test_headers_that_make_no_sense_are_a_failure(
    server: Server, tmp_path: Path, first: str, name: str, value: bytes, said: str
) -> None:
    message = refused(remote(server.at("/cells", header(first, name, value)), checked=False), tmp_path)
    assert said in message
    assert len(message) < 1500


@pytest.mark.parametrize("length", [b"\xb2", b"9" * 5000, b"-5"])
def test_a_length_that_is_none_is_not_believed(server: Server, tmp_path: Path, length: bytes) -> None:
    url = server.at("/cells", header("200 OK", "Content-Length", length))
    assert get(remote(url, body=BODY[:99]), tmp_path).read_bytes() == BODY[:99]


def test_a_large_file_of_another_size_is_not_even_downloaded(server: Server, tmp_path: Path) -> None:
    message = refused(remote(server.at("/cells", whole(BODY)), size=5_000_000_000), tmp_path)
    assert "answered with 3.0 MB instead of 5.0 GB" in message
    assert unfinished(tmp_path) == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.org/x", "not encrypted"),
        ("file:///etc/passwd", "only https"),
        ("ftp://example.org/x", "only https"),
        ("https://[x/", "not a valid address"),
        ("nonsense", "no scheme"),
    ],
)
def test_unsafe_addresses_are_not_asked(tmp_path: Path, url: str, why: str) -> None:
    assert why in refused(remote(url), tmp_path)


@pytest.mark.parametrize("to", ["http://example.org/x", "file:///etc/passwd"])
def test_unsafe_redirects_are_not_followed(server: Server, tmp_path: Path, to: str) -> None:
    assert f"redirects to {to}" in refused(remote(server.at("/cells", moved(to))), tmp_path)


# --- without a published checksum ---------------------------------------------------------------------


def test_an_unpublished_checksum_is_noted_and_kept_to(server: Server, tmp_path: Path) -> None:
    url = server.at("/cells", whole(BODY))
    file = remote(url, checked=False)
    path = get(file, tmp_path)
    assert receipt(tmp_path)["status"] == "unverified"
    assert receipt(tmp_path)["sha256"] == SHA256
    changed = HDF5 + b"a new release"
    server.at("/cells", whole(changed))
    path.unlink()
    with pytest.raises(BadInput, match=r"holds another file than on .* Take the new one with --force"):
        get(file, tmp_path)
    assert not path.exists()
    assert get(file, tmp_path, force=True).read_bytes() == changed


def test_a_change_on_this_machine_is_told(server: Server, tmp_path: Path) -> None:
    file = remote(server.at("/cells", whole(BODY)), checked=False)
    get(file, tmp_path).write_bytes(BODY[:-1] + b"!")
    with pytest.raises(BadInput, match="has changed since it was fetched"):
        get(file, tmp_path)


# --- by hand ------------------------------------------------------------------------------------------


def test_offline_nothing_is_asked_and_the_route_by_hand_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    file = remote(server.at("/cells", whole(BODY)))
    with pytest.raises(BadInput, match="BENCH_OFFLINE forbids the network") as error:
        get(file, tmp_path)
    assert f"download {file.urls[0]} and save it as {tmp_path / 'cells.h5ad'} (sha256 {SHA256})" in str(error.value)
    assert server.asked == []
    (tmp_path / "cells.h5ad").write_bytes(BODY)
    assert get(file, tmp_path) == tmp_path / "cells.h5ad"
    assert receipt(tmp_path)["status"] == "verified"


def test_a_login_has_a_route_by_hand(tmp_path: Path) -> None:
    file = remote(name="train.csv.gz", body=gzip.compress(b"a,b"), unpack=True)
    with pytest.raises(BadInput, match="cannot be downloaded by a program") as error:
        get(file, tmp_path, manual="Log in at example.org and accept the rules.")
    assert "By hand: Log in at example.org and accept the rules; put train.csv.gz (sha256" in str(error.value)
    assert str(tmp_path) in str(error.value)
    (tmp_path / "train.csv.gz").write_bytes(b"something else")
    with pytest.raises(BadInput, match="is not the published file"):
        get(file, tmp_path)
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(b"a,b"))
    assert get(file, tmp_path).read_bytes() == b"a,b"


# --- archives -----------------------------------------------------------------------------------------


def test_a_compressed_file_is_kept_as_what_is_inside(server: Server, tmp_path: Path) -> None:
    packed = gzip.compress(BODY)
    file = remote(server.at("/x", whole(packed)), body=packed, name="cells.h5ad.gz", kind="gzip", unpack=True)
    assert get(file, tmp_path).read_bytes() == BODY
    assert located([file], tmp_path) == tmp_path / "cells.h5ad"
    note = receipt(tmp_path)
    assert (note["sha256"], note["kept_sha256"]) == (hashlib.sha256(packed).hexdigest(), SHA256)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".incoming", ".lock", "cells.h5ad", "fetched.json"]
    get(file, tmp_path)
    assert len(server.asked) == 1
    (tmp_path / "cells.h5ad").write_bytes(BODY[:-1] + b"!")
    assert get(file, tmp_path).read_bytes() == BODY


def test_an_archive_is_kept_as_a_folder(server: Server, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("inner/a.csv", "a")
    packed = (tmp_path / "x.zip").read_bytes()
    file = remote(server.at("/x", whole(packed)), body=packed, name="set.zip", unpack=True)
    folder = tmp_path / "cache"
    assert (get(file, folder) / "inner" / "a.csv").read_text() == "a"
    get(file, folder)
    assert len(server.asked) == 1
    get(file, folder, force=True)
    assert (folder / "set" / "inner" / "a.csv").read_text() == "a"
    assert json.loads((folder / "fetched.json").read_text())["files"]["set"]["kept_sha256"] == folder_sha256(
        folder / "set"
    )
    (folder / "set" / "inner" / "a.csv").write_text("b")  # changed, and then gone: made good by fetching again
    assert (get(file, folder) / "inner" / "a.csv").read_text() == "a"
    (folder / "set" / "inner" / "a.csv").unlink()
    assert (get(file, folder) / "inner" / "a.csv").read_text() == "a"


def test_an_empty_folder_of_that_name_is_not_the_content(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert located([remote(name="set.zip", unpack=True)], tmp_path) is None


def test_planning_reads_nothing_again_after_a_fetch(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(identity, "_SETTLED_NS", -1)  # a large file is older than that when its checksum is taken
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner/a.csv", "a")
    files = [
        remote(server.at("/set", whole(packed.getvalue())), checked=False, name="set.zip", unpack=True),
        remote(server.at("/cells", whole(BODY))),
    ]
    paths = fetch(files, dataset_folder("mine"), what="dataset mine")
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read a file again"))
    for path in (*paths, dataset_folder("mine")):
        identity.path_sha256(path)


def test_a_hostile_archive_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("../pw.txt", "owned")
    packed = (tmp_path / "x.zip").read_bytes()
    file = remote(server.at("/x", whole(packed)), body=packed, name="set.zip", unpack=True)
    folder = tmp_path / "cache" / "mine"
    with pytest.raises(BadInput, match=r"archive refused: '../pw.txt' leaves the folder"):
        get(file, folder)
    assert not list((tmp_path / "cache").rglob("pw.txt"))
    assert located([file], folder) is None


def test_an_archive_that_does_not_fit_unpacked_is_not_downloaded_twice(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = gzip.compress(b"counts" * 1000)
    file = remote(server.at("/x", whole(packed)), body=packed, name="cells.csv.gz", unpack=True)
    with monkeypatch.context() as small:
        small.setattr(archives.shutil, "disk_usage", lambda _: SimpleNamespace(free=5000))
        with pytest.raises(BadInput, match="larger unpacked than the"):
            get(file, tmp_path)
    assert get(file, tmp_path).read_bytes() == b"counts" * 1000
    assert server.ranges() == [None, f"bytes={len(packed)}-"]


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", ".lock", "a/.b/c", "a//b", "fetched.json", "fetched.json.gz", "a\\b", ""]
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="mend its plugin"):
        RemoteFile(name)


def test_a_kind_that_nobody_can_check_is_refused() -> None:
    with pytest.raises(BadInput, match="'x' is of unknown kind 'hdf'; mend its plugin"):
        RemoteFile("x", kind="hdf")  # type: ignore[arg-type]


# --- the machine --------------------------------------------------------------------------------------


def test_two_processes_at_once_download_once(server: Server, tmp_path: Path) -> None:
    def slowly(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        for start in range(0, len(BODY), 500_000):
            handler.wfile.write(BODY[start : start + 500_000])
            transfer.time.sleep(0.1)

    url = server.at("/cells", slowly)
    code = (
        "import sys; from pathlib import Path; from bench.downloads.fetch import fetch; "
        "from bench.specs import RemoteFile\n"
        f"fetch([RemoteFile('cells.h5ad', ({url!r},), {SHA256!r})], Path({str(tmp_path)!r}), what='dataset mine')"
    )
    both = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert len(server.asked) == 1
    assert (tmp_path / "cells.h5ad").read_bytes() == BODY


def test_a_disk_without_room_is_said_before_anything_is_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(BadInput, match=r"needs 3.0 MB, 1.0 kB are free; .*BENCH_CACHE_DIR"):
        get(remote(server.at("/cells", whole(BODY))), tmp_path)
    assert server.asked == []


def test_a_disk_that_fills_up_meanwhile_is_said(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer, "_write", full)
    with pytest.raises(BadInput, match="the disk is full"):
        get(remote(server.at("/cells", whole(BODY))), tmp_path)
    assert located([remote()], tmp_path) is None


def test_a_read_only_cache_serves_what_it_holds(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = remote(server.at("/cells", whole(BODY)))
    get(file, tmp_path)
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: pytest.fail("wrote to a read-only folder"))
    assert get(file, tmp_path).read_bytes() == BODY


def test_leftovers_of_killed_processes_are_removed_but_for_parts(server: Server, tmp_path: Path) -> None:
    incoming = tmp_path / ".incoming"
    (incoming / ".set.unpacked.ab.tmp").mkdir(parents=True)
    (incoming / "tmpabc").write_text("pooch's")
    (incoming / "other.part").write_text("half")
    get(remote(server.at("/cells", whole(BODY))), tmp_path)
    assert unfinished(tmp_path) == ["other.part"]


@pytest.mark.parametrize("text", ["", "[]", '{"files": {"cells.h5ad": 3}}', '{"files": {"cells.h5ad": {"url": 3}}}'])
def test_a_damaged_receipt_is_as_none(server: Server, tmp_path: Path, text: str) -> None:
    file = remote(server.at("/cells", whole(BODY)))
    get(file, tmp_path)
    (tmp_path / "fetched.json").write_text(text)
    assert get(file, tmp_path).read_bytes() == BODY
    assert receipt(tmp_path)["status"] == "verified"
