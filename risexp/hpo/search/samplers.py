"""Builds a study's sampler: one of Optuna's, constrained to what the space allows."""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from pydantic import JsonValue

from risexp.errors import SpaceInvalid
from risexp.hpo.search.optuna_registry import experimental, make_sampler
from risexp.hpo.search.parameters import distribution, read, stored
from risexp.space.dimensions import Dimension
from risexp.space.spec import Pick
from risexp.space.study_spec import StudySpec

PROPOSED: Final = 8
"""Number of proposals by the sampler before random ones are drawn."""
DRAWN: Final = 1000
"""Number of random draws; the check of a space makes sure that a tenth of them is allowed."""

Values = dict[str, JsonValue]


def build_sampler(study_spec: StudySpec, worker: str) -> BaseSampler:
    """The sampler of one worker, by its id; no two workers propose the same sequence."""
    spec = study_spec.space.sampler
    seed = seed_of(spec.seed, worker)
    grouped = any(dimension.when for dimension in study_spec.space.vary.values())
    return ConstrainedSampler(make_sampler(spec, seed, grouped=grouped), study_spec, seed)


def seed_of(seed: int, worker: str) -> int:
    """The seed of one worker under the seed of a study, below 2^32."""
    name = f"risexp sampler {seed} 0 {worker}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")


class ConstrainedSampler(BaseSampler):
    """Proposes what another sampler does, if it is allowed and no trial of the study has it.

    Other proposals are repeated, a few times by the sampler and then at random. So no trial is
    spent on a forbidden combination, or on values of another trial unless no others are left.
    """

    def __init__(self, sampler: BaseSampler, study_spec: StudySpec, seed: int) -> None:
        """Constrain a sampler of Optuna's; `seed` is that of the random draws."""
        self._sampler = sampler
        self._space = study_spec.space
        self._known = study_spec.base.flat()
        self._zero = stored(study_spec.space.vary, study_spec.base_values())
        self._source = random.Random(seed)  # noqa: S311 - not for secrets

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Every dimension: all values of a trial are drawn together."""
        del study, trial
        return {path: distribution(dimension) for path, dimension in self._space.vary.items()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values for every dimension whose condition holds; those the trial has stay."""
        del search_space
        taken = self._taken(study, trial)
        repeated: dict[str, Any] | None = None
        for values in self._candidates(study, trial):
            if self._space.forbids({**self._known, **values}):
                continue
            kept = stored(self._space.vary, values)
            if _key(kept) not in taken:
                return kept
            repeated = repeated or kept
        if repeated is None:
            raise SpaceInvalid(
                f"none of {DRAWN} draws from space {self._space.name} is allowed: `risexp space "
                f"check {self._space.name}` says how much of it is forbidden"
            )
        return repeated

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:  # noqa: ANN401 - Optuna's signature
        """As the sampler; Optuna does not call it for what `sample_relative` has drawn."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """As Optuna's."""
        self._sampler.reseed_rng()
        self._source.seed()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """As the sampler's."""
        self._sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Any,  # noqa: ANN401 - a list of numbers or nothing
    ) -> None:
        """As the sampler's."""
        self._sampler.after_trial(study, trial, state, values)

    def _taken(self, study: Study, trial: FrozenTrial) -> set[str]:
        """The parameters of other trials, and of trial 0, which may not be claimed yet."""
        trials = study.get_trials(deepcopy=False)
        others = (other for other in trials if other.number != trial.number)
        return {_key(self._zero), *(_key(other.params) for other in others)}

    def _candidates(self, study: Study, trial: FrozenTrial) -> Iterator[Values]:
        before: Values | None = None
        for _ in range(PROPOSED):
            values = self._proposed(study, trial)
            if values == before:
                break  # a sampler that repeats itself will not propose anything else
            yield values
            before = values
        for _ in range(DRAWN):
            yield self._filled(trial, lambda _, dimension: dimension.draw(self._source))

    def _proposed(self, study: Study, trial: FrozenTrial) -> Values:
        """One proposal of the sampler; what it does not draw together is drawn alone."""
        with experimental():
            space = self._sampler.infer_relative_search_space(study, trial)
            together = self._sampler.sample_relative(study, trial, space)

        def pick(path: str, dimension: Dimension) -> JsonValue:
            if path in together:
                return read(dimension, together[path])
            alone = self._sampler.sample_independent(study, trial, path, distribution(dimension))
            return read(dimension, alone)

        return self._filled(trial, pick)

    def _filled(self, trial: FrozenTrial, pick: Pick) -> Values:
        def kept_or_picked(path: str, dimension: Dimension) -> JsonValue:
            if path in trial.params:
                return read(dimension, trial.params[path])
            return pick(path, dimension)

        return self._space.pick_values(self._known, kept_or_picked)


def _key(kept: Mapping[str, Any]) -> str:
    return json.dumps(kept, sort_keys=True)
