"""Parameters of trials: a space's dimensions as Optuna stores, draws and reads them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import JsonValue

from risexp.errors import SpaceInvalid
from risexp.space.dimensions import Choice, Dimension, Integer, Log, Uniform
from risexp.space.study_spec import StudySpec


def distribution(dimension: Dimension) -> BaseDistribution:
    """Optuna's distribution of a dimension; the same in every process."""
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
    """Optuna's labels of options: plain values as they are, options of several kinds as text.

    Null is `null` and a list its JSON. If two options would read alike, strings are quoted.
    """
    plain = [option for option in options if isinstance(option, str | int | float)]
    if len(plain) == len(options) and len({_kind(option) for option in options}) == 1:
        return [*plain]
    texts = [option if isinstance(option, str) else json.dumps(option) for option in options]
    distinct = len(set(texts)) == len(texts)
    return [*texts] if distinct else [json.dumps(option) for option in options]


def stored(dimensions: Mapping[str, Dimension], values: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Values as Optuna stores them."""
    return {path: _stored(dimensions[path], value) for path, value in values.items()}


def read(dimension: Dimension, value: Any) -> JsonValue:  # noqa: ANN401 - a value of Optuna's
    """A value of the dimension's own type from the value that Optuna stores."""
    match dimension:
        case Uniform() | Log():
            return float(value)
        case Integer():
            return int(value)
        case Choice():
            return dimension.options[labels(dimension.options).index(value)]


def suggest(study_spec: StudySpec, trial: Trial) -> dict[str, JsonValue]:
    """Values for every dimension whose condition holds, conditions first.

    Parameters that the trial has are read; the others come from the study's sampler or from what
    the trial was enqueued with. All are stored when this returns.

    Args:
        study_spec: Of the study.
        trial: A running trial, of a study object that was loaded for it alone: a study keeps the
            trials it once listed, so the sampler of an older object would never learn.
    """
    space, known = study_spec.space, study_spec.base.flat()
    values = space.pick_values(
        known, lambda path, dimension: read(dimension, _draw(trial, path, dimension))
    )
    for path, value in values.items():
        if not space.vary[path].holds(value):
            raise SpaceInvalid(
                f"trial {trial.number} was given {path} = {value!r}, which space {space.name} does "
                "not hold"
            )
    if space.forbids({**known, **values}):
        raise SpaceInvalid(
            f"trial {trial.number} was given a combination that space {space.name} forbids"
        )
    return values


def _stored(dimension: Dimension, value: JsonValue) -> Any:  # noqa: ANN401 - a value of Optuna's
    if isinstance(dimension, Choice):
        return labels(dimension.options)[dimension.options.index(value)]
    return value


def _kind(value: object) -> type:
    """The type of a value; all numbers count as one type, and a truth value is not a number."""
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _draw(trial: Trial, path: str, dimension: Dimension) -> Any:  # noqa: ANN401 - a value of Optuna's
    match dimension:
        case Uniform():
            return trial.suggest_float(path, dimension.low, dimension.high)
        case Log():
            return trial.suggest_float(path, dimension.low, dimension.high, log=True)
        case Integer():
            return trial.suggest_int(path, dimension.low, dimension.high, step=dimension.step)
        case Choice():
            return trial.suggest_categorical(path, labels(dimension.options))
