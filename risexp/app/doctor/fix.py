"""Mends what can be mended without a loss, by what would have done it anyway; never deletes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import sleep
from typing import TYPE_CHECKING, Final

from risexp.app.doctor.environment import WAL, embedded_databases, journal_mode
from risexp.app.doctor.facts import StudyStatus, in_folders, study_facts
from risexp.app.doctor.folders import Folders, Seen, see
from risexp.app.doctor.leftovers import plain_status, unended, unsent, wrong_plain_statuses
from risexp.app.doctor.snapshot import Snapshot, read_snapshot
from risexp.app.doctor.stores import destinations, studies_store
from risexp.app.doctor.tracking_checks import wrong_statuses
from risexp.app.doctor.tracking_data import recorded
from risexp.app.run.init_stores import init_store
from risexp.app.run.sync import Destinations, send
from risexp.app.search.study_record import close_used_up, say_of_study
from risexp.hpo.store.address import store_url
from risexp.hpo.store.leases import HANGING, RENEW_S, USED_UP, Leases
from risexp.hpo.store.store import StudyStore, open_store
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.study import SURPLUS
from risexp.hpo.studies.table import StudyTable, study_table
from risexp.hpo.trials.reaper import Reaper
from risexp.tracking.schema import write_ahead
from risexp.tracking.stores import Failure, attempt, chosen_store
from risexp.tracking.study_run import study_runs

if TYPE_CHECKING:
    from risexp.tracking.client import TrackingClient

Tell = Callable[[str], None]

PATIENCE_S: Final = RENEW_S
"""How long the owner of a lease that is over has to renew it: its store may just be back."""


@dataclass(frozen=True)
class Status:
    """What the status of a run is to be."""

    run_id: str
    word: str
    ended_ms: int

    def __call__(self, runs: "TrackingClient") -> bool:
        """Say it."""
        if self.word == "RUNNING":
            runs.set_running(self.run_id)
        else:
            runs.end(self.run_id, self.word, self.ended_ms)
        return True


def apply_fixes(studies: Sequence[str], tell: Tell) -> Iterator[str]:
    """Mend step by step, each upon what the one before left; a second call finds nothing to do.

    Args:
        studies: Names; all studies and all runs where none is given.
        tell: Told in sentences what is waited for, and what could not be mended.

    Yields:
        What was done, in sentences.

    Raises:
        InvalidInput: There is no study of such a name, or the environment names no store.
    """
    places = destinations()
    with studies_store() as opened:
        look = read_snapshot(opened, studies, places)
        made = [*_tables(look, tell)]
        yield from made
        if not made:
            yield from _steps(look, studies, tell)
            return
    with studies_store() as opened:
        yield from _steps(read_snapshot(opened, studies, places), studies, tell)


def _steps(look: Snapshot, names: Sequence[str], tell: Tell) -> Iterator[str]:
    for step in (_leases, _used_up, _lines, _statuses, _plain_statuses, _ends):
        done = [*step(look, tell)]
        yield from done
        if done:
            look = read_snapshot(look.studies, names, look.destinations)


def _tables(look: Snapshot, tell: Tell) -> Iterator[str]:
    """Make the schemas that are missing, and let readers and writers go on at once."""
    if look.studies.missing and _made(lambda: open_store(store_url()).close(), tell):
        yield "made the tables of studies"
    chosen = chosen_store(None)
    answer = None if chosen is None else look.destinations.ask(chosen, lambda _: True)
    if chosen is not None and answer is None and _made(lambda: init_store(None), tell):
        yield "made the tables of records"
    # What cannot be used stays as it is.
    left = chosen.database if chosen is not None and isinstance(answer, Failure) else None
    for path in embedded_databases():
        if path != left and journal_mode(path) != WAL and _made(partial(write_ahead, path), tell):
            yield f"{path.name} writes ahead"


def _leases(look: Snapshot, tell: Tell) -> Iterator[str]:
    """Give back trials whose worker is gone."""
    store = look.store
    left = [each for each in look.facts if not each.at_work and (each.expired or each.orphans)]
    if store is None or not left:
        return
    reapers = [Reaper(Leases(store, each.study.uid), each.study, PATIENCE_S) for each in left]
    tell(f"leases are over: their owners have {PATIENCE_S:g} s to renew them")
    for wait_s in (0.0, PATIENCE_S):
        # A little longer: the database's clock is another one.
        sleep(wait_s * 1.05)
        for reaper in reapers:
            _made(reaper.look, tell)
    for facts in left:
        yield from _given_back(facts, study_facts(store, facts.study))


def _given_back(before: StudyStatus, after: StudyStatus) -> Iterator[str]:
    """What became of trials whose lease was over, or that had none."""
    states = {each.number: each.state for each in after.record.trials}
    open_ = {each.lease for each in (*after.living.values(), *after.expired.values())}
    for number, dead in sorted(before.expired.items()):
        if dead.lease not in open_:
            state = states.get(number, SURPLUS)
            yield f"trial {number} of {after.name} was held by nobody, and is {state}"
    for number in before.orphans:
        if number in after.living:
            yield (
                f"trial {number} of {after.name} runs without a lease: it got one of nobody's, and "
                "waits again once that is over"
            )
        elif number not in after.orphans:
            state = states.get(number, SURPLUS)
            yield f"trial {number} of {after.name} ran without a lease, and is {state}"


def _used_up(look: Snapshot, tell: Tell) -> Iterator[str]:
    """Say in the folders of trials whose attempts are used up that they ended."""
    for facts in look.facts:
        numbers = [
            each.number
            for each in facts.record.trials
            if each.state == "failed"
            and each.reason in {USED_UP, HANGING}
            and each.number in facts.folders
            and facts.folders[each.number].ending is None
        ]
        if look.store is None or facts.at_work or not numbers:
            continue
        if _made(partial(_close, look.store, facts), tell):
            yield from (
                f"the run of trial {each} of {facts.name} says it ended" for each in numbers
            )


def _lines(look: Snapshot, tell: Tell) -> Iterator[str]:
    """Send what stores miss."""
    folders = [each.run for each in unsent(look.folders, look.facts)]
    for sent in send(folders, look.destinations):
        if sent.state == "sent":
            yield f"run {sent.run}: {sent.lines} lines were sent to {sent.store}"
        else:
            tell(f"run {sent.run} was not sent: {sent.sentence}")


def _statuses(look: Snapshot, tell: Tell) -> Iterator[str]:
    """Give the runs of trials the status of their trial, where their folders are here."""
    for facts in look.facts:
        found = recorded(facts, look.destinations, study_runs)
        for run, _ in wrong_statuses(facts, found).values():
            seen = facts.folders.get(run.number)
            if look.store is None or seen is None or len(found.of(run.number)) != 1:
                continue
            ask = partial(_status_now, look.store, facts, look.destinations)
            if (word := _set(look, seen, ask, tell)) is not None:
                yield f"the run of trial {run.number} of {facts.name} is {word}"


def _plain_statuses(look: Snapshot, tell: Tell) -> Iterator[str]:
    """Give other runs that have ended the status of their end."""
    for seen, _ in wrong_plain_statuses(look.folders, look.facts, look.destinations):
        ask = partial(plain_status, destinations=look.destinations)
        if (word := _set(look, seen, ask, tell)) is not None:
            yield f"run {seen.run.run_id} is {word}"


def _ends(look: Snapshot, tell: Tell) -> Iterator[str]:
    """Say in the runs of studies how they ended."""
    for facts in look.facts:
        found = recorded(facts, look.destinations, study_runs)
        for run_id in unended(facts, found):
            if look.store is None:
                continue
            table = attempt(partial(_table, look.store, facts))
            said = (
                table.sentence
                if isinstance(table, Failure)
                else say_of_study(found.places[run_id], facts.study, table)
            )
            if said is None:
                yield f"the run of study {facts.name} says how it ended"
            else:
                tell(said)


def _set(look: Snapshot, seen: Seen, ask: Callable[[Seen], str | None], tell: Tell) -> str | None:
    """Set the status of a run, if it is still wrong once no sender can change it; which one."""

    def change() -> str | None:
        with seen.spool.sending():
            now = see(seen.run)
            word = None if now.trained else ask(now)
            if word is None or now.progress is None or now.store is None:
                return None
            said = Status(now.progress.run_id, word, now.progress.time)
            answer = look.destinations.ask(now.store, said)
        if isinstance(answer, Failure):
            raise answer.error
        return word

    found = attempt(change)
    if isinstance(found, Failure):
        tell(found.sentence)
        return None
    return found


def _status_now(
    store: StudyStore, facts: StudyStatus, places: Destinations, seen: Seen
) -> str | None:
    """What the status of a trial's run is to be, by all that is known of it at this moment."""
    now = in_folders(study_facts(store, facts.study), Folders((seen,), ()))
    wrong = wrong_statuses(now, recorded(now, places, study_runs))
    mine = "" if seen.progress is None else seen.progress.run_id
    return wrong[mine][1] if mine in wrong else None


def _close(store: StudyStore, facts: StudyStatus) -> None:
    close_used_up(_table(store, facts))


def _table(store: StudyStore, facts: StudyStatus) -> StudyTable:
    return study_table(store, facts.study, spec_from_facts(facts.name, facts.study.facts).space)


def _made(action: Callable[[], object], tell: Tell) -> bool:
    """Do something, or tell why it cannot be done."""
    found = attempt(action)
    if isinstance(found, Failure):
        tell(found.sentence)
        return False
    return True
