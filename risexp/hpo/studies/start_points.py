"""Points that a study begins with: which trials of another study they are, and what they are here.

Nothing here asks a store: rows of a study's table in, points out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import JsonValue

from risexp.config.run import RunConfig
from risexp.errors import ConfigInvalid, SpaceInvalid
from risexp.hpo.studies.table import TrialRow
from risexp.space.check import extent
from risexp.space.study_spec import StudySpec
from risexp.training.curriculum import curriculum

_SAID: Final = 3
"""Trials of which it is said why they were left out."""
_NAMED: Final = 6
"""Fields that are named; of more it is said how many there are."""


@dataclass(frozen=True)
class StartPoint:
    """Values to be tried, and the trial they are of."""

    values: Mapping[str, JsonValue]
    """Of the dimensions whose conditions hold, by field."""
    study: str | None = None
    """Where they come from; None for the base itself."""
    trial: int = 0
    """Its number there."""
    score: float | None = None
    """Its value there."""

    def as_json(self) -> dict[str, Any]:
        """The point as plain values."""
        return {**vars(self), "values": dict(self.values)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The point that `as_json` wrote."""
        return cls(**document)


@dataclass(frozen=True)
class FittingPoints:
    """What of a study fits a space."""

    study: str
    points: tuple[StartPoint, ...]
    """The best first."""
    left: Sequence[tuple[int, str]] = ()
    """Better trials than the last point, and why each is none."""
    elsewhere: Sequence[str] = ()
    """Fields in which its trials were other than they can be here."""

    def sentences(self) -> list[str]:
        """What was taken, and why other trials were not."""
        taken = ", ".join(str(each.trial) for each in self.points) or "none"
        said = [f"points from study {self.study}: trials {taken}, the best first"]
        said += [
            f"trial {number} of {self.study} is left out: {why}"
            for number, why in self.left[:_SAID]
        ]
        if len(self.left) > _SAID:
            said.append(f"and {len(self.left) - _SAID} more of its trials")
        if self.elsewhere:
            more = len(self.elsewhere) - _NAMED
            rest = f" and {more} more" if more > 0 else ""
            said.append(
                f"trials of {self.study} had other values of what this space does not vary, which "
                f"is as in trial 0: {', '.join(self.elsewhere[:_NAMED])}{rest}"
            )
        return said


def base_point(charter: StudySpec) -> StartPoint:
    """Trial 0 of a study: the base itself."""
    return StartPoint(charter.base_values())


def best_first(rows: Iterable[TrialRow]) -> list[TrialRow]:
    """The complete trials, the smallest value first; of equal ones the first."""
    complete = ((each.value, each.number, each) for each in rows if each.value is not None)
    return [row for _, _, row in sorted(complete, key=lambda found: found[:2])]


def crowded(points: int, trials: int) -> str | None:
    """What a budget leaves no room for, in a sentence; None where something is left to be drawn.

    Args:
        points: How many there are, trial 0 among them.
        trials: Finished ones in total.
    """
    if points < 2 or points < trials:
        return None
    if points == trials:
        return (
            f"trial 0 and the points fill all {trials} trials: more are drawn only with a larger "
            "--trials"
        )
    return f"{points - trials} of the points are tried only with --trials {points}"


def fitting(
    charter: StudySpec,
    study: str,
    source: StudySpec,
    rows: Iterable[TrialRow],
    most: int,
    known: Iterable[StartPoint],
) -> FittingPoints:
    """The best complete trials of a study that are trials of another one too.

    Each is taken as it was run: what its study fixed or was given counts like what it varied.

    Args:
        charter: Of the study that is to begin with them.
        study: The name of the one they are from.
        source: The charter of that one.
        rows: Its trials.
        most: How many are wanted.
        known: Points there are already, which are not taken twice.
    """
    seen, points, left = (
        [each.values for each in known],
        list[StartPoint](),
        list[tuple[int, str]](),
    )
    elsewhere = set[str]()
    for row in best_first(rows):
        if len(points) == most:
            break
        try:
            ran = source.resolve(row.values).config
            values = fitted(charter, {**ran.flat(), **row.values})
        except (SpaceInvalid, ConfigInvalid) as error:
            left.append((row.number, str(error)))
            continue
        if values in seen:
            left.append((row.number, "another point or trial 0 has all its values"))
            continue
        seen.append(values)
        elsewhere.update(_apart(ran, charter.resolve(values).config))
        points.append(StartPoint(values, study, row.number, row.value))
    return FittingPoints(study, tuple(points), left, sorted(elsewhere))


def fitted(charter: StudySpec, values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """What given values are in this space.

    What is not given is as in trial 0, and so is what this space does not vary.

    Raises:
        SpaceInvalid: A value lies outside, or the combination is forbidden.
        ConfigInvalid: It is no run.
    """
    space, known = charter.space, charter.base.flat()
    found = space.pick_values(known, lambda path, _: values.get(path, known[path]))
    for path, value in found.items():
        if not space.vary[path].holds(value):
            raise SpaceInvalid(f"{path} = {value!r} lies outside {extent(space.vary[path])}")
    if space.forbids({**known, **found}):
        raise SpaceInvalid(f"space {space.name} forbids its combination of values")
    curriculum(charter.resolve(found).config)
    return found


def _apart(one: RunConfig, other: RunConfig) -> Iterator[str]:
    """The fields in which two runs differ."""
    there = other.canonical().flat()
    for path, value in one.canonical().flat().items():
        if value != there[path]:
            yield path
