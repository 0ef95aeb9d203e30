"""The check of a search space: every draw is a valid run, and no dimension is dead."""

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from risexp.config.layers import Layer
from risexp.config.run import RunConfig, fields, unknown_field
from risexp.errors import ConfigInvalid
from risexp.space.derived import stage_spaces
from risexp.space.dimensions import Dimension, matches
from risexp.space.spec import SearchSpace

DRAWS = 1000
_MOST_FORBIDDEN = 0.9
_ENOUGH = 20
"""Least number of draws with an active dimension before it may be called dead."""


@dataclass(frozen=True)
class SpaceReport:
    """The problems of a space, and the share of forbidden draws."""

    space: SearchSpace
    problems: tuple[str, ...]
    forbidden_share: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether there are no problems."""
        return not self.problems


def check_space(
    space: SearchSpace, draws: int = DRAWS, over: tuple[Layer, ...] = ()
) -> SpaceReport:
    """Check paths, base, conditions, bounds alone and in pairs, effects, and random draws.

    Later checks rest on earlier ones: only the first kind of problem is reported.

    Args:
        space: The space; every stage is checked alone, and after all stages before it.
        draws: Number of random draws in all stages together.
        over: Layers that a search puts over the space.
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
    """A sentence for every path in a space that is no field."""
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
    """Problems that are seen without drawing a value."""
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
    """A condition that cannot hold, or a default outside the dimension."""
    alone = [
        f"{at} cannot be {value!r} in this space"
        for at, value in dimension.when.items()
        if not _attainable(space, known, at, value)
    ]
    if not alone and next(_enabling(space, path), None) is None:
        alone = ["its conditions cannot hold together"]
    for reason in alone:
        yield f"{path} is never varied: {reason}"
    varied_in_base = all(matches(known[at], value) for at, value in dimension.when.items())
    if varied_in_base and not dimension.holds(known[path]):
        yield f"the default {path} = {known[path]!r} lies outside {extent(dimension)}"


def _attainable(
    space: SearchSpace, known: Mapping[str, object], path: str, value: JsonValue
) -> bool:
    options = value if isinstance(value, list) else [value]
    if path in space.vary:
        return any(space.vary[path].holds(option) for option in options)
    return matches(known[path], value)


def _bounds(space: SearchSpace, base: RunConfig) -> Iterator[str]:
    """Problems of every bound alone and of every pair of bounds."""
    ends = {path: corners(space, path) for path in space.vary}
    for path, values in ends.items():
        yield from _bounds_alone(space, base, path, values)
    for one, two in itertools.combinations(ends, 2):
        for left, right in itertools.product(ends[one], ends[two]):
            reason = failure(space, base, left | right) if _agree(left, right) else None
            if reason is not None:
                yield f"{one} = {left[one]!r} with {two} = {right[two]!r} is no run: {reason}"


def _bounds_alone(
    space: SearchSpace, base: RunConfig, path: str, values: list[dict[str, JsonValue]]
) -> Iterator[str]:
    known = base.flat()
    allowed = [corner for corner in values if not space.forbids(known | corner)]
    reasons = [(corner[path], failure(space, base, corner)) for corner in allowed]
    broken = [(end, reason) for end, reason in reasons if reason is not None]
    for end, reason in broken:
        yield f"{path} = {end!r} is no run: {reason}"
    if not broken and not _differ(base, allowed) and not _differ_in_draws(space, base, path):
        yield f"{path} is dead: different values give the same configuration"


def _differ(base: RunConfig, values: list[dict[str, JsonValue]]) -> bool:
    return len({base.replace(changes).sha() for changes in values}) == len(values)


def _differ_in_draws(space: SearchSpace, base: RunConfig, path: str) -> bool:
    """Whether a dimension that is dead in the base has an effect in every draw.

    For example, the ramp of a weight that is zero in the base alone. A dimension with an effect
    only under some choices of another one needs a condition.
    """
    source, known = random.Random(0), base.flat()  # noqa: S311 - no secret is drawn
    seen: list[bool] = []
    for _ in range(_ENOUGH):
        values = space.draw(base, source)
        ends = [values | {path: end} for end in space.vary[path].ends()] if path in values else []
        allowed = [end for end in ends if not space.forbids(known | end)]
        if len(allowed) > 1 and all(failure(space, base, end) is None for end in allowed):
            seen.append(_differ(base, allowed))
    return bool(seen) and all(seen)


def corners(space: SearchSpace, path: str) -> list[dict[str, JsonValue]]:
    """The bounds of a dimension, with values of others under which it is varied."""
    enabling = next(_enabling(space, path))
    return [enabling | {path: end} for end in space.vary[path].ends()]


def _enabling(space: SearchSpace, path: str) -> Iterator[dict[str, JsonValue]]:
    """Every choice of other dimensions' values under which a dimension is varied."""
    ways: list[dict[str, JsonValue]] = [{}]
    for other, value in space.vary[path].when.items():
        if other in space.vary:
            options = value if isinstance(value, list) else [value]
            choices = [
                way | {other: option}
                for way in _enabling(space, other)
                for option in options
                if space.vary[other].holds(option)
            ]
            ways = [way | choice for way in ways for choice in choices if _agree(way, choice)]
    yield from ways


def _agree(one: Mapping[str, JsonValue], two: Mapping[str, JsonValue]) -> bool:
    return all(two.get(path, value) == value for path, value in one.items())


def failure(space: SearchSpace, base: RunConfig, values: Mapping[str, JsonValue]) -> str | None:
    """Why the values are no valid run, or None; forbidden ones count as valid."""
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
        if (reason := failure(space, base, values)) is not None:
            return SpaceReport(space, (f"a draw is no run: {values}: {reason}",))
        for path, value in values.items():
            seen[path].append(repr(value))
    share = forbidden / draws
    if share > _MOST_FORBIDDEN:
        return SpaceReport(space, (f"{share:.0%} of all draws are forbidden",), share)
    dead = [path for path, drawn in seen.items() if len(drawn) >= _ENOUGH and len(set(drawn)) < 2]
    problems = tuple(f"{path} is dead: what is not forbidden never varies it" for path in dead)
    return SpaceReport(space, problems, share)


def extent(dimension: Dimension) -> str:
    """The range or the options of a dimension, in words."""
    ends = dimension.ends()
    return str(ends) if dimension.kind == "choice" else f"[{ends[0]}, {ends[-1]}]"
