"""Faults of a study in its database, its journals and its checkpoints."""

from collections.abc import Iterator, Mapping
from typing import Final

from risexp.app.doctor.status import StudyStatus
from risexp.hpo.store.leases import HANGING, USED_UP
from risexp.hpo.studies.hosts import waiting_hosts
from risexp.hpo.trials.invariants import Rule, Violation, every
from risexp.runs.journal import Contents
from risexp.space.spec import SCORE

_REPORTED: Final = f"val/{SCORE}"
"""Journal key of the reported score."""
_BEST: Final = f"best/{SCORE}"


def damaged_journals(status: StudyStatus) -> list[str]:
    """Journals that cannot be read, and lines that are damaged in both of their copies."""
    lines = [
        f"trial {number}: {len(journal.damaged)} lines of its journal are damaged in both copies"
        for number, journal in status.journals.items()
        if journal.damaged
    ]
    return [*status.damaged, *lines]


def late_lines(status: StudyStatus) -> list[str]:
    """Lines that a worker wrote into a journal after it had lost its lease."""
    return [
        f"trial {number}: {len(journal.late)} lines of attempt {journal.late[0].attempt} came late"
        for number, journal in status.journals.items()
        if journal.late
    ]


def idle_hosts(status: StudyStatus) -> list[str]:
    """Hosts whose workers claim no trial, and why."""
    hosts = waiting_hosts(status.store, status.study)
    return [f"host {host} claims no trial: {fault}" for host, fault in sorted(hosts.items())]


def state_sentence(status: StudyStatus) -> str:
    """Trials by state, workers, and the end of the study."""
    order = ("complete", "pruned", "failed", "running", "waiting")
    states = [trial.state for trial in status.record.trials]
    counted = [f"{states.count(state)} {state}" for state in order if state in states]
    sentence = f"{', '.join(counted) or 'none'} of {status.record.wanted} trials"
    if status.at_work:
        workers = {attempt.lease.owner for attempt in status.living.values()}
        return f"{sentence}; {len(workers)} at work, so that the trials they hold are not judged"
    return sentence if status.end is None else f"{sentence}; ended: {status.end.reason}"


def lease_faults(status: StudyStatus) -> list[str]:
    """The same trials as faults, unless workers are there who see to them."""
    return [] if status.at_work else unheld_trials(status)


def unheld_trials(status: StudyStatus) -> list[str]:
    """Expired leases, running trials without a lease, and trials that will wait again."""
    expired = [
        f"attempt {each.lease.attempt} at trial {number} on {each.host or 'no machine'} (process "
        f"{each.pid}) has not renewed its lease"
        for number, each in sorted(status.expired.items())
    ]
    orphans = [f"trial {number} runs without a lease" for number in status.orphans]
    returning = [
        f"trial {number} has no worker, and waits again in {wait_s:.0f} s"
        for number, wait_s in sorted(status.returning.items())
    ]
    return expired + orphans + returning


def unended_trials(status: StudyStatus) -> list[str]:
    """Trials that wait in an idle study without a recorded end."""
    return [] if status.at_work else [f"trial {each} waits" for each in status.unnamed]


def finality_sentence(status: StudyStatus) -> str:
    """Why I2 holds; empty while a worker is at the study."""
    if status.at_work:
        return ""
    end = "no end is written" if status.unnamed else "is named by what ended the study"
    return f"every trial is final, or waits and {end}"


def violation_sentence(violation: Violation) -> str:
    """A violation as a sentence without a full stop."""
    if violation.number is None:
        return violation.sentence
    return f"trial {violation.number}: {violation.sentence}"


def violations(rule: Rule, status: StudyStatus) -> list[str]:
    """Violations of I1 to I4; of I2 only while no worker is at the study."""
    broken = [each for each in every(status.record) if each.rule == rule]
    if rule == "I2":
        if status.at_work:
            return []
        # The lease check speaks of the first, the end check of the second.
        spared = {*status.returning, *status.unnamed}
        broken = [each for each in broken if each.number not in spared]
    return [violation_sentence(each) for each in broken]


def wrong_reports(status: StudyStatus) -> list[str]:
    """Reports to Optuna that differ from the journal."""
    return [
        f"trial {number} reported {report} at epoch {epoch}, and its journal says {score}"
        for number, epoch, report, score in _compared_reports(status)
        if report != score
    ]


def reports_sentence(status: StudyStatus) -> str:
    """Number of reports that are right."""
    return f"{len([*_compared_reports(status)])} reports are what the journals say"


def _compared_reports(status: StudyStatus) -> Iterator[tuple[int, int, float, float]]:
    """Trial, epoch, reported score and journal's score of all epochs that have both."""
    for trial in status.record.trials:
        if trial.number in status.journals:
            scores = _scores(status.journals[trial.number])
            for epoch in sorted(trial.reports.keys() & scores.keys()):
                yield trial.number, epoch, trial.reports[epoch], scores[epoch]


def missing_folders(status: StudyStatus) -> list[str]:
    """Trials whose folder is gone, or does not say how they ended."""
    unclosed = [
        f"trial {trial.number} is {trial.state}, and its folder does not say how it ended"
        for trial in status.record.trials
        if trial.number in status.untold and trial.reason not in {USED_UP, HANGING}
    ]
    # Without any folder the study was searched in another home.
    gone = [
        f"trial {trial.number} is complete and has a run, and no folder of it can be read here"
        for trial in status.record.trials
        if trial.state == "complete"
        and status.folders
        and trial.number not in status.folders
        and status.tracked.of(trial.number)
    ]
    return unclosed + gone


def wrong_values(status: StudyStatus) -> list[str]:
    """Complete trials whose value is not the best score of their journal."""
    wrong = list[str]()
    for trial in status.record.trials:
        journal = status.journals.get(trial.number)
        if trial.state != "complete" or journal is None:
            continue
        if any(note.event == "nondeterminism" for note in journal.notes):
            continue
        best = [row.values[_BEST] for row in journal.rows if _BEST in row.values]
        if best[-1:] != [trial.value]:
            right = f"by its journal {best[-1]} is the best" if best else "its journal has no best"
            wrong.append(f"trial {trial.number} has value {trial.value}, and {right}")
    return wrong


def _scores(journal: Contents) -> Mapping[int, float]:
    """The first score of each epoch, unless a later attempt computed another one."""
    changed = {note.step for note in journal.notes if note.event == "nondeterminism"}
    scores = dict[int, float]()
    for row in journal.rows:
        if _REPORTED in row.values and row.step not in changed:
            scores.setdefault(row.step, row.values[_REPORTED])
    return scores
