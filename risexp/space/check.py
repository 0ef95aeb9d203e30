"""The proof that a space draws runs and nothing else, and that no dimension of it is dead."""

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from risexp.config.layers import Layer
from risexp.config.run import RunConfig, fields, unknown_field
from risexp.errors import ConfigInvalid
from risexp.space.dimensions import Dimension, matches
from risexp.space.spec import SearchSpace
from risexp.space.stages import stage_spaces

DRAWS = 1000
_MOST_FORBIDDEN = 0.9
_ENOUGH = 20
"""Draws in which a dimension was active, before it can be said that nothing varies it."""


@dataclass(frozen=True)
class SpaceReport:
    """What was found wrong with a space, and how much of it is forbidden."""

    space: SearchSpace
    problems: tuple[str, ...]
    forbidden_share: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether a search may start."""
        return not self.problems


def check_space(
    space: SearchSpace, draws: int = DRAWS, over: tuple[Layer, ...] = ()
) -> SpaceReport:
    """Check paths, base, conditions, bounds alone and in pairs, effects, and random draws.

    Later checks rest on earlier ones: the first kind of problem found is the one reported.

    Args:
        space: With stages, each of them is checked alone, and after all those before it.
        draws: How many, in all stages together.
        over: What a search sets on top of the space.
    """
    parts = list(stage_spaces(space))
    reports = [(stage, _checked(part, draws // len(parts), over)) for stage, part in parts]
    problems = [f"{stage}{problem}" for stage, report in reports for problem in report.problems]
    share = max(report.forbidden_share for _, report in reports)
    return SpaceReport(space, tuple(problems), share)


def _checked(space: SearchSpace, draws: int, over: tuple[Layer, ...]) -> SpaceReport:
    if unknown := tuple(unknown_paths(space)):
        return SpaceReport(space, unknown)
    try:
        base = space.trial_zero(over).config
    except ConfigInvalid as error:
        return SpaceReport(space, (f"its base is no run: {error}",))
    problems = tuple(_structure(space, base)) or tuple(_bounds(space, base))
    if problems:
        return SpaceReport(space, problems)
    return _drawn(space, base, draws)


def unknown_paths(space: SearchSpace) -> Iterator[str]:
    """Every path a space names that leads to no field."""
    named: dict[str, list[str]] = {
        "fixed": list(space.fixed),
        "vary": list(space.vary),
        "forbid": [path for combination in space.forbid for path in combination],
    }
    named |= {f"vary.{path}.when": list(dim.when) for path, dim in space.vary.items()}
    named |= {f"stages.{stage}": list(vary) for stage, vary in space.stages.items()}
    for place, paths in named.items():
        for path in paths:
            if path not in fields():
                yield f"{place}: {unknown_field(path)}"


def _structure(space: SearchSpace, base: RunConfig) -> Iterator[str]:
    """What can be said before a value is drawn."""
    known = base.flat()
    for path in sorted(space.vary.keys() & space.fixed.keys()):
        yield f"{path} is both fixed and varied: keep one"
    circular = sorted(space.vary.keys() - dict(space.ordered()).keys())
    for path in circular:
        yield f"the condition of {path} leads back to itself"
    if circular:
        return
    for path, dimension in space.vary.items():
        yield from _dimension_problems(space, known, path, dimension)
    if not all(space.forbid):
        yield "forbid holds an empty combination, which forbids every run"
    elif space.forbids(known):
        yield "the base configuration itself is forbidden, and it is trial 0"


def _dimension_problems(
    space: SearchSpace, known: Mapping[str, object], path: str, dimension: Dimension
) -> Iterator[str]:
    """A condition that cannot hold, or a default that the search could never propose."""
    alone = [
        f"{asked} cannot be {wanted!r} in this space"
        for asked, wanted in dimension.when.items()
        if not _attainable(space, known, asked, wanted)
    ]
    if not alone and next(_enabling(space, path), None) is None:
        alone = ["its conditions cannot hold together"]
    for reason in alone:
        yield f"{path} is never varied: {reason}"
    varied_in_base = all(matches(known[at], wanted) for at, wanted in dimension.when.items())
    if varied_in_base and not dimension.holds(known[path]):
        yield f"the default {path} = {known[path]!r} lies outside {extent(dimension)}"


def _attainable(
    space: SearchSpace, known: Mapping[str, object], path: str, wanted: JsonValue
) -> bool:
    options = wanted if isinstance(wanted, list) else [wanted]
    if path in space.vary:
        return any(space.vary[path].holds(option) for option in options)
    return matches(known[path], wanted)


def _bounds(space: SearchSpace, base: RunConfig) -> Iterator[str]:
    """Every bound alone, what it changes, and every pair of bounds."""
    found = {path: corners(space, path) for path in space.vary}
    for path, values in found.items():
        yield from _bounds_alone(space, base, path, values)
    for one, two in itertools.combinations(found, 2):
        for left, right in itertools.product(found[one], found[two]):
            failure = _failure(space, base, left | right) if _agree(left, right) else None
            if failure is not None:
                yield f"{one} = {left[one]!r} with {two} = {right[two]!r} is no run: {failure}"


def _bounds_alone(
    space: SearchSpace, base: RunConfig, path: str, values: list[dict[str, JsonValue]]
) -> Iterator[str]:
    known = base.flat()
    allowed = [corner for corner in values if not space.forbids(known | corner)]
    failures = [(corner[path], _failure(space, base, corner)) for corner in allowed]
    broken = [(end, failure) for end, failure in failures if failure is not None]
    for end, failure in broken:
        yield f"{path} = {end!r} is no run: {failure}"
    if not broken and not _differ(base, allowed) and not _differ_in_draws(space, base, path):
        yield f"{path} is dead: different values give the same configuration"


def _differ(base: RunConfig, values: list[dict[str, JsonValue]]) -> bool:
    return len({base.replace(each).sha() for each in values}) == len(values)


def _differ_in_draws(space: SearchSpace, base: RunConfig, path: str) -> bool:
    """Whether a dimension that is dead in the base is alive in every draw.

    A ramp of a weight that is zero in the base and nowhere else is; a dimension that lives under
    some choices of another one alone needs a condition.
    """
    source, known = random.Random(0), base.flat()  # noqa: S311 - no secret is drawn
    seen: list[bool] = []
    for _ in range(_ENOUGH):
        values = space.draw(base, source)
        ends = [values | {path: end} for end in space.vary[path].ends()] if path in values else []
        allowed = [each for each in ends if not space.forbids(known | each)]
        if len(allowed) > 1 and all(_failure(space, base, each) is None for each in allowed):
            seen.append(_differ(base, allowed))
    return bool(seen) and all(seen)


def corners(space: SearchSpace, path: str) -> list[dict[str, JsonValue]]:
    """A dimension's bounds, each with values under which it is varied."""
    enabling = next(_enabling(space, path))
    return [enabling | {path: end} for end in space.vary[path].ends()]


def _enabling(space: SearchSpace, path: str) -> Iterator[dict[str, JsonValue]]:
    """Every choice of other dimensions' values under which a dimension is varied."""
    found: list[dict[str, JsonValue]] = [{}]
    for asked, wanted in space.vary[path].when.items():
        if asked in space.vary:
            options = wanted if isinstance(wanted, list) else [wanted]
            ways = [
                way | {asked: option}
                for way in _enabling(space, asked)
                for option in options
                if space.vary[asked].holds(option)
            ]
            found = [one | way for one in found for way in ways if _agree(one, way)]
    yield from found


def _agree(one: Mapping[str, JsonValue], two: Mapping[str, JsonValue]) -> bool:
    return all(two.get(path, value) == value for path, value in one.items())


def _failure(space: SearchSpace, base: RunConfig, values: Mapping[str, JsonValue]) -> str | None:
    """Why the values are no run, or None; forbidden ones are not asked about."""
    if space.forbids(base.flat() | dict(values)):
        return None
    try:
        base.replace(values)
    except ConfigInvalid as error:
        return str(error)
    return None


def _drawn(space: SearchSpace, base: RunConfig, draws: int) -> SpaceReport:
    source = random.Random(0)  # noqa: S311 - no secret is drawn
    known = base.flat()
    forbidden, seen = 0, {path: list[str]() for path in space.vary}
    for _ in range(draws):
        values = space.draw(base, source)
        if space.forbids(known | values):
            forbidden += 1
            continue
        failure = _failure(space, base, values)
        if failure is not None:
            return SpaceReport(space, (f"a draw is no run: {values}: {failure}",))
        for path, value in values.items():
            seen[path].append(repr(value))
    share = forbidden / draws
    if share > _MOST_FORBIDDEN:
        return SpaceReport(space, (f"{share:.0%} of all draws are forbidden",), share)
    dead = [path for path, found in seen.items() if len(found) >= _ENOUGH and len(set(found)) < 2]
    problems = tuple(f"{path} is dead: what is not forbidden never varies it" for path in dead)
    return SpaceReport(space, problems, share)


def extent(dimension: Dimension) -> str:
    """What a dimension covers, for people."""
    ends = dimension.ends()
    return str(ends) if dimension.kind == "choice" else f"[{ends[0]}, {ends[-1]}]"
