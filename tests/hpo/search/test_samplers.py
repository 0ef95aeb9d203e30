"""Samplers propose allowed and new values, differently in every worker, and they learn."""

from collections.abc import Mapping
from statistics import median
from typing import Any

import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState
from pydantic import JsonValue

from risexp.errors import SpaceInvalid
from risexp.hpo.search.optuna_registry import make_sampler
from risexp.hpo.search.parameters import suggest
from risexp.hpo.search.samplers import ConstrainedSampler, build_sampler, seed_of
from risexp.space.spec import SearchSpace
from tests.support.spaces import learning, planted, spec_of
from tests.support.studies import Values, claimed, had, study_of, worked

COUNT = "loss.count"
ONE: Mapping[str, object] = {COUNT: {"kind": "uniform", "low": 0.0, "high": 2.0}}
KINDS: Mapping[str, object] = {
    "count.kind": {"kind": "choice", "options": ["ordinal", "softmax", "slots"]},
    "network.width": {"kind": "choice", "options": [16, 32]},
}
LEARNER = spec_of(planted(ONE, base="smoke", sampler={"kind": "tpe", "startup": 8}))


def number(values: Mapping[str, JsonValue], path: str = COUNT) -> float:
    return float(str(values[path]))


def miss(values: Values) -> float:
    """A score that is lowest at 1.7."""
    return abs(number(values) - 1.7)


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_workers_propose_differently_and_one_worker_the_same_again(kind: str) -> None:
    study_spec = spec_of(learning(sampler={"kind": kind, "seed": 7}))
    workers = ("node-a:1", "node-a:2", "node-b:1")
    seeds = {seed_of(seed, worker) for seed in (0, 2**62) for worker in "ab"}

    firsts = [repr(worked(study_spec, lambda _: 0.0, 2, worker)) for worker in workers]

    assert 3 == len(set(firsts))
    assert firsts[0] == repr(worked(study_spec, lambda _: 0.0, 2, workers[0]))
    assert 4 == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_the_sampler_learns_although_trials_are_claimed() -> None:
    misses = [miss(values) for values in worked(LEARNER, miss, 48)]

    assert median(misses[24:]) < 0.4 * median(misses[:8])


def test_the_sampler_learns_under_a_condition() -> None:
    study_spec = spec_of(learning(sampler={"kind": "tpe", "startup": 10}))

    def score(values: Values) -> float:
        softmax = values["count.kind"] == "softmax"
        return abs(number(values, "count.smoothing") - 0.15) if softmax else 1.0

    late = worked(study_spec, score, 50)[25:]

    softmax = [values for values in late if values["count.kind"] == "softmax"]
    assert len(softmax) > 18
    assert median(abs(number(each, "count.smoothing") - 0.15) for each in softmax) < 0.05


def widest(values: Values) -> float:
    """A score that is lowest for the largest width."""
    return -float(str(values["network.width"]))


def test_forbidden_combinations_are_never_proposed() -> None:
    """They would score best, so that the sampler proposes them again and again."""
    forbid = [{"count.kind": ["ordinal", "slots"], "network.width": 32}, {"count.kind": "slots"}]
    sampler = {"kind": "tpe", "startup": 3}
    study_spec = spec_of(planted(KINDS, base="smoke", forbid=forbid, sampler=sampler))

    trials = worked(study_spec, widest, 12)

    pairs = {(values["count.kind"], values["network.width"]) for values in trials}
    assert {("softmax", 16), ("softmax", 32), ("ordinal", 16)} == pairs


def test_no_values_are_tried_twice_while_others_are_left() -> None:
    sampler = {"kind": "tpe", "startup": 2}
    study_spec = spec_of(planted(KINDS, base="smoke", sampler=sampler))

    trials = [repr(values) for values in worked(study_spec, widest, 7)]

    # Six combinations without the base, which is trial 0.
    assert 5 == len(set(trials[:5]))
    assert repr(study_spec.base_values()) not in trials[:5]
    assert 7 == len(trials)


def test_values_of_a_failed_trial_are_proposed_only_if_no_others_are_left() -> None:
    for options, expected in (([16, 32], {16, 32}), ([16, 32, 64], {64})):
        width = {"network.width": {"kind": "choice", "options": options}}
        study_spec = spec_of(planted(width, base="smoke"))
        study = study_of()
        study.add_trial(had(study_spec, {"network.width": 32}, state=TrialState.FAIL))

        values = suggest(study_spec, claimed(study, build_sampler(study_spec, "w")))

        # The base has 16 and the failed trial 32.
        assert values["network.width"] in expected


class Stubborn(RandomSampler):
    """Always proposes the width 64."""

    proposals = 0

    def sample_independent(self, *_: Any) -> int:  # noqa: ANN401 - Optuna's signature
        self.proposals += 1
        return 64


def test_a_sampler_that_repeats_itself_is_not_asked_again() -> None:
    width = {"network.width": {"kind": "choice", "options": [16, 64, 128]}}
    study_spec = spec_of(planted(width, base="smoke", forbid=[{"network.width": 64}]))
    stubborn = Stubborn()

    values = suggest(study_spec, claimed(study_of(), ConstrainedSampler(stubborn, study_spec, 0)))

    assert 2 == stubborn.proposals
    # A random draw is neither forbidden nor the base's own value.
    assert {"network.width": 128} == values


def test_a_space_without_an_allowed_draw_is_refused() -> None:
    study_spec = spec_of(planted(KINDS, base="smoke", forbid=[{"network.width": [16, 32]}]))

    with pytest.raises(SpaceInvalid, match="none of 1000 draws from space planted is allowed"):
        suggest(study_spec, claimed(study_of(), build_sampler(study_spec, "w")))


@pytest.mark.parametrize("constrained", [True, False])
def test_a_violated_constraint_keeps_the_sampler_away(constrained: bool) -> None:
    study, sampler = study_of(), build_sampler(LEARNER, "w")
    counts = []
    for _ in range(48):
        trial = claimed(study, sampler)
        counts.append(number(suggest(LEARNER, trial)))
        if constrained:
            trial.set_constraint("collapse", counts[-1] - 1.0)
        trial.storage.set_trial_state_values(trial.number, TrialState.COMPLETE, [-counts[-1]])

    # The larger the better, and above 1 the constraint is violated.
    assert constrained == (median(counts[24:]) < 1.1)


def test_running_trials_repel_proposals() -> None:
    tpe: Any = make_sampler(LEARNER.space.sampler, 0, grouped=True)
    flat: Any = make_sampler(LEARNER.space.sampler, 0, grouped=False)

    # Optuna shows none of them; workers that run at once depend on the first two.
    assert (True, True, True) == (tpe._constant_liar, tpe._multivariate, bool(tpe._group))
    assert not flat._group


@pytest.mark.parametrize(
    "sampler",
    [
        {"kind": "gp", "startup": 2},
        {"kind": "optuna", "name": "QMCSampler", "options": {"scramble": True}},
        {"kind": "optuna", "name": "NSGAIISampler", "options": {"population_size": 2}},
    ],
    ids=["gp", "qmc", "nsga"],
)
def test_other_samplers_propose_allowed_values(sampler: Mapping[str, object]) -> None:
    space: SearchSpace = learning(sampler=sampler, forbid=[{"network.depth": 7}])
    study_spec = spec_of(space)

    for values in worked(study_spec, number, 4):
        assert 7 != values["network.depth"]
        assert values["network.depth"] == study_spec.resolve(values).config.network.depth
