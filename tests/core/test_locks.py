"""A file's lock keeps other processes out."""

import stat
import threading
from pathlib import Path

import pytest

from risexp.core.locks import Busy, file_lock, lock_key
from risexp.errors import EnvironmentFailed


def test_a_held_lock_refuses_at_once_with_the_callers_sentence(tmp_path: Path) -> None:
    path = tmp_path / ".lock"

    with (
        file_lock(path, ""),
        pytest.raises(Busy, match="wait for it"),
        file_lock(path, "wait for it"),
    ):
        pytest.fail("two hold the lock")


def test_a_lock_is_free_after_an_error_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / ".lock"

    with pytest.raises(ValueError, match="inside"), file_lock(path, ""):
        raise ValueError("inside")

    with file_lock(path, ""):
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_patient_caller_gets_the_lock_once_it_is_released(tmp_path: Path) -> None:
    path, entered = tmp_path / ".lock", threading.Event()

    def enter() -> None:
        with file_lock(path, "never released", wait_s=60.0):
            entered.set()

    waiting = threading.Thread(target=enter)
    with file_lock(path, ""):
        waiting.start()
        assert not entered.wait(0.1)
    waiting.join()

    assert entered.is_set()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file" / ".lock"
    path.parent.write_text("")

    with (
        pytest.raises(EnvironmentFailed, match=r"cannot lock .*/file/\.lock: "),
        file_lock(path, ""),
    ):
        pytest.fail("locked a file in no folder")


def test_the_number_of_a_named_server_lock_never_changes() -> None:
    assert [-3811481025926460236, 5083667744406620098] == [
        lock_key("promotion"),
        lock_key("schema"),
    ]
