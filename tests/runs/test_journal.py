import json
import math
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risexp.errors import DataInvalid, EnvironmentFailed
from risexp.runs.journal import Note, Row, read_journal
from risexp.runs.journal_writer import Journal
from tests.support.journals import opened, written


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


def test_a_line_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, {"beta": 0.1, "val/k_loc": 3.25}).note(1, "torn", {"bytes": 3})
    monkeypatch.setattr(json, "loads", lambda _: pytest.fail("it was parsed by json too"))

    row, note = read_journal(tmp_path / "journal.jsonl").lines

    assert (Row, Note) == (type(row), type(note))


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
