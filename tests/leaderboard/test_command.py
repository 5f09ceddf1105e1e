"""`bench leaderboard`, as the command line calls it."""

from __future__ import annotations

import http.client
import threading
from pathlib import Path

import pytest
import typer
from record_factory import make_record, write_all
from typer.testing import CliRunner

from bench.store.location import results_dir
from bench_leaderboard import numbers
from bench_leaderboard.command import leaderboard
from bench_leaderboard.serve import serve_folder


@pytest.fixture
def app() -> typer.Typer:
    """The command alone."""
    app = typer.Typer()
    app.command()(leaderboard)
    return app


def test_the_page_is_written_and_its_path_printed(tmp_path: Path, app: typer.Typer) -> None:
    write_all(tmp_path, make_record())
    done = CliRunner().invoke(app, ["--results", str(tmp_path), "--out", str(tmp_path / "public")])
    assert done.exit_code == 0, done.output
    assert done.output.strip() == str(tmp_path / "public" / "index.html")
    assert {p.name for p in (tmp_path / "public").iterdir()} == {
        "index.html",
        "results.csv",
        "results.parquet",
        "records",
    }


def test_results_come_from_the_option_the_environment_or_here(
    tmp_path: Path, app: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert results_dir(tmp_path) == tmp_path
    monkeypatch.delenv("BENCH_RESULTS", raising=False)
    assert results_dir() == Path("results")
    monkeypatch.setenv("BENCH_RESULTS", str(tmp_path))
    assert results_dir() == tmp_path
    write_all(tmp_path, make_record())
    assert CliRunner().invoke(app, []).exit_code == 0
    assert (tmp_path / "leaderboard" / "index.html").is_file()


def test_a_folder_is_served_on_this_machine_only(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hello")
    told: list[str] = []
    announced = threading.Event()

    def announce(text: str) -> None:
        told.append(text)
        announced.set()

    threading.Thread(target=serve_folder, args=(tmp_path, announce), daemon=True).start()
    assert announced.wait(10)
    address = told[0].removeprefix("http://").split("/")[0]
    assert address.startswith("127.0.0.1:")
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hello"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (numbers.score(0.91234), "0.912"),
        (numbers.score(-0.05), "−0.050"),
        (numbers.score(0.0), "0.000"),
        (numbers.score(0.00012), "0.00012"),
        (numbers.score(123456.0), "1.23e+05"),
        (numbers.score(None), ""),
        (numbers.seconds(0.44), "0.4 s"),
        (numbers.seconds(90.0), "90 s"),
        (numbers.seconds(600.0), "10.0 min"),
        (numbers.seconds(9000.0), "2.5 h"),
        (numbers.rate(12345.6), "12,346"),
        (numbers.rate(1.25), "1.2"),
        (numbers.size(500_000_000), "476.8 MiB"),
        (numbers.size(22_900_000_000), "21.3 GiB"),
    ],
)
def test_numbers_are_written_for_readers(text: str, expected: str) -> None:
    assert text == expected
