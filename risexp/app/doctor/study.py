"""Whether a study is what it should be: I1 to I4, and its reports against its journals."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from risexp.app.doctor.check import Check
from risexp.app.doctor.facts import StudyStatus
from risexp.app.doctor.study_case import StableCheck, StudyCase, said_of
from risexp.hpo.trials.invariants import Rule, every
from risexp.runs.journal import Contents
from risexp.space.spec import SCORE

_REPORTED: Final = f"val/{SCORE}"
"""The journal's key of what a study is told."""
_SOUND: Final[Mapping[Rule, str]] = {
    "I1": "as many trials as were asked for, one a slot",
    "I2": "every trial is final, or waits and is named by what ended the study",
    "I3": "every complete trial reported epochs 1 to its last",
    "I4": "all attempts at a trial tried the same parameters",
}
_ADVICE: Final[Mapping[Rule, str]] = {
    "I1": "`risexp hpo` with the same study fills empty slots and closes a second one that waits",
    "I2": "`risexp doctor --fix` gives back what nobody works on; `risexp hpo` with the same study "
    "goes on with what waits",
    "I3": "the journal in its run folder has every epoch; do not rank the trial by its study",
    "I4": "do not trust the trial, whose attempts trained different configurations",
}


def state_check(facts: StudyStatus) -> Check:
    """How the study stands, in a sentence."""
    states = [each.state for each in facts.record.trials]
    order = ("complete", "pruned", "failed", "running", "waiting")
    counted = [f"{states.count(state)} {state}" for state in order if state in states]
    said = f"{', '.join(counted) or 'none'} of {facts.record.wanted} trials"
    if facts.at_work:
        hands = {each.lease.owner for each in facts.living.values()}
        said += f"; {len(hands)} at work, so that what they hold is not judged"
    elif facts.end is not None:
        said += f"; ended: {facts.end.reason}"
    return Check("studies", f"{facts.name}: state", "ok", said)


def study_checks(twice: StableCheck) -> Iterator[Check]:
    """I1 to I4, and reports; I2 only where nobody works on the study."""
    yield state_check(twice.first.facts)
    for rule, sound in _SOUND.items():
        if rule == "I2" and twice.first.facts.at_work:
            continue
        told = sound
        if rule == "I2" and twice.first.facts.unnamed:
            told = "nothing is lost: every trial is final, or waits while no end is written"
        yield twice.check(rule, partial(_violations, rule), told, _ADVICE[rule])
    compared = sum(len(both) for both, *_ in _compared(twice.first))
    sound = f"{compared} reports are what the journals say"
    advice = "the journal has what was trained; do not rank the trial by its study"
    yield twice.check("reports", _reports, sound, advice)


def _violations(rule: Rule, case: StudyCase) -> list[str]:
    found = [each for each in every(case.facts.record) if each.rule == rule]
    if rule == "I2":
        if case.facts.at_work:
            return []
        # Somebody sees to the first; that others wait is told among what is left lying about.
        spared = {*case.facts.returning, *case.facts.unnamed}
        found = [each for each in found if each.number not in spared]
    return [said_of(each) for each in found]


def _reports(case: StudyCase) -> list[str]:
    """What the study was told otherwise than the journals."""
    return [
        f"trial {number} reported {reports[step]} at epoch {step}, and its journal says "
        f"{written[step]}"
        for both, number, reports, written in _compared(case)
        for step in both
        if reports[step] != written[step]
    ]


def _compared(
    case: StudyCase,
) -> Iterator[tuple[list[int], int, Mapping[int, float], Mapping[int, float]]]:
    """Epochs that a trial has reported and written down; its number, and both scores of them."""
    for trial in case.facts.record.trials:
        if trial.number in case.journals:
            written = _scores(case.journals[trial.number])
            both = sorted(trial.reports.keys() & written.keys())
            yield both, trial.number, trial.reports, written


def _scores(journal: Contents) -> dict[int, float]:
    """Scores by epoch, the first of each; none where a later attempt found another one."""
    changed = {each.step for each in journal.notes if each.event == "nondeterminism"}
    found: dict[int, float] = {}
    for row in journal.rows:
        if _REPORTED in row.values and row.step not in changed:
            found.setdefault(row.step, row.values[_REPORTED])
    return found
