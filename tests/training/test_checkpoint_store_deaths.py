"""Checkpoints under death, full disks and forbidden files: a sound one is always left."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from risexp.errors import EnvironmentFailed
from risexp.training.checkpoint import Checkpoint
from risexp.training.checkpoint_manifest import committed
from risexp.training.checkpoint_store import CheckpointStore, newest
from tests.support.checkpoint_stores import OWNER, chosen, epoch_found, filled, names
from tests.support.trainers import same_state


class Died(BaseException):
    """The process is gone: no handler runs."""


def dying_at(call: int, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> list[int]:
    """Raise at the n-th operation on the disk; the list counts them."""
    calls: list[int] = []

    def counted(original: object) -> object:
        def operation(*arguments: object, **named: object) -> object:
            calls.append(1)
            if len(calls) == call:
                raise error
            return original(*arguments, **named)  # type: ignore[operator]

        return operation

    monkeypatch.setattr(os, "open", counted(os.open))
    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    return calls


def operations_of_a_save(tmp_path: Path, run: tuple[Checkpoint, ...]) -> int:
    vault = filled(tmp_path / "count", run[:4])
    with pytest.MonkeyPatch.context() as patch:
        calls = dying_at(10**6, patch, Died())
        vault.save(run[4])
        return len(calls)


def test_a_death_at_any_operation_leaves_a_sound_checkpoint(
    tmp_path: Path, run: tuple[Checkpoint, ...]
) -> None:
    total = operations_of_a_save(tmp_path, run)
    before = filled(tmp_path, run[:4])
    found = []
    for call in range(1, total + 1):
        vault = CheckpointStore(tmp_path / str(call), OWNER)
        shutil.copytree(before.folder, vault.folder)
        with pytest.MonkeyPatch.context() as patch:
            dying_at(call, patch, Died())
            with pytest.raises(Died):
                vault.save(run[4])
        state = newest([vault.folder], OWNER)
        assert all("its save was interrupted" in each for each in state.damaged)
        assert state.checkpoint is not None
        assert same_state(run[state.checkpoint.epoch - 1].state, state.checkpoint.state)
        assert (2, ()) == chosen(vault.folder)
        found.append(state.checkpoint.epoch)
        vault.save(run[4])
        assert (5, 4, 2) == committed(vault.folder)
        assert 9 == len(names(vault.folder))

    assert total > 15
    assert {4, 5} == set(found)
    assert sorted(found) == found


@pytest.mark.parametrize("call", [1, 4, 9])
def test_a_full_disk_is_said_in_one_sentence_and_harms_nothing(
    tmp_path: Path, run: tuple[Checkpoint, ...], call: int
) -> None:
    vault = filled(tmp_path, run[:4])
    with pytest.MonkeyPatch.context() as patch:
        dying_at(call, patch, OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(EnvironmentFailed, match=r"epoch 5 .*No space left") as caught:
            vault.save(run[4])

    assert "\n" not in str(caught.value)
    assert 4 == epoch_found(vault.folder)
    assert not list(vault.folder.glob("*.partial"))


def test_a_file_that_cannot_be_read_is_not_called_damaged(
    tmp_path: Path, run: tuple[Checkpoint, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = filled(tmp_path, run[:1])

    def forbidden(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", forbidden)

    with pytest.raises(EnvironmentFailed, match="Permission denied"):
        newest([vault.folder], OWNER)
    assert (1,) == committed(vault.folder)
