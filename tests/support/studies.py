"""Studies in memory, whose trials are claimed, suggested and finished."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from pydantic import JsonValue

from risexp.hpo.search.parameters import distribution, stored, suggest
from risexp.hpo.search.samplers import build_sampler
from risexp.space.study_spec import StudySpec

Values = dict[str, JsonValue]
Score = Callable[[Values], float]


def study_of(sampler: BaseSampler | None = None, **more: Any) -> Study:  # noqa: ANN401 - Optuna's
    """A new study in a new storage."""
    return optuna.create_study(
        study_name="planted", storage=InMemoryStorage(), sampler=sampler, **more
    )


def claimed(study: Study, sampler: BaseSampler) -> Trial:
    """The next trial of a study, which is loaded again."""
    study.enqueue_trial({})
    number = len(study.get_trials(deepcopy=False)) - 1
    return claimed_again(study, number, sampler)


def claimed_again(study: Study, number: int, sampler: BaseSampler) -> Trial:
    """A trial of a study, which is loaded again."""
    storage = Trial(study, number).storage
    storage.set_trial_state_values(number, TrialState.RUNNING)
    opened = optuna.load_study(study_name=study.study_name, storage=storage, sampler=sampler)
    return Trial(opened, number)


def worked(
    study_spec: StudySpec, score: Score, trials: int, worker: str = "w0", study: Study | None = None
) -> list[Values]:
    """The values of trials that one worker claims and finishes."""
    shared = study_of() if study is None else study
    sampler, found = build_sampler(study_spec, worker), list[Values]()
    for _ in range(trials):
        trial = claimed(shared, sampler)
        found.append(suggest(study_spec, trial))
        value = score(found[-1])
        trial.storage.set_trial_state_values(trial.number, TrialState.COMPLETE, [value])
    return found


def had(study_spec: StudySpec, values: Mapping[str, JsonValue], **more: Any) -> FrozenTrial:  # noqa: ANN401 - Optuna's
    """A trial that had these values; `state`, `value` and the rest as Optuna names them."""
    vary = study_spec.space.vary
    return create_trial(
        params=stored(vary, values),
        distributions={path: distribution(vary[path]) for path in values},
        **more,
    )


def reported(scores: Sequence[float], state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    """A trial without parameters that reported these scores, from epoch 1 on."""
    value = scores[-1] if state == TrialState.COMPLETE else None
    steps = dict(enumerate(scores, start=1))
    return create_trial(state=state, value=value, intermediate_values=steps)
