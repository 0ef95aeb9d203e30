"""What a study begins with, kept among its facts: it is the same whenever the study goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import JsonValue

from risexp.errors import ConfigInvalid, InvalidInput, SpaceInvalid
from risexp.hpo.search.parameters import stored
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.facts import facts_from_spec, spec_from_facts
from risexp.hpo.studies.start_points import StartPoint, base_point, fitted
from risexp.hpo.studies.study import SURPLUS, StudyPlan, StudyRef, slot_of
from risexp.hpo.studies.table import StudyTable, TrialRow
from risexp.space.files import differing
from risexp.space.study_spec import StudySpec

POINTS: Final = "points"
"""The fact of a study that began with points of another one."""


@dataclass(frozen=True)
class StudyStart:
    """A charter, and the points that the first slots are to have."""

    charter: StudySpec
    points: Sequence[StartPoint]
    """From slot 0 on."""
    asked: Mapping[str, JsonValue]
    """The options that the points follow from; none where slot 0 is the base and nothing else."""
    facts: Mapping[str, Any]

    @classmethod
    def new(
        cls, charter: StudySpec, points: Sequence[StartPoint], asked: Mapping[str, JsonValue]
    ) -> Self:
        """Of a study that is to be.

        Raises:
            SpaceInvalid: A point is none of the charter's space.
        """
        facts = facts_from_spec(charter)
        if asked:
            facts[POINTS] = {"asked": dict(asked), "points": [each.as_json() for each in points]}
        for slot, point in enumerate(points):
            _expect_held(charter, slot, point)
        return cls(charter, points, asked, facts)

    @classmethod
    def of(cls, study: StudyRef) -> Self:
        """Of a study that is there.

        Raises:
            DataInvalid: This version of risexp makes another configuration of it.
        """
        charter = spec_from_facts(study.name, study.facts)
        kept = study.facts.get(POINTS)
        if kept is None:
            return cls(charter, (base_point(charter),), {}, study.facts)
        points = tuple(StartPoint.from_json(each) for each in kept["points"])
        return cls(charter, points, kept["asked"], study.facts)

    def plan(self, study: str, trials: int) -> StudyPlan:
        """What the study is to be.

        Args:
            study: Its name.
            trials: Finished ones in total.
        """
        vary = self.charter.space.vary
        given = [stored(vary, each.values) for each in self.points]
        return StudyPlan(study, trials, self.facts, given)

    def expect_asked(self, study: str, asked: Mapping[str, JsonValue], option: str) -> None:
        """See to it that a study goes on as it was begun.

        Args:
            study: Its name.
            asked: The options that are given.
            option: The one that gives another study its name.

        Raises:
            InvalidInput: Others were given when it was begun.
        """
        before, after = (
            {name: str(value) for name, value in each.items()} for each in (self.asked, asked)
        )
        if changed := differing(before, after):
            said = ", ".join(f"{name} {old} (given: {new})" for name, old, new in changed)
            raise InvalidInput(
                f"study {study} was begun with {said}: give {option} another name, or go on with "
                "what it began with"
            )


def by_slot(store: StudyStore, study: StudyRef, table: StudyTable) -> dict[int, TrialRow]:
    """The trials of a study by their slots: what became of its points."""
    trials = store.storage.get_all_trials(study.id, deepcopy=False)
    slots = {each.number: slot_of(each) for each in trials}
    found = {}
    for row in table.trials:
        slot = slots.get(row.number)
        if slot is not None and row.reason != SURPLUS:
            found[slot] = row
    return found


def _expect_held(charter: StudySpec, slot: int, point: StartPoint) -> None:
    try:
        found = fitted(charter, point.values)
    except (SpaceInvalid, ConfigInvalid) as error:
        raise SpaceInvalid(f"the point for trial {slot} cannot be tried: {error}") from None
    if found != point.values:
        changed = ", ".join(sorted(found.keys() ^ point.values.keys()))
        raise SpaceInvalid(
            f"the point for trial {slot} cannot be tried: space {charter.space.name} asks of it "
            f"other fields than it has: {changed}"
        )
