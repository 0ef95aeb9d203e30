"""The values of a trial: all at once, allowed, and the same however often it is claimed."""

import random
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from risexp.errors import SpaceInvalid
from risexp.hpo.search.distributions import distribution, stored
from risexp.hpo.search.samplers import build_sampler
from risexp.hpo.search.suggest import suggest
from risexp.hpo.studies.start_points import base_point
from risexp.space.study_spec import StudySpec
from tests.support.spaces import LEARNING, charter, learning, planted
from tests.support.studies import claimed, claimed_again, study_of, worked


@given(st.integers(0, 2**31))
def test_every_suggestion_is_a_run_of_the_space(seed: int) -> None:
    found = charter(learning(sampler={"kind": "random", "seed": seed}))

    for values in worked(found, lambda _: 0.0, 3):
        config = found.resolve(values).config
        assert all(found.space.vary[path].holds(value) for path, value in values.items())
        assert ("count.smoothing" in values) == (config.count.kind == "softmax")
        assert LEARNING.keys() - {"count.smoothing"} <= values.keys()
        assert all(config.flat()[path] == value for path, value in values.items())


def test_trial_0_has_the_values_of_the_base() -> None:
    given_ = charter()
    study = study_of()
    study.enqueue_trial(stored(given_.space.vary, base_point(given_).values))

    values = suggest(given_, claimed_again(study, 0, build_sampler(given_, "w", 0)))

    assert values == given_.base_values()
    assert given_.base.sha() == given_.resolve(values).config.sha()


def test_trial_0_is_the_base_under_what_the_search_set() -> None:
    given_ = StudySpec.of(learning(), environment={"RISEXP__NETWORK__DEPTH": "5"}, epochs=2)

    zero = base_point(given_)

    assert zero.values["network.depth"] == 5
    assert given_.base.training.epochs == 2


def test_a_trial_that_is_claimed_again_has_the_same_values_byte_for_byte() -> None:
    given_ = charter()
    study = study_of()
    first = claimed(study, build_sampler(given_, "first", 0))
    before = suggest(given_, first)

    first.storage.set_trial_state_values(first.number, TrialState.WAITING)
    again = claimed_again(study, first.number, build_sampler(given_, "second", 3))

    assert repr(before) == repr(suggest(given_, again))
    assert repr(before) == repr(suggest(given_, again))


def test_what_a_dead_worker_had_drawn_stays_and_the_rest_is_drawn() -> None:
    given_ = charter()
    study = study_of()
    first = claimed(study, build_sampler(given_, "first", 0))
    drawn = first.suggest_categorical("count.kind", ["ordinal", "softmax"])

    found = {
        suggest(
            given_, claimed_again(study, first.number, build_sampler(given_, str(start), start))
        )["count.kind"]
        for start in range(3)
    }

    assert {drawn} == found


def test_what_is_drawn_beside_a_dead_workers_draw_is_allowed_with_it() -> None:
    vary = {
        "count.kind": {"kind": "choice", "options": ["ordinal", "softmax"]},
        "network.width": {"kind": "choice", "options": [16, 32, 64, 128]},
    }
    forbid = [{"count.kind": "softmax", "network.width": [16, 64, 128]}]
    given_ = charter(planted(vary, base="smoke", forbid=forbid))

    for start in range(4):
        study = study_of()
        dead = claimed(study, build_sampler(given_, "dead", start))
        # As an earlier attempt left it, drawn by whatever.
        dead.storage.set_trial_param(
            dead.number, "count.kind", 1.0, distribution(given_.space.vary["count.kind"])
        )
        again = claimed_again(study, dead.number, build_sampler(given_, "other", start))
        assert {"count.kind": "softmax", "network.width": 32} == suggest(given_, again)


def test_what_was_enqueued_outside_the_space_is_refused() -> None:
    given_ = charter()
    study = study_of()
    study.enqueue_trial({"loss.count": 9.0})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna warns as well, and takes it
        with pytest.raises(SpaceInvalid, match=r"trial 0 was given loss.count = 9.0, which space"):
            suggest(given_, claimed_again(study, 0, build_sampler(given_, "w", 0)))


def test_what_was_enqueued_though_forbidden_is_refused() -> None:
    depth = {"kind": "int", "low": 1, "high": 3}
    given_ = charter(planted({"network.depth": depth}, forbid=[{"network.depth": 3}], base="smoke"))
    study = study_of()
    study.enqueue_trial({"network.depth": 3})

    with pytest.raises(SpaceInvalid, match="trial 0 was given a combination that space planted"):
        suggest(given_, claimed_again(study, 0, RandomSampler(random.Random(0).randrange(9))))  # noqa: S311
