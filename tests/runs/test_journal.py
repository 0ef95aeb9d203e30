import json
import math
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risexp.errors import DataInvalid, EnvironmentFailed
from risexp.runs.journal import RESTORED, STARTED, Note, Row, read_journal
from risexp.runs.journal_writer import Journal


def clock(start: int = 1_000) -> Callable[[], int]:
    """A clock that advances one second per call."""
    times = iter(range(start, start + 1_000_000, 1_000))
    return lambda: next(times)


def opened(folder: Path, start: int = 1_000) -> Journal:
    return Journal(folder / "journal.jsonl", "run-1", clock(start))


def written(folder: Path, *rows: Mapping[str, float]) -> Journal:
    """A journal with one row an epoch."""
    journal = opened(folder)
    for step, values in enumerate(rows, start=1):
        journal.write(step, values)
    return journal


def documents(journal: Journal) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in journal.path.read_text("utf-8").splitlines()]
    return [{key: line[key] for key in line if key != "crc"} for line in found]


def test_a_row_holds_run_step_time_and_values_for_its_owner_only(tmp_path: Path) -> None:
    """Values that are no finite numbers stand as words beside the others."""
    strange = {"a": math.nan, "b": math.inf, "c": -math.inf}
    journal = written(tmp_path, {"beta": 0.1, "val/k_loc": 3.25}, {**strange, "d": 1.0})

    first, second = documents(journal)
    head = {"run": "run-1", "step": 1, "time": 1000, "attempt": 1}
    assert {**head, "values": {"beta": 0.1, "val/k_loc": 3.25}} == first
    assert {"d": 1.0} == second["values"]
    assert {"a": "nan", "b": "inf", "c": "-inf"} == second["nonfinite"]
    assert 0o600 == stat.S_IMODE(journal.path.stat().st_mode)


def test_neither_the_same_value_nor_a_time_is_written_twice(tmp_path: Path) -> None:
    first = written(tmp_path, {"beta": 0.1, "a": math.nan, "scenes_per_s": 1800.0, "sys/cpu": 1.0})
    before = first.path.read_bytes()

    again = {"beta": 0.1, "a": math.nan, "scenes_per_s": 1750.0, "sys/cpu": 0.9}
    opened(tmp_path).write(1, again)

    assert before == first.path.read_bytes()


def test_of_a_step_written_again_new_keys_are_added_and_other_values_noted(tmp_path: Path) -> None:
    written(tmp_path, {"beta": 0.1, "lr": 0.5})

    resumed = opened(tmp_path, start=50_000)
    resumed.write(1, {"beta": 0.1, "lr": 0.25, "grad_norm": 2.0})

    contents = read_journal(resumed.path)
    first, added = contents.rows
    assert {"beta": 0.1, "lr": 0.5} == first.values
    assert Row("run-1", 1, 50_000, {"grad_norm": 2.0}, attempt=1) == added
    expected = Note("run-1", 1, 51_000, "nondeterminism", {"lr": [0.5, 0.25]}, 1)
    assert (expected,) == contents.notes
    values = [resumed.value(*place) for place in ((1, "lr"), (1, "grad_norm"), (2, "lr"))]
    assert [0.5, 2.0, None] == values
    with pytest.raises(DataInvalid, match="is the journal of run-1, not of run-2"):
        Journal(resumed.path, "run-2")


@pytest.mark.parametrize("tail", [b'{"run":"run-1","st', b"\0\0\n"])
def test_a_torn_last_line_is_cut_off_and_noted(tmp_path: Path, tail: bytes) -> None:
    journal = written(tmp_path, {"beta": 0.1}, {"beta": 0.2})
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + tail)

    resumed = opened(tmp_path, start=50_000)
    resumed.write(3, {"beta": 0.3})

    contents = read_journal(resumed.path)
    assert resumed.path.read_bytes().startswith(whole)
    assert [1, 2, 3] == [row.step for row in contents.rows]
    assert (Note("run-1", 2, 50_000, "torn", {"bytes": len(tail)}, 1),) == contents.notes
    assert 0 == contents.torn


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


def test_reading_goes_on_where_it_ended_and_missing_epochs_are_listed(tmp_path: Path) -> None:
    journal = written(tmp_path, {"beta": 0.1}, {"beta": 0.2})
    seen = read_journal(journal.path)

    journal.write(4, {"beta": 0.3})

    rest = read_journal(journal.path, seen.end)
    assert [4] == [row.step for row in rest.rows]
    assert read_journal(journal.path).end == rest.end
    assert [3, 5] == journal.missing(5)


def test_a_row_is_on_the_disk_as_a_whole_and_a_full_disk_or_a_signal_leaves_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, synced = os.write, list[int]()
    monkeypatch.setattr(os, "write", lambda number, text: honest(number, text[:7]))
    monkeypatch.setattr(os, "fsync", synced.append)
    journal = written(tmp_path, {"beta": 0.1})
    before = journal.path.read_bytes()
    assert [0.1] == [row.values["beta"] for row in read_journal(journal.path).rows]
    assert 4 == len(synced)  # in both copies: the row, and the name of the new file

    def nearly_full(number: int, text: bytes) -> int:
        if len(text) < 30:
            raise OSError(28, "No space left on device")
        return honest(number, text[:40])

    monkeypatch.setattr(os, "write", nearly_full)

    with pytest.raises(EnvironmentFailed, match="No space left on device; make room"):
        journal.write(2, {"beta": 0.2})

    assert before == journal.path.read_bytes()
    monkeypatch.setattr(os, "write", honest)

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        journal.write(2, {"beta": 0.2})
    assert before == journal.path.read_bytes()
    monkeypatch.setattr(os, "fsync", synced.append)
    journal.write(2, {"beta": 0.2})
    assert [1, 2] == [row.step for row in read_journal(journal.path).rows]


def test_the_wall_time_of_all_attempts_leaves_out_what_lies_between(tmp_path: Path) -> None:
    first = opened(tmp_path, start=10_000)
    first.note(0, "started", {})
    first.write(1, {"beta": 0.1})
    first.write(2, {"beta": 0.2})
    with first.path.open("ab") as file:
        file.write(b"torn")
    second = opened(tmp_path, start=500_000)
    second.note(2, "started", {})
    second.write(3, {"beta": 0.3})

    assert 2.0 == second.spent_s
    assert 2.0 + 1.0 == opened(tmp_path).spent_s


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["beta", "lr", "val/k_loc"]), st.floats(allow_subnormal=True)
        ),
        max_size=5,
    ),
    st.data(),
)
def test_a_journal_cut_anywhere_is_read_up_to_its_last_whole_row(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, float]],
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = written(folder, *rows)
    text = journal.path.read_bytes() if journal.path.exists() else b""
    cut = data.draw(st.integers(0, len(text)))
    journal.path.write_bytes(text[:cut])
    (folder / "spares" / "journal.jsonl").unlink(missing_ok=True)

    contents = read_journal(journal.path)

    assert text[:cut].count(b"\n") == len(contents.rows)
    assert cut == contents.end + contents.torn
