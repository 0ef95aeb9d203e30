"""A study beside its record and its journals, looked at twice before anything is called wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from risexp.app.doctor.check import Check, judged
from risexp.app.doctor.facts import StudyStatus
from risexp.app.doctor.tracking_data import TrackedStudy
from risexp.errors import RisexpError
from risexp.hpo.trials.invariants import Violation
from risexp.runs.journal import Contents


@dataclass(frozen=True)
class StudyCase:
    """All that has to agree."""

    facts: StudyStatus
    found: TrackedStudy
    """What its stores hold of it."""
    journals: Mapping[int, Contents]
    """Of its trials, by their number; without those that are damaged."""
    damaged: tuple[str, ...]
    """What is wrong with these, in sentences."""


def case_of(facts: StudyStatus, found: TrackedStudy) -> StudyCase:
    """A case whose journals are read last: one that grows meanwhile has all that was sent of it."""
    journals, damaged = dict[int, Contents](), list[str]()
    for number, seen in facts.folders.items():
        try:
            journals[number] = seen.spool.lines()
        except RisexpError as error:
            damaged.append(str(error))
    return StudyCase(facts, found, journals, tuple(damaged))


@dataclass(frozen=True)
class StableCheck:
    """A case, and a second look at it: what changes between two readings is no fault."""

    first: StudyCase
    again: Callable[[], StudyCase]

    @cached_property
    def second(self) -> StudyCase:
        """Read only where something seems to be wrong."""
        return self.again()

    def check(
        self, what: str, judge: Callable[[StudyCase], list[str]], sound: str, advice: str
    ) -> Check:
        """What is wrong both times.

        Args:
            what: Is looked at.
            judge: Says what is wrong, each in a sentence without its end.
            sound: What is said where nothing is.
            advice: The next step where something is.
        """
        found = judge(self.first)
        confirmed = {*judge(self.second)} if found else set()
        wrong = [each for each in found if each in confirmed]
        return judged("studies", f"{self.first.facts.name}: {what}", wrong, sound, advice)


def said_of(violation: Violation) -> str:
    """A violation as a sentence without its end."""
    if violation.number is None:
        return violation.sentence
    return f"trial {violation.number}: {violation.sentence}"
