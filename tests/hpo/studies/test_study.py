"""Studies in the store: created whole, grown, ended, and told from those of others."""

import json
from collections.abc import Mapping, Sequence

import optuna
import pytest
from optuna.trial import TrialState

from risexp.errors import DataInvalid, InvalidInput
from risexp.hpo.store.leases import Leases
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import (
    SLOT,
    SPEC,
    End,
    StudyRef,
    end_of,
    end_study,
    find_study,
    is_study,
    open_study,
    run_id,
    study_names,
)
from risexp.space.study_spec import StudySpec
from tests.support.spaces import learning
from tests.support.worker_processes import NAME, owner, toy_study, violations, work_here


def slots(store: StudyStore, study: StudyRef) -> list[int]:
    return [trial.user_attrs[SLOT] for trial in store.storage.get_all_trials(study.id)]


def given(store: StudyStore, study: StudyRef) -> list[object]:
    """The parameters of each trial when it was enqueued, by its number."""
    trials = store.storage.get_all_trials(study.id)
    return [trial.system_attrs["fixed_params"] for trial in trials]


POINTS: Sequence[Mapping[str, object]] = ({"x": 0.5}, {"x": 0.25, "y": 3}, {"y": 9})


def test_a_study_tries_its_points_first_though_its_budget_grows(store: StudyStore) -> None:
    open_study(store, NAME, 2, {}, POINTS)
    study = open_study(store, NAME, 4, {}, POINTS)
    assert ["WAITING"] * 4 == [trial.state.name for trial in store.storage.list_trials(study.id)]
    assert [*POINTS, {}] == given(store, study)

    work_here(store, study)

    base, second, third, drawn = (each.params for each in store.storage.get_all_trials(study.id))
    assert (0.5, {"x": 0.25, "y": 3}, 9) == (base["x"], second, third["y"])
    assert drawn.keys() == {"x", "y"}
    assert [] == violations(store, study)


def test_slots_that_a_dead_process_left_empty_get_their_points(
    store: StudyStore,
) -> None:
    open_study(store, NAME, 1, {}, POINTS)
    handle = optuna.load_study(study_name=NAME, storage=store.storage)
    handle.enqueue_trial(dict(POINTS[2]), user_attrs={SLOT: 2})

    study = open_study(store, NAME, 3, {}, POINTS)
    again = open_study(store, NAME, 3, {}, POINTS)

    assert study == again
    assert [0, 2, 1] == slots(store, study)
    assert [POINTS[0], POINTS[2], POINTS[1]] == given(store, study)


def test_a_budget_grows_and_never_shrinks(store: StudyStore, study: StudyRef) -> None:
    same, more, fewer = (toy_study(store, trials) for trials in (4, 6, 2))

    assert study == same
    assert (6, 6) == (more.trials, fewer.trials)
    assert [0, 1, 2, 3, 4, 5] == slots(store, study)


def test_a_study_that_is_done_goes_on_with_more_trials(store: StudyStore, study: StudyRef) -> None:
    work_here(store, study)
    assert [] == violations(store, study)

    more = toy_study(store, 6)
    assert [(None, 4), (None, 5)] == [(None, each.number) for each in violations(store, more)]
    work_here(store, more)

    assert [] == violations(store, more)


def test_a_study_does_not_change_what_it_is(store: StudyStore) -> None:
    open_study(store, NAME, 1, {"space": "a" * 64, "base": ["small", 1]})

    with pytest.raises(InvalidInput, match="'toy' began with another space and stop: search"):
        open_study(store, NAME, 3, {"space": "b" * 64, "base": ("small", 1), "stop": 1})

    assert 1 == find_study(store, NAME).trials


def test_a_study_of_no_trials_is_refused(store: StudyStore) -> None:
    with pytest.raises(InvalidInput, match="a study of 0 trials is none"):
        toy_study(store, 0)

    assert [] == study_names(store)


def test_a_study_exists_once_it_is_complete_or_has_a_trial_of_another_program(
    store: StudyStore,
) -> None:
    assert not is_study(store, NAME)
    optuna.create_study(study_name=NAME, storage=store.storage)
    assert not is_study(store, NAME)

    toy_study(store, 1)
    other = optuna.create_study(study_name="other", storage=store.storage)
    other.enqueue_trial({})

    assert is_study(store, NAME)
    assert is_study(store, "other")


def test_a_study_of_another_program_is_left_alone(store: StudyStore) -> None:
    theirs = optuna.create_study(study_name=NAME, storage=store.storage)
    theirs.enqueue_trial({})

    with pytest.raises(InvalidInput, match="was not made by risexp"):
        toy_study(store, 3)
    with pytest.raises(InvalidInput, match="was not made by risexp"):
        find_study(store, NAME)

    assert 1 == len(theirs.trials)
    assert {} == theirs.user_attrs


def test_a_study_is_found_by_name(store: StudyStore, study: StudyRef) -> None:
    assert study == find_study(store, NAME)
    with pytest.raises(InvalidInput, match=r"there is no study 'toi' in .*; did you mean toy"):
        find_study(store, "toi")


def test_a_second_trial_in_a_slot_is_closed_unless_a_worker_has_it(
    store: StudyStore, study: StudyRef
) -> None:
    """Its enqueuing was answered twice: the first answer was lost."""
    handle = optuna.load_study(study_name=NAME, storage=store.storage)
    handle.enqueue_trial({}, user_attrs={SLOT: 2})
    leases, surplus = Leases(store, study.uid), store.storage.list_trials(study.id)[4].trial_id
    lease = leases.take(surplus, owner(), "toy-004")
    assert lease is not None
    toy_study(store, 4)
    assert TrialState.WAITING == store.storage.get_trial(surplus).state
    leases.end(lease, "released")

    toy_study(store, 4)
    work_here(store, study)

    assert [] == violations(store, study)
    trial = store.storage.get_trial(surplus)
    assert (TrialState.FAIL, "surplus") == (trial.state, trial.user_attrs["reason"])


def test_the_end_of_a_study_is_kept_until_it_goes_on(store: StudyStore, study: StudyRef) -> None:
    assert end_of(store, study) is None

    end_study(store, study, "time-limit")

    assert End("time-limit", (0, 1, 2, 3)) == end_of(store, study)
    assert [] == violations(store, study)
    toy_study(store, 4)
    assert end_of(store, study) is None


def test_a_study_keeps_its_spec_among_its_facts() -> None:
    spec = StudySpec.of(learning(sampler={"kind": "gp", "startup": 3}), epochs=4)
    facts = json.loads(json.dumps({SPEC: spec.as_json()}))

    assert spec == StudyRef("s", 1, "uid", 3, facts).spec
    with pytest.raises(DataInvalid, match="study s holds no record of its space"):
        _ = StudyRef("s", 1, "uid", 3, {}).spec


def test_runs_and_scores_have_their_names(store: StudyStore, study: StudyRef) -> None:
    handle = optuna.load_study(study_name=study.name, storage=store.storage)

    assert ["wide-007", "wide-1234"] == [run_id("wide", 7), run_id("wide", 1234)]
    assert ["k_loc"] == handle.metric_names
