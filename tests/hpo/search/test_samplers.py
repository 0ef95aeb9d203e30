"""Who proposes: workers that keep apart, allowed and new values, and a sampler that learns."""

from collections import Counter
from collections.abc import Mapping
from statistics import median
from typing import Any

import pytest
from optuna.samplers import RandomSampler
from optuna.trial import Trial, TrialState
from pydantic import JsonValue

from risexp.errors import SpaceInvalid
from risexp.hpo.search.parameters import suggest
from risexp.hpo.search.samplers import ConstrainedSampler, build_sampler, optuna_sampler, seed_of
from risexp.space.spec import SearchSpace
from tests.support.spaces import charter, learning, planted
from tests.support.studies import Values, claimed, had, study_of, worked

COUNT = "loss.count"
ONE: Mapping[str, object] = {COUNT: {"kind": "uniform", "low": 0.0, "high": 2.0}}
KINDS: Mapping[str, object] = {
    "count.kind": {"kind": "choice", "options": ["ordinal", "softmax", "slots"]},
    "network.width": {"kind": "choice", "options": [16, 32]},
}


def number(values: Mapping[str, JsonValue], path: str = COUNT) -> float:
    return float(str(values[path]))


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_no_two_workers_propose_the_same(kind: str) -> None:
    given = charter(learning(sampler={"kind": kind, "seed": 7}))

    firsts = [
        repr(suggest(given, claimed(study_of(), build_sampler(given, worker))))
        for worker in ("node-a:1", "node-a:2", "node-b:1")
    ]

    assert 3 == len(set(firsts))


def test_one_start_of_one_worker_proposes_the_same_again() -> None:
    given = charter()

    assert worked(given, lambda _: 0.0, 3) == worked(given, lambda _: 0.0, 3)


def test_seeds_fit_numpy_and_differ_by_study_and_worker() -> None:
    seeds = {seed_of(seed, worker) for seed in (0, 2**62) for worker in "ab"}

    assert 4 == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_the_sampler_learns_though_no_study_is_asked_or_told() -> None:
    given = charter(planted(ONE, base="smoke", sampler={"kind": "tpe", "startup": 8}))

    found = [
        abs(number(each) - 1.7) for each in worked(given, lambda each: abs(number(each) - 1.7), 48)
    ]

    assert median(found[24:]) < 0.4 * median(found[:8])


def test_a_study_that_is_not_opened_anew_would_never_learn() -> None:
    """Why a claim opens one: Optuna lists the trials once, and again when it is asked or told."""
    given = charter(planted(ONE, base="smoke", sampler={"kind": "tpe", "startup": 8}))
    study = study_of(build_sampler(given, "w0"))
    found = []
    for place in range(48):
        study.enqueue_trial({})
        trial = Trial(study, place)
        trial.storage.set_trial_state_values(place, TrialState.RUNNING)
        found.append(abs(number(suggest(given, trial)) - 1.7))
        trial.storage.set_trial_state_values(place, TrialState.COMPLETE, [found[-1]])

    assert median(found[24:]) > 0.7 * median(found[:8])


def test_the_sampler_learns_under_a_condition() -> None:
    given = charter(learning(sampler={"kind": "tpe", "startup": 10}))

    def score(values: Values) -> float:
        softmax = values["count.kind"] == "softmax"
        return abs(number(values, "count.smoothing") - 0.15) if softmax else 1.0

    late = worked(given, score, 50)[25:]

    softmax = [values for values in late if values["count.kind"] == "softmax"]
    assert len(softmax) > 18
    assert median(abs(number(each, "count.smoothing") - 0.15) for each in softmax) < 0.05


def test_forbidden_combinations_are_never_proposed() -> None:
    forbid = [
        {"count.kind": ["ordinal", "slots"], "network.width": 32},
        {"count.kind": "slots"},
    ]
    given = charter(
        planted(KINDS, base="smoke", forbid=forbid, sampler={"kind": "tpe", "startup": 3})
    )

    # What is forbidden would be best: the sampler asks for it again and again.
    found = worked(given, lambda values: -float(str(values["network.width"])), 12)

    pairs = {(values["count.kind"], values["network.width"]) for values in found}
    assert pairs == {("softmax", 16), ("softmax", 32), ("ordinal", 16)}


def test_no_values_are_tried_twice_while_others_are_left() -> None:
    given = charter(planted(KINDS, base="smoke", sampler={"kind": "tpe", "startup": 2}))

    found = worked(given, lambda values: -float(str(values["network.width"])), 7)

    tried = Counter(repr(values) for values in found)
    # Six combinations without the base, which is trial 0.
    assert [1] * 5 == sorted(Counter(repr(values) for values in found[:5]).values())
    assert repr(given.base_values()) not in [repr(values) for values in found[:5]]
    assert sum(tried.values()) == 7


def test_what_another_trial_has_is_not_proposed_while_it_runs_or_after_it_failed() -> None:
    given = charter(planted({"network.width": KINDS["network.width"]}, base="smoke"))
    study = study_of()
    study.add_trial(had(given, {"network.width": 32}, state=TrialState.FAIL))

    # Both are taken, the base's own 16 and the failed 32; then any is as good.
    assert suggest(given, claimed(study, build_sampler(given, "w")))["network.width"] in (16, 32)
    space = given.space.model_copy(
        update={
            "vary": planted({"network.width": {"kind": "choice", "options": [16, 32, 64]}}).vary
        }
    )
    wider = charter(space)
    other = study_of()
    other.add_trial(had(wider, {"network.width": 32}, state=TrialState.FAIL))
    assert suggest(wider, claimed(other, build_sampler(wider, "w")))["network.width"] == 64


class Stubborn(RandomSampler):
    """Always proposes the width 64."""

    asked = 0

    def sample_independent(self, *_: Any) -> int:  # noqa: ANN401 - Optuna's signature
        self.asked += 1
        return 64


def test_a_sampler_that_says_the_same_twice_is_not_asked_again() -> None:
    width = {"kind": "choice", "options": [16, 64, 128]}
    given = charter(planted({"network.width": width}, base="smoke", forbid=[{"network.width": 64}]))
    stubborn = Stubborn()

    found = suggest(given, claimed(study_of(), ConstrainedSampler(stubborn, given, 0)))

    assert stubborn.asked == 2
    # Chance then finds what is neither forbidden nor the base's own.
    assert found == {"network.width": 128}


def test_a_space_of_which_nothing_is_allowed_is_refused_in_words() -> None:
    space = planted(KINDS, base="smoke", forbid=[{"network.width": [16, 32]}])

    with pytest.raises(SpaceInvalid, match="none of 1000 draws from space planted is allowed"):
        suggest(charter(space), claimed(study_of(), build_sampler(charter(space), "w")))


@pytest.mark.parametrize("told", [True, False])
def test_a_violated_constraint_teaches_the_sampler_to_stay_away(told: bool) -> None:
    given = charter(planted(ONE, base="smoke", sampler={"kind": "tpe", "startup": 8}))
    study, sampler = study_of(), build_sampler(given, "w")
    found = []
    for _ in range(48):
        trial = claimed(study, sampler)
        found.append(number(suggest(given, trial)))
        if told:
            trial.set_constraint("collapse", found[-1] - 1.0)
        trial.storage.set_trial_state_values(trial.number, TrialState.COMPLETE, [-found[-1]])

    # The larger the better, and above 1 it collapses.
    assert told == (median(found[24:]) < 1.1)


def test_running_trials_repel_proposals() -> None:
    given = charter(planted(ONE, base="smoke", sampler={"kind": "tpe", "startup": 4}))
    spec = given.space.sampler

    tpe: Any = optuna_sampler(spec, 0, grouped=True)

    # Optuna shows neither; these are the two that two workers at once depend on.
    assert tpe._constant_liar
    assert tpe._multivariate
    assert tpe._group
    assert not optuna_sampler(spec, 0, grouped=False)._group  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "sampler",
    [
        {"kind": "gp", "startup": 2},
        {"kind": "optuna", "name": "QMCSampler", "options": {"scramble": True}},
        {"kind": "optuna", "name": "NSGAIISampler", "options": {"population_size": 2}},
        {"kind": "optuna", "name": "TPESampler", "options": {"n_startup_trials": 2}},
    ],
    ids=["gp", "qmc", "nsga", "tpe"],
)
def test_other_samplers_propose_what_the_space_allows(sampler: Mapping[str, object]) -> None:
    space: SearchSpace = learning(sampler=sampler, forbid=[{"network.depth": 7}])
    given = charter(space)

    for values in worked(given, number, 4):
        assert values["network.depth"] != 7
        assert given.resolve(values).config.network.depth == values["network.depth"]
