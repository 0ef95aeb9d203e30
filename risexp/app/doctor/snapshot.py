"""Reads everything that the checks judge: once, and a study again if a fault was seen."""

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from operator import methodcaller

from risexp.app.doctor.check import Check
from risexp.app.doctor.status import (
    FolderState,
    StudyStatus,
    read_folders,
    study_status,
    with_folders,
)
from risexp.app.doctor.stores import RunReader, StudiesStore, with_runs
from risexp.app.run.sync import Destinations
from risexp.errors import EnvironmentFailed, InvalidInput, RisexpError
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import find_study, run_id, study_names
from risexp.runs.journal import Contents
from risexp.tracking.payload import STATUS
from risexp.tracking.stores import Failure
from risexp.tracking.study_run import status_of
from risexp.tracking.upload_state import UploadState


@dataclass(frozen=True)
class Snapshot:
    """Studies and run folders at one moment."""

    studies: StudiesStore
    statuses: tuple[StudyStatus, ...]
    """Of the named studies, or of all."""
    known: frozenset[str] | None
    """Identifiers of all studies; None if only some were read."""
    others: tuple[Check, ...]
    """Checks of studies that cannot be read or are not ours."""
    folders: Sequence[FolderState]
    damaged: Sequence[str]
    """Sentences about folders that cannot be read."""
    destinations: Destinations

    def unsent(self) -> list[FolderState]:
        """Idle runs with data that was not uploaded yet.

        A final trial without an outcome is left out: MLflow would show it as running.
        """
        busy = {status.study.uid for status in self.statuses if status.at_work}
        untold = {
            run_id(each.study.name, number) for each in self.statuses for number in each.untold
        }
        return [
            folder
            for folder in self.folders
            if folder.unsent
            and not folder.trained
            and folder.study_uid not in busy
            and folder.run.run_id not in untold
        ]

    def strangers(self) -> list[str]:
        """Runs of studies that are not in this store."""
        return [
            f"run {folder.run.run_id} is of study {folder.labels.study}, which is not in this store"
            for folder in self.folders
            if folder.labels is not None and folder.study_uid is not None
            if self.known is not None and folder.study_uid not in self.known
        ]

    def lost_runs(self) -> list[str]:
        """Runs that were sent to a store which has them no more."""
        stores = {each.store.name: each.store for each in self.folders if each.store is not None}
        lost = list[str]()
        for store in stores.values():
            sent = {
                each.run.run_id: each.progress
                for each in self.folders
                if each.store == store and each.progress is not None and each.progress.run_id
            }
            experiments = {progress.experiment_id for progress in sent.values()}
            known = self.destinations.ask(store, methodcaller("ids", experiments))
            # A store that is not there has lost all; one that does not answer is a fault itself.
            if not isinstance(known, Failure):
                ids = known or frozenset[str]()
                gone = [name for name, progress in sent.items() if progress.run_id not in ids]
                lost += [f"run {name}: {store.name} has lost it" for name in gone]
        return lost

    def wrong_plain_statuses(self) -> list[FolderState]:
        """Finished runs outside the read studies that MLflow calls running."""
        uids = {status.study.uid for status in self.statuses}
        return [
            folder
            for folder in self.folders
            if folder.study_uid not in uids and plain_status(folder, self.destinations) is not None
        ]


def read_snapshot(
    studies: StudiesStore, names: Sequence[str], destinations: Destinations
) -> Snapshot:
    """Read the named studies and all that belongs to them; everything if none is named."""
    if studies.missing and names:
        raise InvalidInput(f"there is no study {names[0]!r}: no search has been made yet")
    store = studies.store
    chosen = [*dict.fromkeys(names)] or _names(store)
    answers = [] if store is None else [_read(store, each, strict=bool(names)) for each in chosen]
    statuses = [answer for answer in answers if isinstance(answer, StudyStatus)]
    folders, damaged = read_folders(names)
    unread = any(isinstance(answer, _Unread) for answer in answers)
    # Folders of a study that was created meanwhile must not count as strangers.
    complete = store is not None and not names and not unread and chosen == _names(store)
    return Snapshot(
        studies=studies,
        statuses=tuple(with_folders(status, folders) for status in statuses),
        known=frozenset(each.study.uid for each in statuses) if complete else None,
        others=tuple(answer for answer in answers if isinstance(answer, Check)),
        folders=folders,
        damaged=damaged,
        destinations=destinations,
    )


def read_again(status: StudyStatus) -> StudyStatus:
    """Read a study once more, while no process changes its plan."""
    name = status.study.name
    now = study_status(status.store, find_study(status.store, name))
    return with_folders(now, read_folders((name,))[0])


def with_records(status: StudyStatus, places: Destinations, read: RunReader) -> StudyStatus:
    """Add MLflow's runs and then the journals: a growing journal has all that was uploaded."""
    status = with_runs(status, places, read)
    journals, damaged = dict[int, Contents](), list[str]()
    for number, folder in status.folders.items():
        try:
            journals[number] = UploadState(folder.run.path).lines()
        except RisexpError as error:
            damaged.append(str(error))
    return replace(status, journals=journals, damaged=tuple(damaged))


def plain_status(folder: FolderState, destinations: Destinations) -> str | None:
    """The right status of a finished run that MLflow calls running; None for other runs."""
    right = None if folder.unsent or folder.ending is None else STATUS[folder.ending.status]
    if right in {None, "RUNNING"} or folder.store is None:
        return None
    if folder.progress is None or not folder.progress.run_id:
        return None
    question = partial(status_of, run=folder.run.run_id, run_id=folder.progress.run_id)
    return right if destinations.ask(folder.store, question) == "RUNNING" else None


def unended(status: StudyStatus) -> list[str]:
    """MLflow ids of the study's own runs that are RUNNING though the study is over."""
    if status.at_work or not (status.over or status.end is not None):
        return []
    return [run for run, state in status.tracked.parents.items() if state == "RUNNING"]


class _Unread(Check):
    """Check of a study that may be ours and cannot be read."""


def _names(store: StudyStore | None) -> list[str]:
    return [] if store is None else sorted(study_names(store))


def _read(store: StudyStore, name: str, *, strict: bool) -> StudyStatus | Check:
    """Read a study, or say why it cannot be read or is not ours."""
    what = f"{name}: state"
    try:
        # The lock for creating studies tells a new study from a foreign one; others need no wait.
        with suppress(InvalidInput):
            unlocked = replace(store, locked=lambda _: nullcontext())
            return study_status(store, find_study(unlocked, name))
        try:
            study = find_study(store, name)
        except EnvironmentFailed as error:
            return _Unread("studies", what, "warn", f"it is being created ({error}): call again")
        return study_status(store, study)
    except InvalidInput as error:
        if strict:
            raise
        return Check("studies", what, "warn", str(error))
    except RisexpError as error:
        return _Unread("stores", what, "fail", str(error))
