"""Frozen sets and the disk: what does not fit is told, and nothing half-written is left."""

import re
import resource
import shutil
from pathlib import Path

import pytest

from risexp.data import freezing
from risexp.data.freezing import planned_bytes
from risexp.data.shards import FrozenSet
from risexp.errors import EnvironmentFailed
from tests.support.frozen_sets import (
    FULL,
    SCENES,
    SECOND_SHARD,
    contents,
    failing_save,
    frozen,
    interrupted,
    request_of,
)


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
