"""From names of data to files on this disk: whole, each once, fetched once."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from tests.downloads.server import Server, cut, serving, status, whole

from bench.data.cells import remote
from bench.data.cells.convert import store_of
from bench.data.cells.sources import locate, require
from bench.downloads import transfer
from bench.downloads.retrieve import DownloadFailed
from bench.errors import BadInput

Content = Callable[..., bytes]
PAGE = b"<!DOCTYPE html><html>please log in</html>"


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_OFFLINE", raising=False)
    monkeypatch.setattr(transfer, "PAUSE_S", 0.0)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    """A cloud, as far as fsspec can tell."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


@pytest.fixture
def content(written: Callable[..., Path]) -> Content:
    """Bytes of a `.h5ad` file of so many cells."""

    def make(n: int = 3) -> bytes:
        path = written(np.ones((n, 2), dtype="f4"), name=f"of{n}")
        body = path.read_bytes()
        path.unlink()
        return body

    return make


@pytest.fixture
def folder(content: Content, tmp_path: Path) -> Path:
    """A folder of three files."""
    path = tmp_path / "data"
    path.mkdir()
    for n, name in enumerate(("b.h5ad", "a.h5ad", "c10.h5ad"), start=1):
        (path / name).write_bytes(content(n))
    return path


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_files_folders_and_patterns_are_found_in_order(folder: Path) -> None:
    (folder / "notes.txt").write_text("")
    (folder / "._a.h5ad").write_bytes(b"what macOS leaves behind")
    assert names(locate([folder / "b.h5ad", folder / "a.h5ad"])) == ["b.h5ad", "a.h5ad"]
    assert names(locate([folder])) == ["a.h5ad", "b.h5ad", "c10.h5ad"]
    assert names(locate([f"{folder}/c*.h5ad", f"{folder}/[ab].h5ad"])) == ["c10.h5ad", "a.h5ad", "b.h5ad"]
    assert names(locate([f"{folder.parent}/**/a.h5ad"])) == ["a.h5ad"]


def test_home_and_the_working_folder_are_understood(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.chdir(folder)
    assert locate(["~/data/a.h5ad", "b.h5ad"]) == [folder / "a.h5ad", folder / "b.h5ad"]


def test_a_file_may_be_called_like_a_pattern(folder: Path) -> None:
    (folder / "a.h5ad").rename(folder / "x[1].h5ad")
    assert names(locate([folder / "x[1].h5ad"])) == ["x[1].h5ad"]


def test_a_store_is_taken_as_it_is(folder: Path) -> None:
    store = store_of(folder / "a.h5ad")
    assert locate([store.path, folder / "b.h5ad"]) == [store.path, folder / "b.h5ad"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("aa.h5ad", r"dataset file not found: .* Did you mean '.*/a\.h5ad'"),
        ("x*.h5ad", r"no file is like .*/x\*\.h5ad"),
        ("empty", "is a directory; give a .h5ad file"),
    ],
)
def test_a_name_that_stands_for_nothing_is_refused(folder: Path, name: str, text: str) -> None:
    (folder / "empty").mkdir()
    for look in (locate, require):
        with pytest.raises(BadInput, match=text):
            look([folder / name])


@pytest.mark.parametrize("names", [[], [""], ["a.h5ad", ""]])
def test_no_names_are_refused(names: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # where there are files that nobody has named
    for look in (locate, require):
        with pytest.raises(BadInput, match="no data were named"):
            look(names)


def test_names_are_looked_at_without_reading_a_file_or_asking_the_network(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.data.cells.sources.file_sha256", None)
    require([folder / "a.h5ad", f"{folder}/*.h5ad", folder, "https://no.host/x.h5ad", "lamin:no/such"])


def test_the_same_cells_twice_are_refused(folder: Path) -> None:
    (folder / "copy.h5ad").write_bytes((folder / "a.h5ad").read_bytes())
    store = store_of(folder / "b.h5ad")
    for same in ([folder / "a.h5ad", folder / "copy.h5ad"], [store.path, folder / "b.h5ad"]):
        with pytest.raises(BadInput, match=f"{same[0]} and {same[1]} hold the same cells, .* name it once"):
            locate(same)
    with pytest.raises(BadInput, match=r"a\.h5ad is named twice"):
        locate([folder / "a.h5ad", f"{folder}/[ab].h5ad"])


# ---- addresses


def test_a_file_behind_http_is_copied_once(server: Server, content: Content) -> None:
    url = server.at("/a.h5ad", whole(content()))
    (path,) = locate([url])
    assert path.name == "a.h5ad"
    assert path.read_bytes() == content()
    assert store_of(path).n_cells == 3
    asked = len(server.asked)
    assert locate([url]) == [path]
    assert len(server.asked) == asked + 1  # whether it is still the same
    assert all("bench-harness" in one.headers["User-Agent"] for one in server.asked)


def test_a_file_that_has_changed_there_is_copied_again(server: Server, content: Content) -> None:
    (old,) = locate([server.at("/a.h5ad", whole(content(3)))])
    (new,) = locate([server.at("/a.h5ad", whole(content(4)))])
    assert old.read_bytes() == content(3)
    assert new.read_bytes() == content(4)


def test_without_a_network_the_last_copy_is_used(
    server: Server, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.at("/a.h5ad", whole(content(3)))
    locate([url])
    (last,) = locate([server.at("/a.h5ad", whole(content(4)))])
    asked = len(server.asked)
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    assert locate([url]) == [last]
    assert len(server.asked) == asked


def test_without_a_network_or_a_copy_an_address_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    for url in (server.at("/a.h5ad", whole(b"")), "memory://a.h5ad"):
        with pytest.raises(BadInput, match="is not on this machine, and BENCH_OFFLINE forbids the network; copy"):
            locate([url])
    assert not server.asked


def test_a_web_page_is_no_file(server: Server, cache: Path) -> None:
    with pytest.raises(DownloadFailed, match="an HTML page"):
        locate([server.at("/a.h5ad", whole(PAGE))])
    assert not list(cache.rglob("*.h5ad"))


def test_a_truncated_download_is_refused_and_goes_on_later(server: Server, content: Content, cache: Path) -> None:
    url = server.at("/a.h5ad", cut(content(), 1000))
    with pytest.raises(DownloadFailed, match=r"truncated: 1,000 of"):
        locate([url])
    assert not list(cache.rglob("*.h5ad"))
    server.at("/a.h5ad", whole(content()))
    assert locate([url])[0].read_bytes() == content()
    assert "bytes=1000-" in server.ranges()


def test_what_is_not_there_is_said(server: Server, memory: MemoryFileSystem) -> None:
    with pytest.raises(DownloadFailed, match=r"/a\.h5ad cannot be read \(404"):
        locate([server.at("/a.h5ad", status(404))])
    with pytest.raises(DownloadFailed, match=r"memory://a\.h5ad cannot be read"):
        locate(["memory://a.h5ad"])
    with pytest.raises(DownloadFailed, match=r"no file is like memory://\*\.h5ad"):
        locate(["memory://*.h5ad"])


def test_an_address_that_is_not_encrypted_is_not_asked() -> None:
    with pytest.raises(BadInput, match="http is not encrypted"):
        locate(["http://example.org/a.h5ad"])


@pytest.mark.parametrize(("path", "name"), [("/x y.h5ad?key=1", "x-y.h5ad"), ("/files/24539828", "24539828.h5ad")])
def test_a_copy_has_a_name_that_can_be_kept(server: Server, content: Content, path: str, name: str) -> None:
    server.at(path.replace(" ", "%20"), whole(content()))
    assert names(locate([server.at(path, whole(content()))])) == [name]


def test_a_file_in_a_cloud_is_copied_once_and_again_when_it_has_changed(
    memory: MemoryFileSystem, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/bucket/a.h5ad", content(3))
    (path,) = locate(["memory://bucket/a.h5ad"])
    assert path.read_bytes() == content(3)
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "get_file", None)
        assert locate(["memory://bucket/a.h5ad"]) == [path]
    memory.pipe("/bucket/a.h5ad", content(4))
    assert locate(["memory://bucket/a.h5ad"])[0].read_bytes() == content(4)


def test_a_pattern_in_a_cloud_stands_for_all_its_files(memory: MemoryFileSystem, content: Content) -> None:
    for n, name in enumerate(("b", "a", "c.txt"), start=1):
        memory.pipe(f"/bucket/{name}.h5ad" if "." not in name else f"/bucket/{name}", content(n))
    assert names(locate(["memory://bucket/*.h5ad"])) == ["a.h5ad", "b.h5ad"]


def test_what_comes_otherwise_than_promised_is_not_kept(
    memory: MemoryFileSystem, content: Content, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/page.h5ad", PAGE)
    with pytest.raises(BadInput, match=r"holds an HTML page, .* instead of a \.h5ad file"):
        locate(["memory://page.h5ad"])
    memory.pipe("/cut.h5ad", content())
    monkeypatch.setattr(MemoryFileSystem, "get_file", lambda *args, **_: Path(args[2]).write_bytes(content()[:1000]))
    with pytest.raises(DownloadFailed, match="came truncated: 1,000 of"):
        locate(["memory://cut.h5ad"])
    assert not [path for path in cache.rglob("*") if path.suffix in {".h5ad", ".tmp"}]


def test_a_full_disk_is_said(memory: MemoryFileSystem, content: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    memory.pipe("/a.h5ad", content())
    monkeypatch.setattr(MemoryFileSystem, "get_file", full)
    with pytest.raises(BadInput, match=r"no room in .* set BENCH_CACHE_DIR"):
        locate(["memory://a.h5ad"])


def test_what_a_killed_copy_has_left_is_removed(memory: MemoryFileSystem, content: Content) -> None:
    memory.pipe("/a.h5ad", content())
    (path,) = locate(["memory://a.h5ad"])
    left = path.with_name(".a.h5ad.0123.tmp")
    path.rename(left)
    assert locate(["memory://a.h5ad"]) == [path]
    assert not left.exists()


def test_a_missing_package_is_named() -> None:
    fsspec.register_implementation("cloudless", "no_such_package.FS", errtxt="Install no_such_package to access it")
    with pytest.raises(
        BadInput, match=r"cloudless://a\.h5ad needs a package .*\(Install no_such_package to access it\)"
    ):
        locate(["cloudless://a.h5ad"])


def test_an_unknown_kind_of_address_is_refused() -> None:
    with pytest.raises(DownloadFailed, match=r"nowhere://a\.h5ad cannot be read \(Protocol not known: nowhere\)"):
        locate(["nowhere://a.h5ad"])


def test_progress_of_a_copy_is_told(
    memory: MemoryFileSystem, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int, int | None]] = []
    monkeypatch.setattr(remote.Bars, "moved", lambda _, *what: told.append(what))
    memory.pipe("/a.h5ad", content())
    locate(["memory://a.h5ad"])
    assert told[-1] == ("a.h5ad", len(content()), len(content()))


# ---- laminDB


class _Missing(Exception):
    pass


@pytest.fixture
def lamindb(folder: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What of lamindb is used, with a collection of two files."""
    artifacts = [
        SimpleNamespace(key=f"in/{name}", uid=name, suffix=".h5ad", path=folder / name, cache=lambda n=name: folder / n)
        for name in ("b.h5ad", "a.h5ad")
    ]
    found = SimpleNamespace(ordered_artifacts=SimpleNamespace(all=lambda: artifacts))

    def get(uid: str = "", key: str = "") -> Any:
        if (uid or key) not in {"pbmc", "xN91i93OFeJFhRSd"}:
            raise _Missing(f"No record found with uid {uid!r}. Did you forget a keyword?")
        return found

    collection = SimpleNamespace(get=get, DoesNotExist=_Missing)
    monkeypatch.setitem(sys.modules, "lamindb", SimpleNamespace(Collection=collection))  # type: ignore[arg-type]
    return SimpleNamespace(artifacts=artifacts, collection=collection)


@pytest.mark.parametrize("name", ["lamin:pbmc", "lamin:xN91i93OFeJFhRSd"])
def test_a_lamindb_collection_is_its_files_in_order(lamindb: SimpleNamespace, folder: Path, name: str) -> None:
    assert locate([name]) == [folder / "b.h5ad", folder / "a.h5ad"]


def test_a_collection_that_is_not_there_is_refused(lamindb: SimpleNamespace) -> None:
    with pytest.raises(BadInput, match=r"'nothing' \(No record found with uid 'nothing'\); connect its instance"):
        locate(["lamin:nothing"])


def test_a_collection_of_other_files_is_refused(lamindb: SimpleNamespace) -> None:
    lamindb.artifacts[1].suffix = ".parquet"
    with pytest.raises(BadInput, match=r"in/a\.h5ad is no \.h5ad file"):
        locate(["lamin:pbmc"])
    lamindb.artifacts.clear()
    with pytest.raises(BadInput, match="there is no file in it"):
        locate(["lamin:pbmc"])


def test_a_collection_in_a_cloud_needs_the_network(lamindb: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    assert len(locate(["lamin:pbmc"])) == 2
    lamindb.artifacts[0].path = "s3://bucket/b.h5ad"
    with pytest.raises(BadInput, match=r"s3://bucket/b\.h5ad of the laminDB collection .* BENCH_OFFLINE forbids"):
        locate(["lamin:pbmc"])


def test_without_lamindb_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lamindb", None)
    with pytest.raises(BadInput, match=r"lamin:pbmc needs the package lamindb, .* pip install lamindb"):
        locate(["lamin:pbmc"])


LAMIN = """
    import sys
    from bench.data.cells import lamin
    from bench.errors import BadInput

    if sys.argv[1] == "unconnected":
        try:
            lamin.files("pbmc")
        except BadInput as error:
            print("refused:", error)
        sys.exit()
    import lamindb as ln

    files = [ln.Artifact(path, key=path.rpartition("/")[2]).save() for path in sys.argv[2:]]
    uid = ln.Collection(files, key="pbmc").save().uid
    for name in ("pbmc", uid, uid[:16]):
        print(*lamin.files(name))
"""


@pytest.mark.slow
def test_the_real_lamindb_gives_the_files_of_a_collection(content: Content, tmp_path: Path) -> None:
    pytest.importorskip("lamindb")
    storage = tmp_path / "storage"
    storage.mkdir()
    paths = [storage / name for name in ("b.h5ad", "a.h5ad")]
    for n, path in enumerate(paths, start=1):
        path.write_bytes(content(n))
    settings = {"HOME": str(tmp_path / "home"), "LAMIN_SETTINGS_DIR": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()

    def run(*command: object) -> str:
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            env={**os.environ, **settings, "PYTHONPATH": str(Path(__file__).parents[3])},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(LAMIN))
    assert "refused: laminDB does not give the collection 'pbmc' (No instance is connected)" in run(
        script, "unconnected"
    )
    run("-m", "lamin_cli", "init", "--storage", storage)
    assert run(script, "collect", *paths).count(f"{paths[0]} {paths[1]}\n") == 3
