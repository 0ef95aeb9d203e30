"""Whether a study is what it should be: I1 to I4, and its reports against its journals."""

from collections.abc import Iterator, Mapping
from typing import Final

from risexp.app.doctor.check import Check, judged
from risexp.app.doctor.facts import StudyFacts
from risexp.hpo.invariants import Rule, Violation, every
from risexp.hpo.studies import SCORE
from risexp.tracking.lines import Contents

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
    "I2": "`risexp doctor --fix` gives back what nobody works on",
    "I3": "the journal in its run folder has every epoch; do not rank the trial by its study",
    "I4": "do not trust the trial, whose attempts trained different configurations",
}


def state_check(facts: StudyFacts) -> Check:
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


def invariant_checks(facts: StudyFacts) -> Iterator[Check]:
    """I1 to I4; I2 only where nobody works on the study."""
    violations = every(facts.record)
    for rule, sound in _SOUND.items():
        if rule == "I2" and facts.at_work:
            continue
        wrong = [said_of(each) for each in violations if each.rule == rule]
        if rule == "I2":
            # That a trial waits is no loss: it is told among what is left lying about.
            wrong = [
                said_of(each)
                for each in violations
                if each.rule == rule and each.number not in facts.unnamed
            ]
        yield judged("studies", f"{facts.name}: {rule}", wrong, sound, _ADVICE[rule])


def report_check(facts: StudyFacts, journals: Mapping[int, Contents]) -> Check:
    """Whether the study was told what the journals say.

    Args:
        facts: Of the study.
        journals: Of its trials, by their number.
    """
    wrong, compared = list[str](), 0
    for trial in facts.record.trials:
        if trial.number not in journals:
            continue
        written = _scores(journals[trial.number])
        both = sorted(trial.reports.keys() & written.keys())
        compared += len(both)
        wrong += [
            f"trial {trial.number} reported {trial.reports[step]} at epoch {step}, and its journal "
            f"says {written[step]}"
            for step in both
            if trial.reports[step] != written[step]
        ]
    sound = f"{compared} reports are what the journals say"
    advice = "the journal has what was trained; do not rank the trial by its study"
    return judged("studies", f"{facts.name}: reports", wrong, sound, advice)


def said_of(violation: Violation) -> str:
    """A violation as a sentence without its end."""
    if violation.number is None:
        return violation.sentence
    return f"trial {violation.number}: {violation.sentence}"


def _scores(journal: Contents) -> dict[int, float]:
    """Scores by epoch, the first of each; none where a later attempt found another one."""
    changed = {each.step for each in journal.notes if each.event == "nondeterminism"}
    found: dict[int, float] = {}
    for row in journal.rows:
        if _REPORTED in row.values and row.step not in changed:
            found.setdefault(row.step, row.values[_REPORTED])
    return found
