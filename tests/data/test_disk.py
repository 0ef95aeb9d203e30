"""Frozen sets and the disk: what does not fit is told, and nothing half-written is left."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_a_disk_that_fills_up_is_the_machine_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_save(monkeypatch, SECOND_SHARD, FULL)

    with pytest.raises(EnvironmentFailed) as caught:
        frozen(tmp_path / "set")

    assert str(caught.value) == (
        f"cannot write {tmp_path / 'set'}: No space left on device; what is whole was kept, and "
        "the same command continues"
    )


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from risexp.cli.main import main
main(["data", "generate", "--out", sys.argv[1], "--split", "test", "--scenes", "300",
      "--preset", "smoke"])
"""


def run_limited(folder: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process that may write no file as large as the set's largest."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RISEXP_")}
    return subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", LIMITED, str(folder)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_a_file_that_cannot_be_written_ends_the_command_with_nothing_half_written(
    tmp_path: Path,
) -> None:
    done = run_limited(tmp_path / "set")

    plan, *said = done.stderr.splitlines()
    assert 1 == done.returncode
    assert "" == done.stdout
    assert plan.startswith("300 test scenes, ")
    assert 1 == len(said)
    assert said[0].startswith(f"risexp: cannot write {tmp_path / 'set'}: ")
    assert {} == contents(tmp_path)


def test_a_short_write_is_told_in_words_a_person_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_save(monkeypatch, 3, OSError("38400 requested and 12484 written"))

    with pytest.raises(EnvironmentFailed, match="disk"):
        frozen(tmp_path / "set")


def test_a_forbidden_place_is_the_machine_s_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here already", encoding="utf-8")

    with pytest.raises(EnvironmentFailed, match=r"cannot write .*file/set: Not a directory"):
        frozen(tmp_path / "file" / "set")

    assert {"file": b"here already"} == contents(tmp_path)
