"""A new file is there as a whole or not at all, and replaces no other file."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from risexp.core.durable import expect_new, write_new
from risexp.errors import EnvironmentFailed, InvalidInput


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


TAKEN = pytest.mark.parametrize("take", [a_link_to_nothing, Path.mkdir, Path.touch])


def seen(folder: Path) -> list[tuple[str, str]]:
    """What is there, and how it is."""
    return [(each.name, str(each.lstat())) for each in sorted(folder.iterdir())]


def test_a_new_file_is_written_as_a_whole(tmp_path: Path) -> None:
    page, partial = tmp_path / "page.html", tmp_path / "page.html.partial"
    partial.write_text("mine", encoding="utf-8")

    write_new(page, b"whole")

    assert (b"whole", "mine") == (page.read_bytes(), partial.read_text("utf-8"))
    assert [page, partial] == sorted(tmp_path.iterdir())
    with pytest.raises(InvalidInput, match=r"there is no folder .*nowhere"):
        expect_new(tmp_path / "nowhere" / "page.html")


@TAKEN
def test_a_name_that_is_taken_is_refused(tmp_path: Path, take: Callable[[Path], None]) -> None:
    take(tmp_path / "page.html")
    before = seen(tmp_path)

    for refuse in (expect_new, lambda path: write_new(path, b"whole")):
        with pytest.raises(InvalidInput, match=r"page\.html is there already: name a new file"):
            refuse(tmp_path / "page.html")

    assert before == seen(tmp_path)


@TAKEN
def test_what_appears_while_it_is_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, take: Callable[[Path], None]
) -> None:
    before, fsync = list[list[tuple[str, str]]](), os.fsync

    def late(descriptor: int) -> None:
        fsync(descriptor)
        take(tmp_path / "page.html")
        before.append([each for each in seen(tmp_path) if each[0] == "page.html"])

    monkeypatch.setattr(os, "fsync", late)

    with pytest.raises(InvalidInput, match=r"page\.html is there already"):
        write_new(tmp_path / "page.html", b"whole")

    assert [seen(tmp_path)] == before


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(EnvironmentFailed, match=r"cannot write .*: No space left on device"):
        write_new(tmp_path / "page.html", b"whole")

    assert [] == seen(tmp_path)
