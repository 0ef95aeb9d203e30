"""A home cannot be written amid a search: no trial is at fault, and it goes on by itself."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.hosts import waiting_hosts
from tests.support.command_searches import LIMIT_S, SQLITE_OR_SOAK, CommandSearch
from tests.support.disks import WITHOUT_RIGHTS, Disk, own_disk
from tests.support.worker_processes import EMBEDDED

Fault = Callable[[Disk], AbstractContextManager[None]]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with own_disk(tmp_path / "home", megabytes=64) as disk:
        yield disk


def survives(
    search: CommandSearch,
    disk: Disk,
    faults: tuple[Fault, ...],
    record_property: Callable[[str, object], None],
) -> None:
    """Check that a search waits while each fault lasts, and is whole in the end."""
    search.prepare()
    with search.begun() as leader:
        for fault in faults:
            search.wait_until_amid(finished=search.finished() + 1)
            with fault(disk):
                search.wait_until(lambda: bool(waiting_hosts(search.store, search.study)))
            claims, over_at = len(search.attempts()), time.time()
            search.wait_for_claims(more_than=claims)
            record_property("recovery_s", f"{search.recovery_s(over_at):.3f}")

        assert 0 == leader.wait(LIMIT_S), search.log.read_text()

    search.assert_whole()
    # A fault between two trials ends no attempt; its host waits all the same.
    assert {each.ended for each in search.attempts()} <= {"finished", "environment"}
    assert {} == waiting_hosts(search.store, search.study)
    record_property("injected", len(faults) - 1)


@pytest.mark.fault("F12")
@SQLITE_OR_SOAK
def test_a_search_whose_disk_is_full_goes_on_when_there_is_room(
    store: StudyStore,
    disk: Disk,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    search = CommandSearch(disk.folder, store, tmp_path / "hpo.log")

    survives(search, disk, (Disk.full,), record_property)


@pytest.mark.fault("F13")
@EMBEDDED
def test_a_search_goes_on_after_its_home_was_read_only_missing_and_forbidden(
    store: StudyStore,
    disk: Disk,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    search = CommandSearch(disk.folder, store, tmp_path / "hpo.log", 8, 2, WITHOUT_RIGHTS)

    survives(search, disk, (Disk.read_only, Disk.missing, Disk.forbidden), record_property)
