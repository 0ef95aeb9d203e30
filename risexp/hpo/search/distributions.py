"""Dimensions as Optuna stores them, so that its tables and pictures show what a person wrote."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import JsonValue

from risexp.space.dimensions import Choice, Dimension, Integer, Log, Uniform

Dimensions = Mapping[str, Dimension]


def distribution(dimension: Dimension) -> BaseDistribution:
    """What Optuna draws from; the same in every process."""
    match dimension:
        case Uniform():
            return FloatDistribution(dimension.low, dimension.high)
        case Log():
            return FloatDistribution(dimension.low, dimension.high, log=True)
        case Integer():
            return IntDistribution(dimension.low, dimension.high, step=dimension.step)
        case Choice():
            return CategoricalDistribution(labels(dimension.options))


def labels(options: Sequence[JsonValue]) -> list[CategoricalChoiceType]:
    """How options are shown: numbers, words and truths as they are, anything mixed in words.

    Null is `null` and a list its JSON. Where two options would read alike, words are quoted.
    """
    plain = [each for each in options if isinstance(each, str | int | float)]
    kinds = {_kind(each) for each in options}
    if len(plain) == len(options) and len(kinds) == 1:
        return [*plain]
    texts = [each if isinstance(each, str) else json.dumps(each) for each in options]
    distinct = len(set(texts)) == len(texts)
    return [*texts] if distinct else [json.dumps(each) for each in options]


def stored(dimensions: Dimensions, values: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Values as Optuna keeps them."""
    return {path: _stored(dimensions[path], value) for path, value in values.items()}


def read(dimension: Dimension, kept: Any) -> JsonValue:  # noqa: ANN401 - whatever Optuna keeps
    """The value that Optuna keeps as this, of its own kind whoever drew it."""
    match dimension:
        case Uniform() | Log():
            return float(kept)
        case Integer():
            return int(kept)
        case Choice():
            return dimension.options[labels(dimension.options).index(kept)]


def _stored(dimension: Dimension, value: JsonValue) -> Any:  # noqa: ANN401 - whatever Optuna keeps
    if isinstance(dimension, Choice):
        return labels(dimension.options)[dimension.options.index(value)]
    return value


def _kind(value: object) -> type:
    """Numbers are of one kind; a truth is no number."""
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)
