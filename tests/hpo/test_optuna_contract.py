"""Behaviour of Optuna 5.0 that we rely on and that it does not promise.

What our own tests of claims, queues and samplers would show as well is not repeated here.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
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


@ON_BOTH
def test_a_running_trial_can_wait_again_and_keeps_its_data(
    storage: RDBStorage, study: optuna.Study
) -> None:
    first, _ = ids(storage, study)
    assert storage.set_trial_state_values(first, TrialState.RUNNING)
    assert not storage.set_trial_state_values(first, TrialState.RUNNING)
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
    first, _ = ids(storage, study)
    storage.set_trial_state_values(first, TrialState.COMPLETE, [1.0])

    for state in TrialState:
        with pytest.raises(UpdateFinishedTrialError):
            storage.set_trial_state_values(first, state, [2.0])
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_user_attr(first, "note", "late")

    assert 1.0 == storage.get_trial(first).value


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
    first, second = ids(storage, study)
    for trial in (first, second):
        storage.set_trial_state_values(trial, TrialState.RUNNING)
    sampler = Listing()
    kept = optuna.load_study(study_name="plain", storage=storage, sampler=sampler)
    Trial(kept, first)
    storage.set_trial_state_values(first, TrialState.COMPLETE, [1.0])

    Trial(kept, second)
    anew = optuna.load_study(study_name="plain", storage=storage, sampler=sampler)
    Trial(anew, second)

    assert [[], [], [0]] == sampler.shown


def test_braces_in_a_url_are_filled_in_unless_they_are_quoted(tmp_path: Path) -> None:
    path = tmp_path / "{SCHEMA_VERSION} 50%"
    path.mkdir()

    with plain(address_of(f"sqlite:///{path}/optuna.db").text, made=False):
        assert (path / "optuna.db").exists()
