"""Frozen sets interrupted by whatever fails: never taken for whole, finished to the same bits."""

import multiprocessing
import os
import re
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from numpy.typing import NDArray

from risexp.data import freezing
from risexp.data.freezing import planned_bytes
from risexp.data.shards import FrozenSet
from risexp.errors import DataInvalid, EnvironmentFailed
from tests.support.frozen_sets import (
    FULL,
    SCENES,
    SECOND_SHARD,
    arrays,
    contents,
    failing_save,
    frozen,
    interrupted,
    killed_early,
    request_of,
)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), FULL], ids=["interrupt", "full disk"])
def test_an_interrupted_set_is_no_set_and_holds_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    failing_save(monkeypatch, SECOND_SHARD, failure)

    with pytest.raises((KeyboardInterrupt, EnvironmentFailed)):
        frozen(tmp_path / "set")

    left = contents(tmp_path / "set")
    # A kill, unlike an exception, leaves a half-written manifest under its partial name.
    (tmp_path / "set" / "manifest.json.partial").write_text('{"format": "risexp-', "utf-8")
    assert "manifest.json" not in left
    assert [] == [name for name in left if "partial" in name or "shard-00001" in name]
    assert 11 == len(arrays(tmp_path / "set"))
    with pytest.raises(DataInvalid, match="or one that was interrupted; the same"):
        FrozenSet.open(tmp_path / "set")


def test_an_interrupted_set_is_finished_to_the_same_bits(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    for call, failure in (
        *((call, FULL) for call in (1, 11, 12, 33)),
        (SECOND_SHARD, KeyboardInterrupt()),
    ):
        folder = tmp_path / str(call)
        with pytest.MonkeyPatch.context() as patch:
            failing_save(patch, call, failure)
            with pytest.raises((KeyboardInterrupt, EnvironmentFailed)):
                frozen(folder)
        kept = {path: path.stat().st_mtime_ns for path in folder.glob("shard-*/*.npy")}

        frozen(folder)

        assert whole == contents(folder), call
        assert kept == {path: path.stat().st_mtime_ns for path in kept}


def test_a_damaged_shard_of_an_unfinished_set_is_drawn_again(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    interrupted(tmp_path / "set")
    damaged = tmp_path / "set" / "shard-00000" / "y.npy"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x07")

    frozen(tmp_path / "set")

    assert whole == contents(tmp_path / "set")


def test_an_interruption_before_the_first_shard_leaves_only_a_folder_that_was_there(
    tmp_path: Path,
) -> None:
    (tmp_path / "old").mkdir()
    for name in ("old", "new"):
        with pytest.MonkeyPatch.context() as patch:
            failing_save(patch, 5, KeyboardInterrupt())
            with pytest.raises(KeyboardInterrupt):
                frozen(tmp_path / name)

    assert ["old"] == [path.name for path in tmp_path.iterdir()]
    assert {} == arrays(tmp_path / "old")


def test_a_failure_between_shards_and_documents_is_resumed_too(
    tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress is written four times and the manifest once; any of the five may fail."""
    for document in range(1, 6):
        folder = tmp_path / str(document)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", full_at(document))
            with pytest.raises(EnvironmentFailed):
                frozen(folder)
        manifest_was_there = (folder / "manifest.json").exists()

        frozen(folder)

        assert not manifest_was_there
        assert whole == contents(folder), document


def full_at(document: int) -> Callable[[Path, Path], Path]:
    """`Path.replace` on a disk that is full when this document is put in its place."""
    replace, calls = Path.replace, iter(range(1, 100))

    def full(path: Path, target: Path) -> Path:
        if next(calls) == document:
            raise FULL
        return replace(path, target)

    return full


def test_a_set_killed_before_its_first_shard_is_finished(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / ".lock").touch()
    (tmp_path / "begun" / "progress.json.partial").write_text('{"request', encoding="utf-8")
    killed_early(tmp_path / "first")

    for name in ("begun", "first"):
        frozen(tmp_path / name)
        assert whole == contents(tmp_path / name), name


def killed(folder: Path) -> None:
    """Freeze a set, and die while a field of the second shard is half written."""
    save, calls = np.save, iter(range(1, 1000))

    def half(file: BinaryIO, array: NDArray[Any], **options: Any) -> None:  # noqa: ANN401
        if next(calls) == SECOND_SHARD:
            file.write(b"half an arr")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        save(file, array, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "save", half)
        frozen(folder)


def test_a_killed_process_leaves_a_set_that_the_next_one_finishes(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    dead = multiprocessing.get_context("fork").Process(target=killed, args=(tmp_path / "killed",))
    dead.start()
    dead.join(60.0)
    torn = set(contents(tmp_path / "killed"))

    frozen(tmp_path / "killed")

    assert -signal.SIGKILL == dead.exitcode
    assert "manifest.json" not in torn
    assert "shard-00000/y.npy" in torn
    assert any("shard-00001.partial" in name for name in torn)
    assert whole == contents(tmp_path / "killed")


def test_a_full_disk_is_seen_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _folder: shutil._ntuple_diskusage(10**9, 10**9, 10_000)
    )

    with pytest.raises(
        EnvironmentFailed, match=r"needs 0\.1 MB and its disk has 0\.0 MB free: make room"
    ):
        frozen(tmp_path / "set")

    assert {} == contents(tmp_path)


def test_only_the_missing_part_of_a_set_needs_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(tmp_path / "set")
    room = planned_bytes(request_of()) * 2 // 3 + 1
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage._replace(free=room))

    frozen(tmp_path / "set")

    assert SCENES == len(FrozenSet.open(tmp_path / "set"))


def test_a_disk_that_fills_up_and_a_forbidden_place_are_the_machine_s_fault(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("here already", encoding="utf-8")
    full = (
        f"cannot write {tmp_path / 'full'}: No space left on device; what is whole was kept, and "
        "the same command continues"
    )
    short = OSError("38400 requested and 12484 written")

    for name, call, failure, message in (
        ("full", SECOND_SHARD, FULL, f"^{re.escape(full)}$"),
        ("short", 3, short, "the disk took only part of a file"),
        ("file/set", 3, short, r"cannot write .*file/set: Not a directory"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            failing_save(patch, call, failure)
            with pytest.raises(EnvironmentFailed, match=message):
                frozen(tmp_path / name)

    assert {"file", "full"} == {path.name for path in tmp_path.iterdir()}


def test_a_file_that_cannot_be_written_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system takes a part of a file and refuses the rest, as a full disk does."""
    monkeypatch.setattr(freezing, "SHARD_SCENES", 300)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, most))
    try:
        with pytest.raises(EnvironmentFailed, match=r"only part of a file|too large"):
            frozen(tmp_path / "set", request_of(scenes=300))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    assert {} == contents(tmp_path)
