"""What a study starts with: its spec, the points of its first slots, and the options behind them.

All of it is kept among the study's facts, so that it is the same whenever the study goes on.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from pydantic import JsonValue

from risexp.config.run import RunConfig
from risexp.errors import ConfigInvalid, InvalidInput, SpaceInvalid
from risexp.hpo.search.parameters import stored
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import SPEC, SURPLUS, StudyRef, open_study, slot_of
from risexp.hpo.studies.table import StudyTable, TrialRow, study_table
from risexp.space.check import extent
from risexp.space.files import differing
from risexp.space.study_spec import StudySpec
from risexp.training.curriculum import curriculum

POINTS: Final = "points"
"""The fact of a study that started with points of another one."""
_REASONS: Final = 3
"""Rejected trials that are listed with their reasons."""
_FIELDS: Final = 6
"""Fields that are listed by name; further ones are counted."""


@dataclass(frozen=True)
class StartPoint:
    """Values to try, and the trial that they come from."""

    values: Mapping[str, JsonValue]
    """By field, of the dimensions whose conditions hold."""
    study: str | None = None
    """Source study; None for the base itself."""
    trial: int = 0
    """Its number there."""
    score: float | None = None
    """Its value there."""


def base_point(spec: StudySpec) -> StartPoint:
    """Trial 0 of a study: the base itself."""
    return StartPoint(spec.base_values())


@dataclass(frozen=True)
class StudyStart:
    """A study's spec, and the points of its first slots."""

    spec: StudySpec
    points: Sequence[StartPoint]
    """From slot 0 on."""
    asked: Mapping[str, JsonValue]
    """The options that the points follow from; empty where slot 0 is the base and nothing else."""
    facts: Mapping[str, Any]

    @classmethod
    def new(
        cls,
        spec: StudySpec,
        points: Sequence[StartPoint] | None = None,
        asked: Mapping[str, JsonValue] | None = None,
    ) -> Self:
        """The start of a new study; by default from its base alone."""
        points, asked = (base_point(spec),) if points is None else points, asked or {}
        facts: dict[str, Any] = {SPEC: spec.as_json()}
        if asked:
            facts[POINTS] = {"asked": dict(asked), "points": [asdict(point) for point in points]}
        for slot, point in enumerate(points):
            _check_point(spec, slot, point)
        return cls(spec, points, asked, facts)

    @classmethod
    def of(cls, study: StudyRef) -> Self:
        """The start of an existing study."""
        kept = study.facts.get(POINTS)
        if kept is None:
            return cls(study.spec, (base_point(study.spec),), {}, study.facts)
        points = tuple(StartPoint(**point) for point in kept["points"])
        return cls(study.spec, points, kept["asked"], study.facts)

    def open(self, store: StudyStore, study: str, trials: int | None = None) -> StudyRef:
        """Create or go on with the study of this name, by default with one trial a point."""
        values = [stored(self.spec.space.vary, point.values) for point in self.points]
        return open_study(
            store, study, len(values) if trials is None else trials, self.facts, values
        )

    def check_asked(self, study: str, asked: Mapping[str, JsonValue], option: str) -> None:
        """Check that a study goes on with the options that it was started with.

        Args:
            study: Its name.
            asked: The options of this command.
            option: The option that names another study.
        """
        before, after = (
            {name: str(value) for name, value in options.items() if value is not None}
            for options in (self.asked, asked)
        )
        if changed := differing(before, after):
            options = ", ".join(f"{name} {old} (given: {new})" for name, old, new in changed)
            raise InvalidInput(
                f"study {study} was begun with {options}: give {option} another name, or go on "
                "with what it began with"
            )


def by_slot(store: StudyStore, study: StudyRef) -> dict[int, TrialRow]:
    """The trials of a study by their slots: what became of its points."""
    trials = store.storage.get_all_trials(study.id, deepcopy=False)
    slots = {trial.number: slot_of(trial) for trial in trials}
    rows = {}
    for row in study_table(store, study).trials:
        slot = slots.get(row.number)
        if slot is not None and row.reason != SURPLUS:
            rows[slot] = row
    return rows


def best_first(rows: Iterable[TrialRow]) -> list[TrialRow]:
    """The complete trials, the smallest value first; of equal ones the first."""
    complete = ((row.value, row.number, row) for row in rows if row.value is not None)
    return [row for _, _, row in sorted(complete, key=lambda ranked: ranked[:2])]


def budget_note(points: int, trials: int) -> str | None:
    """A sentence where the points use up the whole budget; None where some is left.

    Args:
        points: Their number, trial 0 among them.
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


@dataclass(frozen=True)
class FittingPoints:
    """The trials of another study that fit a space."""

    study: str
    points: tuple[StartPoint, ...]
    """The best first."""
    rejected: Sequence[tuple[int, str]] = ()
    """Better trials than the last point, and why each does not fit."""
    changed: Sequence[str] = ()
    """Fields that had other values there, and do not vary here."""

    def sentences(self) -> list[str]:
        """What was taken, and why other trials were not."""
        taken = ", ".join(str(point.trial) for point in self.points) or "none"
        lines = [f"points from study {self.study}: trials {taken}, the best first"]
        lines += [
            f"trial {number} of {self.study} is left out: {why}"
            for number, why in self.rejected[:_REASONS]
        ]
        if len(self.rejected) > _REASONS:
            lines.append(f"and {len(self.rejected) - _REASONS} more of its trials")
        if self.changed:
            more = len(self.changed) - _FIELDS
            rest = f" and {more} more" if more > 0 else ""
            lines.append(
                f"trials of {self.study} had other values of what this space does not vary, which "
                f"is as in trial 0: {', '.join(self.changed[:_FIELDS])}{rest}"
            )
        return lines


def fitting(
    spec: StudySpec,
    source: StudySpec,
    table: StudyTable,
    most: int,
    known: Iterable[StartPoint],
) -> FittingPoints:
    """The best complete trials of one study that are trials of another one too.

    A trial is taken as it was run: the values that its study fixed count as well.

    Args:
        spec: Of the study that starts with them.
        source: The spec of the study that they come from.
        table: Its trials.
        most: The number of points to take.
        known: Points that are there already and are not taken twice.
    """
    seen = [point.values for point in known]
    points, rejected, changed = list[StartPoint](), list[tuple[int, str]](), set[str]()
    for row in best_first(table.trials):
        if len(points) == most:
            break
        try:
            ran = source.resolve(row.values).config
            values = fitted(spec, {**ran.flat(), **row.values})
        except (SpaceInvalid, ConfigInvalid) as error:
            rejected.append((row.number, str(error)))
            continue
        if values in seen:
            rejected.append((row.number, "another point or trial 0 has all its values"))
            continue
        seen.append(values)
        changed.update(_changed_fields(ran, spec.resolve(values).config))
        points.append(StartPoint(values, table.name, row.number, row.value))
    return FittingPoints(table.name, tuple(points), rejected, sorted(changed))


def fitted(spec: StudySpec, values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The point of a space that has these values; fields that are missing are as in trial 0."""
    space, base = spec.space, spec.base.flat()
    point = space.pick_values(base, lambda path, _: values.get(path, base[path]))
    for path, value in point.items():
        if not space.vary[path].holds(value):
            raise SpaceInvalid(f"{path} = {value!r} lies outside {extent(space.vary[path])}")
    if space.forbids({**base, **point}):
        raise SpaceInvalid(f"space {space.name} forbids its combination of values")
    curriculum(spec.resolve(point).config)
    return point


def _check_point(spec: StudySpec, slot: int, point: StartPoint) -> None:
    try:
        values = fitted(spec, point.values)
    except (SpaceInvalid, ConfigInvalid) as error:
        raise SpaceInvalid(f"the point for trial {slot} cannot be tried: {error}") from None
    if values != point.values:
        changed = ", ".join(sorted(values.keys() ^ point.values.keys()))
        raise SpaceInvalid(
            f"the point for trial {slot} cannot be tried: space {spec.space.name} asks of it "
            f"other fields than it has: {changed}"
        )


def _changed_fields(one: RunConfig, other: RunConfig) -> Iterator[str]:
    values = other.canonical().flat()
    for path, value in one.canonical().flat().items():
        if value != values[path]:
            yield path
