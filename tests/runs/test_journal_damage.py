"""Damaged journals, and lines of processes that had lost their lease."""

import os
from pathlib import Path

import pytest

from risexp.runs.journal import RESTORED, STARTED, Row, read_journal
from risexp.runs.journal_writer import Journal
from tests.support.journals import clock, opened, written

DAMAGED = (
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"run":"run-1","step":1,"time":1,"values":{"a":NaN}}',
    b'{"run":"run-1","step":1,"time":1,"values":{"a":"1"}}',
    b'{"run":"run-1","step":1,"time":1,"values":{},"more":1}',
    b'{"run":"run-1","step":1.5,"time":1,"values":{}}',
    b'{"run":"run-1","step":1,"time":1,"values":{"a":2.0},"crc":"00000000"}',
)
"""Lines that no journal holds."""


@pytest.mark.fault("F10")
@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_line_is_mended_from_the_spare_copy_once(tmp_path: Path, line: bytes) -> None:
    journal = written(tmp_path, {"beta": 0.1}, {"beta": 0.2})
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole.replace(whole.splitlines()[0], line))
    before = read_journal(journal.path)

    opened(tmp_path)
    opened(tmp_path)

    assert [0.1, 0.2] == [row.values["beta"] for row in before.rows]
    contents = read_journal(journal.path)
    assert [RESTORED] == [note.event for note in contents.notes]
    assert journal.path.read_bytes().startswith(whole)
    assert line in journal.path.with_name("journal.jsonl.corrupt").read_bytes()


@pytest.mark.fault("F10")
@pytest.mark.parametrize("line", DAMAGED)
def test_a_line_that_is_damaged_in_both_copies_is_left_out_and_noted_once(
    tmp_path: Path, line: bytes
) -> None:
    journal = written(tmp_path, {"beta": 0.1}, {"beta": 0.2}, {"beta": 0.3})
    first, _, third = journal.path.read_bytes().splitlines(keepends=True)
    for path in (journal.path, tmp_path / "spares" / "journal.jsonl"):
        path.write_bytes(first + line + b"\n" + third)

    opened(tmp_path).write(2, {"beta": 0.2})
    opened(tmp_path)

    contents = read_journal(journal.path)
    assert [(1, 0.1), (3, 0.3), (2, 0.2)] == [
        (row.step, row.values["beta"]) for row in contents.rows
    ]
    assert [{"bytes_at": [len(first)]}] == [note.details for note in contents.notes]


@pytest.mark.parametrize("kept", [0, 1])
def test_a_journal_that_was_cut_or_deleted_is_restored(tmp_path: Path, kept: int) -> None:
    journal = written(tmp_path, {"beta": 0.1}, {"beta": 0.2})
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.unlink()
    if kept:
        journal.path.write_bytes(b"".join(lines[:kept]))

    opened(tmp_path).write(3, {"beta": 0.3})

    contents = read_journal(journal.path)
    assert [1, 2, 3] == [row.step for row in contents.rows]
    assert journal.path.read_bytes() == (tmp_path / "spares" / "journal.jsonl").read_bytes()


@pytest.mark.fault("F10")
def test_a_damaged_last_line_is_mended_from_the_spare_copy_too(tmp_path: Path) -> None:
    journal = written(tmp_path, {"beta": 0.1}, {"beta": 0.2})
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:])

    assert [1, 2] == [row.step for row in read_journal(journal.path).rows]
    opened(tmp_path)

    assert [1, 2] == [row.step for row in read_journal(journal.path).rows]
    assert journal.path.read_bytes().startswith(whole)


@pytest.mark.fault("F10")
def test_every_flipped_byte_of_a_line_is_noticed(tmp_path: Path) -> None:
    journal = written(tmp_path, {"beta": 0.1}, {"beta": 0.2})
    whole = journal.path.read_bytes()
    (tmp_path / "spares" / "journal.jsonl").unlink()

    for place in range(whole.index(b"\n")):
        journal.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        contents = read_journal(journal.path)

        assert [2] == [row.step for row in contents.rows]
        assert 0 in contents.damaged


@pytest.mark.fault("F4")
def test_what_a_zombie_appends_after_its_heir_began_does_not_count(tmp_path: Path) -> None:
    """Its process was stopped between the check of its lease and its write."""
    zombie = Journal(tmp_path / "journal.jsonl", "run-1", clock(1_000), attempt=1)
    zombie.write(1, {"beta": 0.1})
    heir = Journal(tmp_path / "journal.jsonl", "run-1", clock(50_000), attempt=2)
    heir.note(1, STARTED, {})
    heir.write(2, {"beta": 0.2})

    zombie.write(2, {"beta": 0.2})
    zombie.note(2, "ended", {})

    contents = read_journal(heir.path)
    assert [(1, 1), (2, 2)] == [(row.step, row.attempt) for row in contents.rows]
    assert [STARTED] == [note.event for note in contents.notes]
    assert [("run-1", 1), ("run-1", 1)] == [(line.run, line.attempt) for line in contents.late]


@pytest.mark.fault("F4")
def test_of_two_values_for_one_key_and_epoch_the_first_counts(tmp_path: Path) -> None:
    """A zombie wrote it after its heir had read the journal, and before the heir's first line."""
    zombie = Journal(tmp_path / "journal.jsonl", "run-1", clock(1_000), attempt=1)
    zombie.write(1, {"beta": 0.1})
    heir = Journal(tmp_path / "journal.jsonl", "run-1", clock(50_000), attempt=2)
    zombie.write(2, {"beta": 0.2})

    heir.write(2, {"beta": 0.2, "lr": 0.5})

    contents = read_journal(heir.path)
    assert [{"beta": 0.1}, {"beta": 0.2}, {"lr": 0.5}] == [row.values for row in contents.rows]
    assert [{"beta": 0.2, "lr": 0.5}] == [
        row.values for row in contents.late if isinstance(row, Row)
    ]


def test_a_write_that_fails_cuts_off_nothing_that_another_process_appended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = written(tmp_path, {"beta": 0.1})

    def append_and_interrupt(_: int) -> None:
        monkeypatch.undo()
        Journal(journal.path, "run-1", clock(50_000), attempt=2).note(1, STARTED, {})
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", append_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        journal.write(2, {"beta": 0.2})

    assert [STARTED] == [note.event for note in read_journal(journal.path).notes]
