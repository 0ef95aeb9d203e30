"""What proposes the next trial: one of Optuna's samplers, held to what the space allows."""

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
from risexp.hpo.search.distributions import distribution, read, stored
from risexp.hpo.search.optuna_registry import experimental, named_sampler
from risexp.space.dimensions import Dimension
from risexp.space.samplers import Gp, OtherSampler, Random, Sampler, Tpe
from risexp.space.spec import Pick
from risexp.space.study_spec import StudySpec

PROPOSED: Final = 8
"""How often a sampler is asked for one that is allowed and new, before chance is."""
DRAWN: Final = 1000
"""How often chance is asked; the check of a space leaves at least a tenth of its draws allowed."""

Values = dict[str, JsonValue]


def build_sampler(charter: StudySpec, worker: str, start: int) -> BaseSampler:
    """The sampler of one start of one worker; no two of them propose the same sequence.

    Args:
        charter: Of the study.
        worker: Name of the worker, which no other of the study has.
        start: How often it was started before.

    Raises:
        SpaceInvalid: The space names a sampler that cannot be used.
    """
    spec = charter.space.sampler
    seed = seed_of(spec.seed, worker, start)
    grouped = any(each.when for each in charter.space.vary.values())
    return ConstrainedSampler(optuna_sampler(spec, seed, grouped=grouped), charter, seed)


def seed_of(seed: int, worker: str, start: int) -> int:
    """The seed of one start of one worker under the seed of a study, below 2^32."""
    name = f"risexp sampler {seed} {start} {worker}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")


def optuna_sampler(spec: Sampler, seed: int, *, grouped: bool) -> BaseSampler:
    """The sampler that a space asks for.

    Running trials count as bad ones while they last, so that workers keep apart, and trials with a
    violated constraint as worse than all others.

    Args:
        spec: The section of the space.
        seed: Of its random numbers.
        grouped: Whether some dimensions exist only under a condition.

    Raises:
        SpaceInvalid: It cannot be used.
    """
    match spec:
        case Tpe():
            options = {
                "n_startup_trials": spec.startup,
                "n_ei_candidates": spec.candidates,
                "multivariate": True,
                "group": grouped,
                "constant_liar": True,
            }
            return named_sampler("TPESampler", options, seed)
        case Gp():
            quiet = {"n_startup_trials": spec.startup, "warn_independent_sampling": False}
            return named_sampler("GPSampler", quiet, seed)
        case Random():
            return named_sampler("RandomSampler", {}, seed)
        case OtherSampler():
            return named_sampler(spec.name, spec.options, seed)


class ConstrainedSampler(BaseSampler):
    """What another sampler proposes, whole, allowed, and not what a trial of the study has.

    A proposal that is forbidden or has been made is made anew, a few times by the sampler and then
    by chance. So no trial is spent on a forbidden combination, and none twice on the same values
    unless the space has no others.
    """

    def __init__(self, sampler: BaseSampler, charter: StudySpec, seed: int) -> None:
        """Hold a sampler to a study's charter.

        Args:
            sampler: One of Optuna's.
            charter: Of the study.
            seed: Of the draws by chance.
        """
        self._sampler = sampler
        self._space = charter.space
        self._known = charter.base.flat()
        self._zero = stored(charter.space.vary, charter.base_values())
        self._source = random.Random(seed)  # noqa: S311 - no secret is drawn

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Every dimension: all values of a trial are drawn together."""
        del study, trial
        return {path: distribution(each) for path, each in self._space.vary.items()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values for every dimension whose condition holds; those the trial has stay.

        Raises:
            SpaceInvalid: Nothing that was drawn is allowed.
        """
        del search_space
        made = self._made(study, trial)
        again: dict[str, Any] | None = None
        for values in self._candidates(study, trial):
            if self._space.forbids({**self._known, **values}):
                continue
            kept = stored(self._space.vary, values)
            if _key(kept) not in made:
                return kept
            again = again or kept
        if again is None:
            raise SpaceInvalid(
                f"none of {DRAWN} draws from space {self._space.name} is allowed: `risexp space "
                f"check {self._space.name}` says how much of it is forbidden"
            )
        return again

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:  # noqa: ANN401 - Optuna's signature
        """As the sampler itself would; what `sample_relative` has drawn does not come here."""
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

    def _made(self, study: Study, trial: FrozenTrial) -> set[str]:
        """What other trials have, trial 0 among them, whether or not it was claimed."""
        others = (each for each in study.get_trials(deepcopy=False) if each.number != trial.number)
        return {_key(self._zero), *(_key(each.params) for each in others)}

    def _candidates(self, study: Study, trial: FrozenTrial) -> Iterator[Values]:
        before: Values | None = None
        for _ in range(PROPOSED):
            values = self._proposed(study, trial)
            if values == before:
                break  # a sampler that says the same twice will not say another thing
            yield values
            before = values
        for _ in range(DRAWN):
            yield self._filled(trial, lambda _, dimension: dimension.draw(self._source))

    def _proposed(self, study: Study, trial: FrozenTrial) -> Values:
        """One proposal of the sampler; by itself what it does not propose with the others."""
        with experimental():
            wanted = self._sampler.infer_relative_search_space(study, trial)
            together = self._sampler.sample_relative(study, trial, wanted)

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

        return self._space.picked(self._known, kept_or_picked)


def _key(kept: Mapping[str, Any]) -> str:
    return json.dumps(kept, sort_keys=True)
