"""Files with a spare copy."""

import os
from pathlib import Path

import pytest

from risexp.core.spare import (
    delete_both,
    exists_either,
    is_damaged,
    mend,
    read_either,
    spare_of,
    write_twice,
)

OLD, NEW = b'{"value": 1}', b'{"value": 2}'


def written(folder: Path) -> Path:
    path = folder / "labels.json"
    write_twice(path, OLD)
    write_twice(path, NEW)
    return path


def test_any_damage_to_one_copy_costs_nothing_and_is_mended_by_the_owner(tmp_path: Path) -> None:
    path = written(tmp_path)
    for place in range(len(NEW)):
        damaged = NEW[:place] + bytes([NEW[place] ^ 1]) + NEW[place + 1 :]
        path.write_bytes(damaged)

        assert NEW == read_either(path)
        assert damaged == path.read_bytes()
        assert [True, True, False] == [is_damaged(path), mend(path), mend(path)]
        assert NEW == path.read_bytes()

    assert len(NEW) == len([*tmp_path.glob("labels.json.corrupt*")])


@pytest.mark.parametrize("place", [0, 70, 131, 135])
def test_damage_to_the_spare_copy_costs_nothing(tmp_path: Path, place: int) -> None:
    path, spare = written(tmp_path), spare_of(tmp_path / "labels.json")
    text = spare.read_bytes()
    spare.write_bytes(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :])

    assert NEW == read_either(path)
    mend(path)
    assert text.partition(b"\n")[2] == spare.read_bytes().partition(b"\n")[2]


def test_a_missing_file_is_restored_and_a_deleted_one_is_gone(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.unlink()

    assert exists_either(path)
    assert NEW == read_either(path)
    assert mend(path)
    assert path.read_bytes() == NEW

    delete_both(path)
    assert not exists_either(path)
    with pytest.raises(FileNotFoundError):
        read_either(path)


def test_a_crash_between_the_two_writes_leaves_the_new_content_and_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "labels.json"
    write_twice(path, OLD)
    honest, synced = os.fsync, list[int]()

    def crash_at_the_third(number: int) -> None:
        synced.append(number)
        if len(synced) == 3:
            raise KeyboardInterrupt
        honest(number)

    monkeypatch.setattr(os, "fsync", crash_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        write_twice(path, NEW)
    monkeypatch.undo()
    assert OLD == path.read_bytes()

    assert NEW == read_either(path)
    assert not mend(path)
    assert NEW == path.read_bytes()
    assert [] == [*tmp_path.glob("*.corrupt")]


def test_a_file_of_an_earlier_version_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(OLD)

    assert OLD == read_either(path)
    assert not mend(path)
    assert spare_of(path).read_bytes().endswith(OLD)
