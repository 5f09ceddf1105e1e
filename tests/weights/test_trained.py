"""The files of a trained model are those of one training, whatever happened while they were written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.data.identity import folder_sha256
from bench.errors import BadInput
from bench.weights import trained
from bench.weights.location import identity

ALWAYS = [name for name in trained.FILES if name != trained.STATISTICS]


def write(folder: Path, version: str, names: list[str] = ALWAYS) -> Path:
    """A model whose files all say which version they are of."""
    with trained.replacing_model(folder) as place:
        for name in names:
            (place / name).write_text(json.dumps({"version": version, "file": name}))
    return folder


def contents(folder: Path) -> dict[str, str]:
    """File -> the version it says it is of."""
    known = [name for name in trained.FILES if trained.has(folder, name)]
    return {name: json.loads(trained.found(folder, name).read_text())["version"] for name in known}


def test_a_model_is_found_where_it_was_written(tmp_path: Path) -> None:
    folder = write(tmp_path / "out" / "model", "1")
    assert contents(folder) == dict.fromkeys(ALWAYS, "1")
    assert sorted(path.name for path in folder.iterdir()) == sorted(ALWAYS)
    assert trained.is_trained(folder)
    trained.require_whole(folder)


def test_a_model_takes_the_place_of_another_and_leaves_the_rest(tmp_path: Path) -> None:
    folder = write(tmp_path, "1", list(trained.FILES))
    (folder / "logs").mkdir()
    (folder / "logs" / "metrics.csv").write_text("step")
    write(folder, "2")  # without statistics: the old ones would be of another model
    assert contents(folder) == dict.fromkeys(ALWAYS, "2")
    assert not (folder / trained.STATISTICS).exists()
    assert (folder / "logs" / "metrics.csv").read_text() == "step"


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    folder = write(tmp_path, "1")
    with pytest.raises(BadInput, match="No such file or directory"):
        write(folder, "2", [trained.CONFIG, "no/such/folder"])
    assert contents(folder) == dict.fromkeys(ALWAYS, "1")
    assert sorted(path.name for path in folder.iterdir()) == sorted(ALWAYS)


def killed_at(step: int, work: Callable[[], Any]) -> bool:
    """Do the work in a process that ends, without a word, before its `step`-th change of a name on the disk."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    left = step

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def changing(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)
            return change(*args, **kwargs)

        return changing

    for name in ("replace", "rename", "mkdir", "unlink", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    work()
    os._exit(0)


def test_killed_at_any_time_the_model_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    found, step, killed = set(), 0, True
    while killed:
        folder = write(tmp_path / str(step), "1", list(trained.FILES))
        killed = killed_at(step, lambda place=folder: write(place, "2"))
        read = contents(folder)
        assert read in (dict.fromkeys(trained.FILES, "1"), dict.fromkeys(ALWAYS, "2")), f"killed at change {step}"
        trained.require_whole(folder)
        found.add(read[trained.WEIGHTS])
        write(folder, "3")
        assert contents(folder) == dict.fromkeys(ALWAYS, "3")
        assert sorted(path.name for path in folder.iterdir()) == sorted(ALWAYS)
        step += 1
    assert found == {"1", "2"}
    assert step > len(ALWAYS)


def test_files_of_two_trainings_are_not_taken_for_a_model(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", "1"), write(tmp_path / "b", "2")
    shutil.copy(second / trained.WEIGHTS, first / trained.WEIGHTS)
    with pytest.raises(BadInput, match=r"model\.safetensors is not the file that was written with the others"):
        trained.require_whole(first)
    (first / trained.PROVENANCE).unlink()  # nobody can tell any more
    trained.require_whole(first)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, "1")
    (folder / trained.VOCABULARY).unlink()
    with pytest.raises(BadInput, match=r"holds no whole trained model: vocabulary\.parquet is missing"):
        trained.require_whole(folder)


def test_files_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("1")
    folder = write(tmp_path / "model", "1")
    (folder / trained.CATEGORIES).unlink()
    (folder / trained.CATEGORIES).symlink_to(secret)
    for read in (identity, lambda path, _: trained.read_json(path, trained.CATEGORIES)):
        with pytest.raises(BadInput, match=r"refused: .*categories\.json leads out of its folder"):
            read(folder, ())


def test_files_that_are_far_too_large_are_not_read(tmp_path: Path) -> None:
    folder = write(tmp_path, "1")
    with (folder / trained.CONFIG).open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(BadInput, match=r"config\.yaml has 1\.0 GiB, more than the config\.yaml of a model ever has"):
        trained.read_text(folder, trained.CONFIG)


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, '{"files": 1}', '{"files": {"a": 1}}'])
def test_a_damaged_provenance_is_none(tmp_path: Path, text: str) -> None:
    folder = write(tmp_path, "1")
    (folder / trained.PROVENANCE).write_text(text)
    assert trained.manifest(folder) is None
    trained.require_whole(folder)


def test_logs_checkpoints_and_provenance_do_not_make_other_weights(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", "1")
    before = identity(folder, ())
    (folder / "logs").mkdir()
    (folder / "logs" / "metrics.csv").write_text("1")
    for name in (trained.PROVENANCE, trained.FINGERPRINTS):
        (folder / name).write_text("another")
    assert identity(folder, ()) == before == identity(write(tmp_path / "b", "1"), ())
    assert identity(write(tmp_path / "c", "1", list(trained.FILES)), ()) != before
    (folder / trained.CONFIG).write_text("another")
    assert identity(folder, ()) != before


def test_other_folders_are_known_by_all_they_hold(tmp_path: Path) -> None:
    (tmp_path / trained.WEIGHTS).write_text("1")
    (tmp_path / "config.json").write_text("1")
    assert not trained.is_trained(tmp_path)
    assert identity(tmp_path, ()) == folder_sha256(tmp_path)


def test_a_folder_that_cannot_be_written_to_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write the model to"):
        write(tmp_path / "file" / "model", "1")
