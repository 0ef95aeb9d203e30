"""Repairs what can be repaired without a loss, by the code that would have done it; never deletes.

Fixes run in the order of `FIXES`; after one that changed something everything is read again.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import sleep
from typing import TYPE_CHECKING, Final

from risexp.app.doctor.environment import WAL, embedded_databases, journal_mode
from risexp.app.doctor.snapshot import Snapshot, plain_status, read_snapshot, unended
from risexp.app.doctor.status import (
    FolderState,
    StudyStatus,
    folder_state,
    study_status,
    with_folders,
)
from risexp.app.doctor.stores import destinations, studies_store, with_runs
from risexp.app.doctor.tracking_checks import wrong_statuses
from risexp.app.run.sync import init_store, send
from risexp.app.search.study_record import close_used_up, say_of_study
from risexp.hpo.store.address import store_url
from risexp.hpo.store.leases import HANGING, RENEW_S, USED_UP, Leases
from risexp.hpo.store.store import open_store
from risexp.hpo.studies.study import SURPLUS
from risexp.hpo.studies.table import study_table
from risexp.hpo.trials.reaper import Reaper
from risexp.tracking.schema import write_ahead
from risexp.tracking.stores import Failure, attempt, chosen_store
from risexp.tracking.study_run import study_runs
from risexp.tracking.upload_state import UploadState

if TYPE_CHECKING:
    from risexp.tracking.client import TrackingClient

Tell = Callable[[str], None]

PATIENCE_S: Final = RENEW_S
"""Time for the owner of an expired lease to renew it: its store may just be back."""


def apply_fixes(studies: Sequence[str], tell: Tell) -> Iterator[str]:
    """Repair step by step, and yield sentences; a second call has nothing to do."""
    places = destinations()
    with studies_store() as opened:
        look = read_snapshot(opened, studies, places)
        made = [*_make_tables(look, tell)]
        yield from made
        if not made:
            yield from _steps(look, studies, tell)
            return
    with studies_store() as opened:
        yield from _steps(read_snapshot(opened, studies, places), studies, tell)


def _steps(look: Snapshot, names: Sequence[str], tell: Tell) -> Iterator[str]:
    for fix in FIXES:
        done = [*fix(look, tell)]
        yield from done
        if done:
            look = read_snapshot(look.studies, names, look.destinations)


def _make_tables(look: Snapshot, tell: Tell) -> Iterator[str]:
    if look.studies.missing and _worked(lambda: open_store(store_url()).close(), tell):
        yield "made the tables of studies"
    chosen = chosen_store(None)
    answer = None if chosen is None else look.destinations.ask(chosen, lambda _: True)
    if chosen is not None and answer is None and _worked(lambda: init_store(None), tell):
        yield "made the tables of records"
    # A database that cannot be used stays as it is.
    unusable = chosen.database if chosen is not None and isinstance(answer, Failure) else None
    for path in embedded_databases():
        wrong = path != unusable and journal_mode(path) != WAL
        if wrong and _worked(partial(write_ahead, path), tell):
            yield f"{path.name} writes ahead"


def _requeue(look: Snapshot, tell: Tell) -> Iterator[str]:
    """Give back trials whose worker is gone."""
    left = [each for each in look.statuses if not each.at_work and (each.expired or each.orphans)]
    if not left:
        return
    reapers = [Reaper(Leases(each.store, each.study.uid), each.study, PATIENCE_S) for each in left]
    tell(f"leases are over: their owners have {PATIENCE_S:g} s to renew them")
    for wait_s in (0.0, PATIENCE_S):
        # A little longer: the database's clock is another one.
        sleep(wait_s * 1.05)
        for reaper in reapers:
            _worked(reaper.look, tell)
    for status in left:
        yield from _requeued(status, study_status(status.store, status.study))


def _requeued(before: StudyStatus, after: StudyStatus) -> Iterator[str]:
    """What became of trials whose lease had expired, or that had none."""
    states: dict[int, str] = {trial.number: trial.state for trial in after.record.trials}
    open_ = {attempt.lease for attempt in (*after.living.values(), *after.expired.values())}
    for number, dead in sorted(before.expired.items()):
        if dead.lease not in open_:
            state = states.get(number, SURPLUS)
            yield f"trial {number} of {after.study.name} had an expired lease, and is {state}"
    for number in before.orphans:
        trial = f"trial {number} of {after.study.name}"
        if number in after.living:
            yield f"{trial} runs without a lease: it got one, and waits again once that is over"
        elif number not in after.orphans:
            yield f"{trial} ran without a lease, and is {states.get(number, SURPLUS)}"


def _close_used_up(look: Snapshot, tell: Tell) -> Iterator[str]:
    """Write an outcome into folders of trials without attempts left."""
    for status in look.statuses:
        numbers = [
            trial.number
            for trial in status.record.trials
            if trial.state == "failed" and trial.reason in {USED_UP, HANGING}
            if trial.number in status.folders and status.folders[trial.number].ending is None
        ]
        if status.at_work or not numbers:
            continue
        if _worked(partial(_close, status), tell):
            runs = (f"the run of trial {each} of {status.study.name}" for each in numbers)
            yield from (f"{run} says it ended" for run in runs)


def _upload(look: Snapshot, tell: Tell) -> Iterator[str]:
    for sent in send([folder.run for folder in look.unsent()], look.destinations):
        if sent.state == "sent":
            yield f"run {sent.run}: {sent.lines} lines were sent to {sent.store}"
        else:
            tell(f"run {sent.run} was not sent: {sent.sentence}")


def _set_statuses(look: Snapshot, tell: Tell) -> Iterator[str]:
    """Give runs of trials the status of their trial, and other finished runs that of their outcome.

    Only if their folders are here.
    """
    for status in _with_runs(look):
        for run, _ in wrong_statuses(status).values():
            folder = status.folders.get(run.number)
            if folder is None or len(status.tracked.of(run.number)) != 1:
                continue
            right = partial(_trial_status, look, status)
            name = f"the run of trial {run.number} of {status.study.name}"
            yield from _set_status(look, folder, right, name, tell)
    plain = partial(plain_status, destinations=look.destinations)
    for folder in look.wrong_plain_statuses():
        yield from _set_status(look, folder, plain, f"run {folder.run.run_id}", tell)


def _end_studies(look: Snapshot, tell: Tell) -> Iterator[str]:
    """Write into runs of studies how they ended."""
    for status in _with_runs(look):
        for run_id in unended(status):
            table = attempt(partial(study_table, status.store, status.study))
            failure = (
                table.sentence
                if isinstance(table, Failure)
                else say_of_study(status.tracked.places[run_id], status.study, table)
            )
            if failure is None:
                yield f"the run of study {status.study.name} says how it ended"
            else:
                tell(failure)


FIXES: Final = (
    _requeue,
    _close_used_up,
    _upload,
    _set_statuses,
    _end_studies,
)
"""An order in which every fix sees what the one before has done."""


def _set_status(
    look: Snapshot,
    folder: FolderState,
    right: Callable[[FolderState], str | None],
    name: str,
    tell: Tell,
) -> Iterator[str]:
    """Set a run's status if it is still wrong while no uploader can change it."""

    def change() -> str | None:
        with UploadState(folder.run.path).sending():
            now = folder_state(folder.run)
            word = None if now.trained else right(now)
            if word is None or now.progress is None or now.store is None:
                return None
            progress = now.progress

            def say(client: "TrackingClient") -> bool:
                if word == "RUNNING":
                    client.set_running(progress.run_id)
                else:
                    client.end(progress.run_id, word, progress.time)
                return True

            answer = look.destinations.ask(now.store, say)
        if isinstance(answer, Failure):
            raise answer.error
        return word

    changed = attempt(change)
    if isinstance(changed, Failure):
        tell(changed.sentence)
    elif changed is not None:
        yield f"{name} is {changed}"


def _trial_status(look: Snapshot, status: StudyStatus, folder: FolderState) -> str | None:
    """The status that a trial's run should have now; None if it has it."""
    now = with_folders(study_status(status.store, status.study), (folder,))
    wrong = wrong_statuses(with_runs(now, look.destinations, study_runs))
    own = "" if folder.progress is None else folder.progress.run_id
    return wrong[own][1] if own in wrong else None


def _with_runs(look: Snapshot) -> Iterator[StudyStatus]:
    return (with_runs(status, look.destinations, study_runs) for status in look.statuses)


def _close(status: StudyStatus) -> None:
    close_used_up(study_table(status.store, status.study))


def _worked(action: Callable[[], object], tell: Tell) -> bool:
    result = attempt(action)
    if isinstance(result, Failure):
        tell(result.sentence)
    return not isinstance(result, Failure)
