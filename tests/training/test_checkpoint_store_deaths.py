"""Checkpoints under death, full disks and forbidden files: a sound one is always left."""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from risexp.errors import EnvironmentFailed
from risexp.training.checkpoint_manifest import committed
from risexp.training.checkpoint_store import CheckpointStore, newest
from tests.support.checkpoint_stores import OWNER, chosen, epoch_found, filled, five_epochs, names
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


@pytest.mark.fault("F11")
def test_a_death_at_any_operation_leaves_a_sound_checkpoint(tmp_path: Path) -> None:
    run = five_epochs()
    before = filled(tmp_path, run[:4])
    found: list[int] = []
    died = True
    while died:
        store = CheckpointStore(tmp_path / str(len(found)), OWNER)
        shutil.copytree(before.folder, store.folder)
        with pytest.MonkeyPatch.context() as patch:
            calls = dying_at(len(found) + 1, patch, Died())
            with suppress(Died):
                store.save(run[4])
        died = len(calls) > len(found)
        state = newest([store.folder], OWNER)
        assert all("its save was interrupted" in each for each in state.damaged)
        assert state.checkpoint is not None
        assert same_state(run[state.checkpoint.epoch - 1].state, state.checkpoint.state)
        assert (2, ()) == chosen(store.folder)
        found.append(state.checkpoint.epoch)
        store.save(run[4])
        assert (5, 4, 2) == committed(store.folder)
        assert 9 == len(names(store.folder))

    assert len(found) > 16
    assert ({4, 5}, found) == (set(found), sorted(found))


@pytest.mark.fault("F12")
def test_a_full_disk_is_one_sentence_and_harms_nothing(tmp_path: Path) -> None:
    store = filled(tmp_path, five_epochs()[:4])
    for call in (1, 4, 9):
        with pytest.MonkeyPatch.context() as patch:
            dying_at(call, patch, OSError(errno.ENOSPC, "No space left on device"))
            with pytest.raises(EnvironmentFailed, match=r"^[^\n]*epoch 5 .*No space left[^\n]*$"):
                store.save(five_epochs()[4])

        assert 4 == epoch_found(store.folder), call
        assert not list(store.folder.glob("*.partial"))


def test_a_file_that_cannot_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path, five_epochs()[:1])

    def forbidden(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", forbidden)

    with pytest.raises(EnvironmentFailed, match="Permission denied"):
        newest([store.folder], OWNER)
    assert (1,) == committed(store.folder)
