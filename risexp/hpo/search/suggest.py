"""The values of a trial: drawn once, all together, and the same again whenever it is claimed."""

from typing import Any

from optuna import Trial
from pydantic import JsonValue

from risexp.errors import SpaceInvalid
from risexp.hpo.search.distributions import labels, read
from risexp.space.dimensions import Choice, Dimension, Integer, Log, Uniform
from risexp.space.study_spec import StudySpec


def suggest(charter: StudySpec, trial: Trial) -> dict[str, JsonValue]:
    """Values for every dimension whose condition holds, conditions first.

    What the trial has already is read; the rest comes from the study's sampler, which `sampler_of`
    makes, or from what the trial was enqueued with. All is stored when this returns.

    Args:
        charter: Of the study.
        trial: One that is running, of a study that was opened for it alone and has a sampler of
            `sampler_of`. A study keeps the trials it once listed until it is asked or told itself:
            a sampler that saw none finished would see none for ever, and draw at random to the end.

    Raises:
        SpaceInvalid: What the trial was given is forbidden, or lies outside the space.
    """
    known = charter.base.flat()
    values = charter.space.picked(
        known, lambda path, dimension: read(dimension, _asked(trial, path, dimension))
    )
    for path, value in values.items():
        if not charter.space.vary[path].holds(value):
            raise SpaceInvalid(
                f"trial {trial.number} was given {path} = {value!r}, which space "
                f"{charter.space.name} does not hold"
            )
    if charter.space.forbids({**known, **values}):
        raise SpaceInvalid(
            f"trial {trial.number} was given a combination that space {charter.space.name} forbids"
        )
    return values


def _asked(trial: Trial, path: str, dimension: Dimension) -> Any:  # noqa: ANN401 - whatever Optuna keeps
    match dimension:
        case Uniform():
            return trial.suggest_float(path, dimension.low, dimension.high)
        case Log():
            return trial.suggest_float(path, dimension.low, dimension.high, log=True)
        case Integer():
            return trial.suggest_int(path, dimension.low, dimension.high, step=dimension.step)
        case Choice():
            return trial.suggest_categorical(path, labels(dimension.options))
