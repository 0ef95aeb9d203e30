"""A log on a full disk loses lines, and ends neither a worker nor a command."""

import io
import os
import sys

import pytest

from risexp.cli.output import note
from risexp.core.signals import write_stderr


@pytest.mark.fault("F12")
def test_a_message_for_a_full_disk_is_lost_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True)
    monkeypatch.setattr(sys, "stderr", full)
    with pytest.raises(OSError, match="No space left"):
        print("a message that must be written", file=sys.stderr)  # noqa: T201 - the fault itself

    note("trial 3, attempt 1: run toy-003")


@pytest.mark.fault("F12")
def test_a_message_of_a_handler_for_a_full_disk_is_lost_likewise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    write = os.write
    monkeypatch.setattr(os, "write", lambda _, text: write(descriptor, text))
    with pytest.raises(OSError, match="No space left"):
        os.write(2, b"a message that must be written")

    write_stderr("the stacks are written")

    os.close(descriptor)
