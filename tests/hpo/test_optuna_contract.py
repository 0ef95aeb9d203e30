"""Behaviour of Optuna 5.0 that we rely on and that it does not promise."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import event

from risexp.hpo.store.address import address_of
from tests.support.worker_processes import EMBEDDED, ON_BOTH


@contextmanager
def plain(url: str, *, made: bool = True) -> Iterator[RDBStorage]:
    """Optuna's own storage."""
    storage = RDBStorage(url, skip_table_creation=made)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


@pytest.fixture
def storage(url: str) -> Iterator[RDBStorage]:
    with plain(address_of(url).text) as opened:
        yield opened


@pytest.fixture
def study(storage: RDBStorage) -> optuna.Study:
    """A study with two waiting trials; the first has a parameter fixed."""
    created = optuna.create_study(study_name="plain", storage=storage)
    created.enqueue_trial({"x": 0.5}, user_attrs={"slot": 0})
    created.enqueue_trial({}, user_attrs={"slot": 1})
    return created


def ids(storage: RDBStorage, study: optuna.Study) -> list[int]:
    study_id = storage.get_study_id_from_name(study.study_name)
    return [
        storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        for trial in study.trials
    ]


def running(storage: RDBStorage, study: optuna.Study) -> list[int]:
    """The ids of the trials, which are set running."""
    trial_ids = ids(storage, study)
    for trial_id in trial_ids:
        storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    return trial_ids


@ON_BOTH
def test_a_running_trial_can_wait_again_and_keeps_its_data(
    storage: RDBStorage, study: optuna.Study
) -> None:
    first, _ = running(storage, study)
    trial = Trial(study, first)
    trial.suggest_float("x", 0.0, 1.0)
    trial.report(0.25, 1)
    trial.set_user_attr("note", "kept")

    assert storage.set_trial_state_values(first, TrialState.WAITING)

    waiting = storage.get_trial(first)
    assert (TrialState.WAITING, 0) == (waiting.state, waiting.number)
    assert ({"x": 0.5}, {1: 0.25}) == (waiting.params, waiting.intermediate_values)
    assert {"slot": 0, "note": "kept"} == waiting.user_attrs
    assert storage.set_trial_state_values(first, TrialState.RUNNING)
    assert {"x": 0.5} == Trial(study, first).params


@ON_BOTH
def test_only_a_waiting_trial_can_be_set_running(storage: RDBStorage, study: optuna.Study) -> None:
    first, _ = ids(storage, study)

    assert storage.set_trial_state_values(first, TrialState.RUNNING)
    assert not storage.set_trial_state_values(first, TrialState.RUNNING)


@EMBEDDED
def test_two_workers_can_set_one_trial_running_on_sqlite(
    storage: RDBStorage, study: optuna.Study
) -> None:
    """It reads the state and then writes it, without a lock in between: leases decide."""
    first, _ = ids(storage, study)
    won: list[bool] = []

    with plain(storage.url) as other:

        def intrude(*_: object) -> None:
            won.append(other.set_trial_state_values(first, TrialState.RUNNING))

        event.listen(storage.engine, "after_cursor_execute", intrude, once=True)
        won.append(storage.set_trial_state_values(first, TrialState.RUNNING))

    assert [True, True] == won


def test_a_finished_trial_stays_as_it_is(storage: RDBStorage, study: optuna.Study) -> None:
    first, _ = running(storage, study)
    storage.set_trial_state_values(first, TrialState.COMPLETE, [1.0])

    for state in TrialState:
        with pytest.raises(UpdateFinishedTrialError):
            storage.set_trial_state_values(first, state, [2.0])
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_user_attr(first, "note", "late")

    assert 1.0 == storage.get_trial(first).value


def test_the_first_value_of_a_parameter_stays(storage: RDBStorage, study: optuna.Study) -> None:
    first, _ = ids(storage, study)
    unit = FloatDistribution(0.0, 1.0)
    storage.set_trial_param(first, "x", 0.25, unit)

    storage.set_trial_param(first, "x", 0.75, unit)

    assert {"x": 0.25} == storage.get_trial(first).params


def test_a_reported_step_is_not_written_again_and_only_a_warning_says_so(
    storage: RDBStorage, study: optuna.Study
) -> None:
    first, _ = running(storage, study)
    Trial(study, first).report(0.5, 1)

    with pytest.warns(UserWarning, match="already reported"):
        Trial(study, first).report(0.75, 1)

    assert {1: 0.5} == storage.get_trial(first).intermediate_values


def test_trials_come_in_the_order_of_their_numbers(
    storage: RDBStorage, study: optuna.Study
) -> None:
    first, _ = ids(storage, study)
    storage.set_trial_state_values(first, TrialState.RUNNING)
    storage.set_trial_state_values(first, TrialState.WAITING)
    study.enqueue_trial({})

    waiting = study.get_trials(states=(TrialState.WAITING,))

    assert [0, 1, 2] == [trial.number for trial in waiting]


def test_enqueued_parameters_are_suggested_and_unknown_ones_are_ignored(
    storage: RDBStorage, study: optuna.Study
) -> None:
    study.enqueue_trial({"x": 0.125, "nowhere": 1})
    third = ids(storage, study)[2]
    storage.set_trial_state_values(third, TrialState.RUNNING)

    assert 0.125 == Trial(study, third).suggest_float("x", 0.0, 1.0)
    assert {"x": 0.125} == storage.get_trial(third).params


class Listing(RandomSampler):
    """Notes the finished trials that it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[list[int]] = []

    def before_trial(self, study: optuna.Study, _trial: FrozenTrial) -> None:
        trials: Sequence[FrozenTrial] = study._get_trials(use_cache=True)
        self.shown.append([each.number for each in trials if each.state.is_finished()])


def test_a_study_shows_its_sampler_old_trials_until_it_is_loaded_again(
    storage: RDBStorage, study: optuna.Study
) -> None:
    first, second = running(storage, study)
    sampler = Listing()
    kept = optuna.load_study(study_name="plain", storage=storage, sampler=sampler)
    Trial(kept, first)
    storage.set_trial_state_values(first, TrialState.COMPLETE, [1.0])

    Trial(kept, second)
    anew = optuna.load_study(study_name="plain", storage=storage, sampler=sampler)
    Trial(anew, second)

    assert [[], [], [0]] == sampler.shown


def test_only_a_running_trial_can_be_finished(storage: RDBStorage, study: optuna.Study) -> None:
    first, _ = ids(storage, study)

    with pytest.raises(ValueError, match="Cannot tell a WAITING trial"):
        study.tell(Trial(study, first), 1.0)


def test_constraints_keep_their_first_value_and_decide_who_is_best(
    storage: RDBStorage, study: optuna.Study
) -> None:
    first, second = running(storage, study)
    unsound = Trial(study, first)
    unsound.set_constraint("collapse", 1.0)
    with pytest.warns(UserWarning, match="already set"):
        unsound.set_constraint("collapse", -1.0)
    study.tell(unsound, 0.1)

    study.tell(Trial(study, second), 0.9)

    assert {"collapse": 1.0} == storage.get_trial(first).constraints
    assert 1 == study.best_trial.number


def test_the_value_of_a_pruned_trial_is_its_last_report(
    storage: RDBStorage, study: optuna.Study
) -> None:
    first, second = running(storage, study)
    Trial(study, first).report(0.25, 1)

    study.tell(Trial(study, first), state=TrialState.PRUNED)
    study.tell(Trial(study, second), state=TrialState.PRUNED)

    assert [0.25, None] == [trial.value for trial in study.trials]


def test_braces_in_a_url_are_filled_in_unless_they_are_quoted(tmp_path: Path) -> None:
    path = tmp_path / "{SCHEMA_VERSION} 50%"
    path.mkdir()

    with plain(address_of(f"sqlite:///{path}/optuna.db").text, made=False):
        assert (path / "optuna.db").exists()
