import math
import time
from collections.abc import Iterator
from inspect import signature
from unittest.mock import Mock, call

import pytest
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState, create_trial

from risexp.hpo.store import trial_reader
from risexp.hpo.store.address import address_of
from risexp.hpo.store.patient_storage import PatientStorage
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.trials.trial_result import TrialResult, unsound
from tests.support.statements import statements
from tests.support.worker_processes import ON_BOTH, claimed, draw, queue_of, toy_study


@pytest.fixture
def plain(store: StudyStore) -> Iterator[RDBStorage]:
    """Optuna's own storage."""
    storage = RDBStorage(address_of(store.url).text, skip_table_creation=True)
    yield storage
    storage.remove_session()
    storage.engine.dispose()


def live(store: StudyStore, study: StudyRef) -> Iterator[str]:
    """Steps of a study, written by another storage than the one that reads."""
    queue = queue_of(store, study)
    first = claimed(queue)
    yield "claimed"
    first.suggest(draw)
    yield "suggested"
    first.report(1, 0.5)
    yield "reported"
    first.finish(TrialResult("complete", "finished", 0.5))
    yield "complete"
    second = claimed(queue)
    second.suggest(draw)
    second.finish(unsound("collapse"))
    yield "pruned"
    third = claimed(queue)
    third.suggest(draw)
    yield "running"
    third.release()
    yield "released"


@pytest.fixture
def far_from_utc() -> Iterator[None]:
    """The local time is that of Tokyo."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@ON_BOTH
@pytest.mark.usefixtures("far_from_utc")
def test_all_trials_are_read_as_optunas_own_storage_reads_them(
    store: StudyStore, study: StudyRef, plain: RDBStorage
) -> None:
    reader = store.once().storage

    for step in live(store, study):
        read = reader.get_all_trials(study.id)
        wanted = plain.get_all_trials(study.id)
        assert [each.state for each in wanted] == [each.state for each in read], step
        begun = [each.number for each in wanted if each.state != TrialState.WAITING]
        assert [wanted[number] for number in begun] == [read[number] for number in begun], step


def test_running_trials_are_not_read_for_a_list_of_finished_ones(
    store: StudyStore, study: StudyRef
) -> None:
    life = live(store, study)
    while next(life) != "running":
        pass
    store.storage.get_all_trials(study.id)

    with statements(store) as executed:
        trials = store.storage.get_all_trials(study.id, states=(TrialState.COMPLETE,))

    assert ([0], 1) == ([trial.number for trial in trials], len(executed))


def test_a_trial_that_ends_while_it_is_read_is_shown_as_ended(
    store: StudyStore, study: StudyRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = live(store, study)
    next(life)
    reader = store.once().storage
    listed = reader.list_trials(study.id)
    running = (TrialState.RUNNING,)
    monkeypatch.setattr(reader, "list_trials", lambda *_: listed[:1])
    while next(life) != "complete":
        pass

    assert [] == reader.get_all_trials(study.id, states=running)
    assert [TrialState.COMPLETE] == [each.state for each in reader.get_all_trials(study.id)]


def test_reading_again_costs_no_more_if_more_trials_wait(
    store: StudyStore, study: StudyRef
) -> None:
    storage = store.storage
    storage.get_all_trials(study.id)
    with statements(store) as few:
        storage.get_all_trials(study.id)
    more = toy_study(store, 40)
    storage.get_all_trials(more.id)

    with statements(store) as many:
        assert 40 == len(storage.get_all_trials(more.id))

    assert 1 == len(few) == len(many)


def test_trials_that_have_changed_are_read_together(store: StudyStore, study: StudyRef) -> None:
    """In a statement a table, however many they are."""
    storage, queue = store.storage, queue_of(store, study)
    storage.get_all_trials(study.id)
    for _ in range(3):
        claimed(queue).finish(TrialResult("complete", "finished", 0.5))

    with statements(store) as executed:
        trials = storage.get_all_trials(study.id, deepcopy=False)

    assert 3 == sum(each.state == TrialState.COMPLETE for each in trials)
    assert 7 == len(executed)


def test_more_trials_than_a_statement_holds_are_read_in_pieces(
    store: StudyStore, study: StudyRef, plain: RDBStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_reader, "_AT_ONCE", 2)
    queue, more = queue_of(store, study), 3
    for _ in range(more):
        claimed(queue).finish(TrialResult("complete", "finished", 0.5))

    with statements(store) as executed:
        read = store.storage.get_all_trials(study.id, states=(TrialState.COMPLETE,))

    assert plain.get_all_trials(study.id, states=(TrialState.COMPLETE,)) == read
    assert (more, 1 + 2 * 6) == (len(read), len(executed))


def test_values_that_are_no_numbers_are_read_as_optuna_reads_them(
    store: StudyStore, study: StudyRef, plain: RDBStorage
) -> None:
    steps = {1: math.inf, 2: -math.inf, 3: math.nan, 4: 0.5}
    for value, state in ((math.inf, TrialState.COMPLETE), (None, TrialState.FAIL)):
        store.storage.create_new_trial(
            study.id,
            create_trial(
                state=state, value=value, intermediate_values=steps, system_attrs={"a": [1]}
            ),
        )

    wanted, read = plain.get_all_trials(study.id), store.once().storage.get_all_trials(study.id)

    assert list(map(repr, wanted)) == list(map(repr, read))


@ON_BOTH
def test_the_list_is_what_optuna_has_and_states_are_chosen(
    store: StudyStore, study: StudyRef, plain: RDBStorage
) -> None:
    """Ids, numbers and states, by number."""
    for _ in live(store, study):
        pass
    wanted = plain.get_all_trials(study.id)

    listed = store.storage.list_trials(study.id)

    def numbers(*states: TrialState) -> list[int]:
        return [each.number for each in store.storage.get_all_trials(study.id, states=states)]

    assert [(trial.number, trial.state) for trial in wanted] == [
        (each.number, each.state) for each in listed
    ]
    assert wanted == [store.storage.get_trial(each.trial_id) for each in listed]
    assert [0] == numbers(TrialState.COMPLETE)
    assert [0, 1] == numbers(TrialState.COMPLETE, TrialState.PRUNED)
    assert [2, 3] == numbers(TrialState.WAITING)


def test_a_deleted_study_is_forgotten_and_a_copy_may_be_changed(
    store: StudyStore, study: StudyRef
) -> None:
    copied = store.storage.get_all_trials(study.id, deepcopy=True)
    copied[0].user_attrs["slot"] = 99
    assert 0 == store.storage.get_all_trials(study.id)[0].user_attrs["slot"]

    store.storage.delete_study(study.id)

    assert [] == store.storage.list_trials(study.id)


RETRIED = BaseStorage.__abstractmethods__ - {"create_new_trial", "remove_session"} | {"list_trials"}


def test_every_call_of_optunas_storage_is_retried() -> None:
    """A call without a retry would fail while a database restarts."""

    def interrupted(_: object) -> object:
        raise ConnectionAbortedError

    storage = PatientStorage(Mock(), interrupted)  # type: ignore[arg-type]
    for name in RETRIED:
        method = getattr(storage, name)
        required = [
            1 for each in signature(method).parameters.values() if each.default is each.empty
        ]
        with pytest.raises(ConnectionAbortedError):
            method(*required)


def test_retried_calls_are_those_of_the_backend() -> None:
    backend = Mock()
    storage = PatientStorage(backend, lambda call: call())  # type: ignore[arg-type]

    assert backend.get_trial.return_value is storage.get_trial(3)
    storage.set_trial_user_attr(3, "key", value=1)

    assert [call.get_trial(3), call.set_trial_user_attr(3, "key", value=1)] == backend.mock_calls
    assert BaseStorage.__abstractmethods__ <= vars(PatientStorage).keys()
