"""Archives of strangers: all of the content, or a refusal and nothing of it."""

from __future__ import annotations

import bz2
import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.downloads import archives
from bench.downloads.archives import unpack
from bench.errors import BadInput

ZEROS = b"a" * 20_000_000


def zipped(path: Path, *members: tuple[str, bytes], **kind: int) -> Path:
    with zipfile.ZipFile(path, "w", **kind) as archive:
        for name, body in members:
            archive.writestr(name, body)
    return path


def tarred(path: Path, *members: tarfile.TarInfo, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, size: int = 1, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = (size if kind == tarfile.REGTYPE else 0), kind, link
    return info


def claiming(path: Path, size: int, kind: bytes = tarfile.XHDTYPE) -> Path:
    """A tar whose second header says what it likes of its size."""
    head = bytearray(member("x", 0, kind).tobuf(tarfile.GNU_FORMAT))
    head[124:136] = bytes([0xFF if size < 0 else 0x80]) + size.to_bytes(11, "big", signed=size < 0)
    head[148:156] = b"%06o\0 " % (sum(head) - sum(head[148:156]) + 8 * ord(" "))
    tarred(path, member("a", 1), mode="w")
    return written(path, path.read_bytes()[:1024] + bytes(head) + bytes(1024))


def flipped(path: Path, at: int) -> Path:
    """The same file with one byte changed."""
    body = bytearray(path.read_bytes())
    body[at] ^= 0xFF
    return written(path, bytes(body))


def zip_link(path: Path) -> Path:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return path


def encrypted(path: Path) -> Path:
    zipped(path, ("a", b"x"))
    body = bytearray(path.read_bytes())
    body[body.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(body)
    return path


def written(path: Path, body: bytes) -> Path:
    path.write_bytes(body)
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_becomes_a_folder(tmp_path: Path, mode: str) -> None:
    archive = tarred(tmp_path / "x", member("./a/b.csv", 7), member("empty", kind=tarfile.DIRTYPE), mode=mode)
    assert unpack(archive, tmp_path / "out") == 7
    assert (tmp_path / "out" / "a" / "b.csv").read_bytes() == b"x" * 7
    assert (tmp_path / "out" / "empty").is_dir()


def test_a_zip_becomes_a_folder(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x", ("a/b.csv", b"counts"), compression=zipfile.ZIP_DEFLATED)
    assert unpack(archive, tmp_path / "out") == 6
    assert (tmp_path / "out" / "a" / "b.csv").read_bytes() == b"counts"


def test_a_gzip_becomes_a_file(tmp_path: Path) -> None:
    assert unpack(written(tmp_path / "x", gzip.compress(b"counts")), tmp_path / "out") == 6
    assert (tmp_path / "out").read_bytes() == b"counts"


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "zip up": (lambda p: zipped(p, ("ok", b"x"), ("../pw.txt", b"x")), "'../pw.txt' leaves the folder"),
    "zip absolute": (lambda p: zipped(p, ("/pw.txt", b"x")), "'/pw.txt' leaves the folder"),
    "zip drive": (lambda p: zipped(p, ("C:/pw.txt", b"x")), "'C:/pw.txt' leaves the folder"),
    "zip backslash": (lambda p: zipped(p, ("a\\..\\..\\pw.txt", b"x")), "leaves the folder"),
    "zip link": (zip_link, "'link' is a link or device"),
    "zip password": (encrypted, "'a' is a file behind a password"),
    "zip bomb": (lambda p: zipped(p, ("z", ZEROS), compression=zipfile.ZIP_DEFLATED), "decompression bomb"),
    "zip bomb, 10,000:1": (lambda p: zipped(p, ("z", ZEROS), compression=zipfile.ZIP_BZIP2), "decompression bomb"),
    "zip line break": (lambda p: zipped(p, ("a\nb", b"x")), "is not a file name"),
    "zip long name": (lambda p: zipped(p, ("a" * 300, b"x")), "is not a file name"),
    "zip of nothing": (lambda p: zipped(p), "there is nothing in it"),
    "tar up": (lambda p: tarred(p, member("ok"), member("a/../../pw.txt")), "leaves the folder"),
    "tar absolute": (lambda p: tarred(p, member("/tmp/pw.txt")), "leaves the folder"),
    "tar symlink": (lambda p: tarred(p, member("s", kind=tarfile.SYMTYPE, link="..")), "'s' is a link"),
    "tar hard link": (lambda p: tarred(p, member("h", kind=tarfile.LNKTYPE, link="/etc/passwd")), "'h' is a link"),
    "tar device": (lambda p: tarred(p, member("d", kind=tarfile.CHRTYPE)), "'d' is a device"),
    "tar pipe": (lambda p: tarred(p, member("f", kind=tarfile.FIFOTYPE)), "'f' is a device"),
    "tar bomb": (lambda p: tarred(p, member("z", 20_000_000), mode="w:bz2"), "decompression bomb"),
    "tar header bomb": (lambda p: claiming(p, 1 << 33), "a header of 8,589,934,592 bytes"),
    "tar header beyond all": (lambda p: claiming(p, 1 << 70, tarfile.GNUTYPE_LONGNAME), "damaged archive"),
    "tar backwards": (lambda p: claiming(p, -(1 << 20), tarfile.REGTYPE), "is of -1,048,576 bytes"),
    "tar header backwards": (lambda p: claiming(p, -512), "damaged archive"),
    "damaged tar.xz": (lambda p: flipped(tarred(p, member("a", 999), mode="w:xz"), -30), "damaged archive"),
    "wrong checksum of tar.gz": (lambda p: flipped(tarred(p, member("a", 999)), -8), "damaged archive"),
    "gzip bomb": (lambda p: written(p, gzip.compress(ZEROS)), "decompression bomb"),
    "bare bzip2": (lambda p: written(p, bz2.compress(b"x")), "no gzip, zip or tar archive"),
    "cut gzip": (lambda p: written(p, gzip.compress(b"counts" * 999)[:-9]), "damaged archive"),
    "wrong checksum": (lambda p: written(p, gzip.compress(b"counts")[:-8] + b"0" * 8), "damaged archive"),
    "cut zip": (lambda p: written(p, zipped(p, ("a", b"x" * 99)).read_bytes()[:-9]), "damaged archive"),
    "file as folder": (lambda p: zipped(p, ("a", b"x"), ("a/b", b"x")), "cannot be unpacked"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_are_refused_and_leave_nothing(tmp_path: Path, case: str) -> None:
    make, said = HOSTILE[case]
    folder = tmp_path / "deep" / "inside"
    folder.mkdir(parents=True)
    archive = make(tmp_path / "x.archive")
    with pytest.raises(BadInput) as error:
        unpack(archive, folder / "out")
    assert said in str(error.value)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["deep", "inside", "x.archive"]


def test_more_than_the_disk_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    archive = zipped(tmp_path / "x", ("a", b"x" * 2000))
    with pytest.raises(BadInput, match=r"larger unpacked than the 1.0 kB that are free"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    with pytest.raises(BadInput, match="more than 3 files"):
        unpack(zipped(tmp_path / "x", *((f"{i}", b"x") for i in range(4))), tmp_path / "out")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"", b"zip", b"tar"]), body=st.binary(max_size=400))
def test_garbage_is_refused_and_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, start: bytes, body: bytes
) -> None:
    folder = tmp_path_factory.mktemp("garbage")
    whole = {b"zip": zipped(folder / "z", ("a", b"x" * 50)), b"tar": tarred(folder / "t", member("a", 50), mode="w")}
    if start in whole:  # a good archive with some bytes overwritten
        good = bytearray(whole[start].read_bytes())
        good[len(body) : 2 * len(body)] = body
        start, body = b"", bytes(good)
    try:
        unpack(written(folder / "x", start + body), folder / "out")
    except BadInput:
        assert not (folder / "out").exists()
