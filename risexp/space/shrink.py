"""A narrower space: where the best trials of a study lie, and a little around them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from risexp.errors import SpaceInvalid
from risexp.space.dimensions import Choice, Dimension, Integer, Log, Uniform, matches
from risexp.space.spec import SearchSpace

LEAST: Final = 8
"""Ended trials that a narrower space takes."""
_TOP: Final = 0.25
_FEWEST: Final = 4
_AROUND: Final = 0.1
"""Margin on either side of the best trials, as a share of the extent they have."""
_ALONE: Final = 0.05
"""Its least size, as a share of the old extent."""
_FAIR: Final = 0.5
"""Share of an even number of wins below which an option is left out."""
_DIGITS: Final = 3


@dataclass(frozen=True)
class Ended:
    """A complete or pruned trial."""

    values: Mapping[str, JsonValue]
    score: float | None
    """The smaller the better; None for a pruned trial, which ranks below all complete ones."""


def shrink(space: SearchSpace, trials: Sequence[Ended], name: str) -> SearchSpace:
    """A space around the best quarter of the trials, whose trial 0 is the best of them.

    A range goes from the smallest to the largest of their values, widened by a tenth; a choice
    keeps the options that win at least half as often as evenly. A field with one option
    left is fixed, and one whose condition can no longer hold is left out.

    Args:
        space: The searched space; of a staged one, a stage.
        trials: The complete and the pruned ones.
        name: Of the new space.
    """
    best = _best(space, trials)
    fixed, vary = dict(space.fixed), dict[str, Dimension]()
    for path, dimension in space.ordered():
        if not _attainable(space, dimension, vary, fixed):
            continue
        won = [each.values[path] for each in best if path in each.values]
        narrowed = _narrowed(dimension, won)
        if narrowed is not None:
            vary[path] = narrowed
        elif dimension.when.keys().isdisjoint(vary):
            fixed[path] = won[0]
        else:  # fixed, it would hold where its condition does not
            vary[path] = dimension
    if not vary:
        raise SpaceInvalid(f"space {space.name}: its best trials agree in all that varies")
    changed = {
        "name": name,
        "about": f"{space.name}, narrowed to where {len(best)} of {len(trials)} trials were best.",
        "fixed": fixed,
        "start": {path: value for path, value in best[0].values.items() if path in vary},
        "vary": vary,
    }
    return space.model_copy(update=changed)


def _best(space: SearchSpace, trials: Sequence[Ended]) -> list[Ended]:
    """The best quarter, but at least four, the best first."""
    scored = {place: each.score for place, each in enumerate(trials) if each.score is not None}
    if len(trials) < LEAST or len(scored) < _FEWEST:
        raise SpaceInvalid(
            f"space {space.name}: {len(trials)} trials have ended, {len(scored)} of them complete; "
            f"shrinking takes {LEAST} and {_FEWEST}"
        )
    order = sorted(scored, key=scored.__getitem__)
    return [trials[place] for place in order[: max(_FEWEST, math.ceil(_TOP * len(trials)))]]


def _narrowed(dimension: Dimension, won: Sequence[JsonValue]) -> Dimension | None:
    """A dimension around the best values; None where one option is left; itself without values."""
    if not won:
        return dimension
    match dimension:
        case Choice():
            return _choice(dimension, won)
        case Integer():
            return _integer(dimension, [int(str(value)) for value in won])
        case Uniform():
            low, high = _around(_numbers(won), dimension.low, dimension.high)
        case Log():
            logs = [math.log(value) for value in _numbers(won)]
            ends = _around(logs, math.log(dimension.low), math.log(dimension.high))
            low, high = math.exp(ends[0]), math.exp(ends[1])
    low = max(_rounded(low, math.floor), dimension.low)
    high = min(_rounded(high, math.ceil), dimension.high)
    return dimension.model_copy(update={"low": low, "high": high})


def _choice(dimension: Choice, won: Sequence[JsonValue]) -> Choice | None:
    fair = _FAIR / len(dimension.options)
    # The best trial's own option stays in any case.
    options = [
        option
        for option in dimension.options
        if option == won[0] or won.count(option) / len(won) >= fair
    ]
    return dimension.model_copy(update={"options": options}) if len(options) > 1 else None


def _integer(dimension: Integer, won: Sequence[int]) -> Integer | None:
    low, high = _around([float(each) for each in won], dimension.low, dimension.high)
    first = dimension.low + math.floor((low - dimension.low) / dimension.step) * dimension.step
    last = dimension.low + math.ceil((high - dimension.low) / dimension.step) * dimension.step
    last = min(last, dimension.high)
    return dimension.model_copy(update={"low": first, "high": last}) if first < last else None


def _around(won: Sequence[float], low: float, high: float) -> tuple[float, float]:
    """The smallest and the largest value with a margin on either side, inside [low, high]."""
    margin = max(_AROUND * (max(won) - min(won)), _ALONE * (high - low))
    return max(low, min(won) - margin), min(high, max(won) + margin)


def _rounded(value: float, whole: Callable[[float], int]) -> float:
    """A bound with few digits, rounded outwards by `whole`."""
    if value == 0.0:
        return value
    digits = _DIGITS - 1 - math.floor(math.log10(abs(value)))
    # In binary 1.1 * 100 lies just above 110.
    return round(whole(round(value * 10.0**digits, 6)) / 10.0**digits, max(digits, 0))


def _numbers(values: Iterable[JsonValue]) -> list[float]:
    return [float(str(value)) for value in values]


def _attainable(
    space: SearchSpace,
    dimension: Dimension,
    vary: Mapping[str, Dimension],
    fixed: Mapping[str, JsonValue],
) -> bool:
    """True if the condition of a dimension can still hold."""
    for path, values in dimension.when.items():
        options = values if isinstance(values, list) else [values]
        if path in vary:
            met = any(vary[path].holds(option) for option in options)
        else:
            met = path not in space.vary or (path in fixed and matches(fixed[path], values))
        if not met:
            return False
    return True
