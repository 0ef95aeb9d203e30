"""What is compared to show that a dimension changes more than a configuration's hash."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from risexp.config.run import RunConfig
from risexp.errors import ConfigInvalid
from risexp.space.check import corners
from risexp.space.spec import SearchSpace

_DRAWS = 20


@dataclass(frozen=True)
class Pair:
    """Two runs that differ in one field alone."""

    path: str
    one: JsonValue
    two: JsonValue
    configs: tuple[RunConfig, RunConfig]


def pairs(space: SearchSpace, base: RunConfig) -> Iterator[Pair]:
    """For every dimension its first and its last bound, under values with which it matters.

    Args:
        space: A sound one, without stages.
        base: Its trial 0.
    """
    for path, dimension in space.vary.items():
        one, two, *_ = (*dimension.ends()[:1], *dimension.ends()[-1:])
        for values in _surroundings(space, base, path):
            configs = _runs(space, base, [{**values, path: end} for end in (one, two)])
            if configs is not None and configs[0].sha() != configs[1].sha():
                yield Pair(path, one, two, configs)
                break


def _surroundings(
    space: SearchSpace, base: RunConfig, path: str
) -> Iterator[Mapping[str, JsonValue]]:
    """Values of others under which this one is varied: nearest to the base, then drawn."""
    yield corners(space, path)[0]
    source = random.Random(0)  # noqa: S311 - no secret is drawn
    for _ in range(_DRAWS):
        values = space.draw(base, source)
        if path in values:
            yield values


def _runs(
    space: SearchSpace, base: RunConfig, both: list[dict[str, JsonValue]]
) -> tuple[RunConfig, RunConfig] | None:
    """Two configurations, if both are runs."""
    if any(space.forbids({**base.flat(), **values}) for values in both):
        return None
    try:
        one, two = (base.replace(values) for values in both)
    except ConfigInvalid:
        return None
    return one, two
