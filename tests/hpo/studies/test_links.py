"""Links from a study to its runs: attributes while a trial is open, notes after it has ended."""

import optuna
import pytest
from optuna.trial import Trial
from optuna_dashboard import get_note, save_note  # type: ignore[import-untyped]

from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.links import PAGE, RUN, Links, study_page, trial_page
from risexp.hpo.studies.study import StudyRef
from tests.support.worker_processes import claimed, draw, queue_of, train


@pytest.fixture
def links(store: StudyStore, study: StudyRef) -> Links:
    return Links(store, study)


def link(links: Links, number: int = 0) -> None:
    links.tell_trial(number, "abc", "http://host/#/experiments/1/runs/abc", "In MLflow: abc")


def handle(store: StudyStore, study: StudyRef) -> optuna.Study:
    return optuna.load_study(study_name=study.name, storage=store.storage)


def test_a_trial_that_waits_or_runs_has_its_run_as_attributes(
    store: StudyStore, study: StudyRef, links: Links
) -> None:
    claimed(queue_of(store, study)).suggest(draw)

    for number in (0, 1, 0):
        link(links, number)

    page = "http://host/#/experiments/1/runs/abc"
    for each in store.storage.list_trials(study.id)[:2]:
        attributes = store.storage.get_trial(each.trial_id).user_attrs
        assert ("abc", page) == (attributes[RUN], attributes[PAGE])
    assert ["study:metric_names"] == [*store.storage.get_study_system_attrs(study.id)]


def test_a_trial_that_has_ended_has_it_as_its_note(
    store: StudyStore, study: StudyRef, links: Links
) -> None:
    claim = claimed(queue_of(store, study))
    train(claim)

    link(links)
    link(links)

    assert "In MLflow: abc" == get_note(Trial(handle(store, study), claim.lease.trial_id))
    assert RUN not in store.storage.get_all_trials(study.id)[0].user_attrs


def test_the_note_of_a_study_is_written_once_and_that_of_a_person_stays(
    store: StudyStore, study: StudyRef, links: Links
) -> None:
    links.tell_study("In MLflow: def")
    before = store.storage.get_study_system_attrs(study.id)
    links.tell_study("In MLflow: def")

    assert "In MLflow: def" == get_note(handle(store, study))
    assert before == store.storage.get_study_system_attrs(study.id)

    save_note(handle(store, study), "my own words")
    links.tell_study("In MLflow: ghi")

    assert "my own words" == get_note(handle(store, study))


def test_pages_are_those_of_the_dashboard(study: StudyRef) -> None:
    assert f"/dashboard/studies/{study.id}" == study_page(study)
    assert f"/dashboard/studies/{study.id}/trials?numbers=7" == trial_page(study, 7)
