"""Pairs of runs that differ in one dimension, to show that it changes the training."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from risexp.config.run import RunConfig
from risexp.space.check import corners, failure
from risexp.space.spec import SearchSpace

_DRAWS = 20


@dataclass(frozen=True)
class Pair:
    """Two runs that differ in one field."""

    path: str
    one: JsonValue
    two: JsonValue
    configs: tuple[RunConfig, RunConfig]


def pairs(space: SearchSpace, base: RunConfig) -> Iterator[Pair]:
    """Runs at the first and the last bound of every dimension, where it has an effect.

    Args:
        space: A sound space without stages.
        base: Its trial 0.
    """
    for path, dimension in space.vary.items():
        one, two, *_ = (*dimension.ends()[:1], *dimension.ends()[-1:])
        for values in _surroundings(space, base, path):
            both = [{**values, path: end} for end in (one, two)]
            if any(space.forbids(base.flat() | end) or failure(space, base, end) for end in both):
                continue
            configs = base.replace(both[0]), base.replace(both[1])
            if configs[0].sha() != configs[1].sha():
                yield Pair(path, one, two, configs)
                break


def _surroundings(
    space: SearchSpace, base: RunConfig, path: str
) -> Iterator[Mapping[str, JsonValue]]:
    """Values of the others under which this one is varied: nearest to the base, then random."""
    yield corners(space, path)[0]
    source = random.Random(0)  # noqa: S311 - no secret is drawn
    for _ in range(_DRAWS):
        values = space.draw(base, source)
        if path in values:
            yield values
