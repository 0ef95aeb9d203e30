"""What was left lying about: nothing is lost by it, and somebody has to know."""

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from risexp.app.doctor.check import Check, judged
from risexp.app.doctor.facts import StudyStatus
from risexp.app.doctor.folders import Folders, Seen
from risexp.app.doctor.tracking_data import TrackedStudy
from risexp.app.run.sync import Destinations
from risexp.core.durable import PARTIAL
from risexp.core.home import home
from risexp.hpo.studies.study import run_id
from risexp.tracking.payload import STATUS
from risexp.tracking.study_run import status_of

_FIX: Final = "`risexp doctor --fix`"
_SETTLED_S: Final = 60.0
"""Age from which a partial file belongs to nobody who is writing it."""


def study_leftovers(facts: StudyStatus, found: TrackedStudy) -> Iterator[Check]:
    """Leases and ends of a study.

    Args:
        facts: Of the study.
        found: What its stores hold of it.
    """
    yield _leases(facts)
    yield _end(facts)
    if found.judged:
        said = [f"run {run} of study {facts.name} is RUNNING" for run in unended(facts, found)]
        sound = "its run in MLflow says how it stands"
        advice = f"{_FIX} says there how it ended"
        yield judged("stale", f"{facts.name}: run of the study", said, sound, advice, "warn")


def unended(facts: StudyStatus, found: TrackedStudy) -> list[str]:
    """Runs of a study that say it runs, though it is over or was ended."""
    if facts.at_work or not (facts.over or facts.end is not None):
        return []
    return [run for run, status in found.parents.items() if status == "RUNNING"]


def unsent(folders: Folders, facts: Sequence[StudyStatus]) -> list[Seen]:
    """Folders of which something is unsent, and that nobody is at work on.

    Without those that do not say how their trial ended: MLflow would be told that it goes on.
    """
    busy = {each.study.uid for each in facts if each.at_work}
    untold = {run_id(each.name, number) for each in facts for number in each.untold}
    return [
        each
        for each in folders.seen
        if each.unsent
        and not each.trained
        and each.study_uid not in busy
        and each.run.run_id not in untold
    ]


def wrong_plain_statuses(
    folders: Folders, facts: Sequence[StudyStatus], destinations: Destinations
) -> list[tuple[Seen, str]]:
    """Runs beside the studies that MLflow calls running though they ended, and what they are.

    The runs of trials are judged by their trials.
    """
    studies = {each.study.uid for each in facts}
    return [
        (each, wanted)
        for each in folders.seen
        if each.study_uid not in studies
        and (wanted := plain_status(each, destinations)) is not None
    ]


def plain_status(seen: Seen, destinations: Destinations) -> str | None:
    """What a run is that MLflow calls running though it ended; None where it is called right."""
    wanted = None if seen.unsent or seen.ending is None else STATUS[seen.ending.status]
    wrong = wanted != "RUNNING" and _status(seen, destinations) == "RUNNING"
    return wanted if wrong else None


def folder_leftovers(
    folders: Folders,
    facts: Sequence[StudyStatus],
    known: Iterable[str] | None,
    destinations: Destinations,
) -> Iterator[Check]:
    """What is left in run folders, and in MLflow of them.

    Args:
        folders: Of this home.
        facts: Of the studies that were looked at.
        known: Identifiers of all studies; None where their store does not tell.
        destinations: Where records are.
    """
    wrong = list(folders.damaged)
    sound = f"{len(folders.seen)} run folders can be read"
    yield judged("stale", "folders", wrong, sound, "put a copy of the file back")
    told = [f"run {each.run.run_id}: {each.unsent} lines" for each in unsent(folders, facts)]
    sound = "every line of a journal is where it belongs"
    yield judged("stale", "unsent", told, sound, f"{_FIX} or `risexp sync` sends them", "warn")
    running = [each.run.run_id for each, _ in wrong_plain_statuses(folders, facts, destinations)]
    told = [f"MLflow calls {name} running, and it has ended" for name in running]
    yield judged("stale", "runs", told, "MLflow calls nothing running that ended", _FIX, "warn")
    if known is not None:
        yield _gone(folders, known)


def file_leftovers() -> Iterator[Check]:
    """Files that somebody who died began, and checkpoints that were found damaged."""
    place = home().absolute() / "mlruns"
    before = time.time() - _SETTLED_S
    partial_ = [path for path in place.rglob(f"*{PARTIAL}") if _age(path) < before]
    advice = "whoever wrote it died; delete it, or leave it"
    sound = "none was left half-written"
    yield judged("stale", "partial files", _named(partial_, place), sound, advice, "warn")
    damaged = sorted(place.glob("runs/*/checkpoints/*/*.corrupt*"))
    advice = "it was set aside, and an older one is used; find out what the disk did to it"
    yield judged("stale", "checkpoints", _named(damaged, place), "none is damaged", advice, "warn")


def _leases(facts: StudyStatus) -> Check:
    dead = [
        f"attempt {each.lease.attempt} at trial {number} on {each.host or 'no machine'} (process "
        f"{each.pid}) has not renewed its lease"
        for number, each in sorted(facts.expired.items())
    ]
    alone = [f"trial {number} runs without a lease" for number in facts.orphans]
    back = [
        f"trial {number} has no worker, and waits again in {wait_s:.0f} s"
        for number, wait_s in sorted(facts.returning.items())
    ]
    what, sound = f"{facts.name}: leases", "no lease is over"
    if facts.at_work:
        sound = "its workers see to them"
        return Check("stale", what, "ok", sound, tuple(dead + alone + back))
    advice = f"a worker or {_FIX} gives the trial back"
    if not dead + alone:
        advice = f"call {_FIX} again then"
    return judged("stale", what, dead + alone + back, sound, advice, "warn")


def _end(facts: StudyStatus) -> Check:
    what, left = f"{facts.name}: end", facts.unnamed
    if facts.at_work or not left:
        sound = "it is at work" if facts.at_work else "nothing waits, or it is written why"
        return Check("stale", what, "ok", sound)
    said = (
        f"{len(left)} wait; no end is written: the same command goes on, `risexp study stop "
        f"{facts.name}` writes one"
    )
    return Check("stale", what, "warn", said, tuple(f"trial {number} waits" for number in left))


def _gone(folders: Folders, known: Iterable[str]) -> Check:
    uids = {*known}
    told = [
        f"run {each.run.run_id} is of study {each.labels.study}, which is not in this store"
        for each in folders.seen
        if each.labels is not None and each.study_uid is not None and each.study_uid not in uids
    ]
    advice = "it is kept; name the study's store in RISEXP_STORE"
    return judged("stale", "studies", told, "every trial's study is there", advice, "warn")


def _status(seen: Seen, destinations: Destinations) -> str | None:
    if seen.store is None or seen.progress is None or not seen.progress.run_id:
        return None
    question = partial(status_of, run=seen.run.run_id, run_id=seen.progress.run_id)
    found = destinations.ask(seen.store, question)
    return found if isinstance(found, str) else None


def _age(path: Path) -> float:
    """When it was last written; never, where it is gone already."""
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")


def _named(paths: Iterable[Path], place: Path) -> list[str]:
    return [str(path.relative_to(place.parent)) for path in paths]
