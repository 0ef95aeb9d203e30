"""Once: runs were RUNNING for ever or FINISHED after a crash, and pruned ones were FAILED."""

from pathlib import Path

import pytest

from risexp.app.search.study_record import close_used_up, study_labels
from risexp.errors import TrainingAborted
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.studies.table import StudyTable, TrialRow
from risexp.runs.folder import find_run
from risexp.runs.outcome import Outcome, aborted, complete, failed, pruned, signalled
from risexp.tracking.client import TrackingClient
from risexp.tracking.stores import TrackingStore, embedded
from tests.support.uploads import finished, new_run, place, sent, stored, train

STUDY = StudyRef("toy", 1, "0123456789abcdef", 1, {})


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrackingStore:
    """An embedded store."""
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    return place(embedded())


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (complete("finished", 3), "FINISHED"),
        (pruned("others are better"), "KILLED"),
        (aborted(TrainingAborted("no better than a guess", guard="chance")), "KILLED"),
        (failed(ZeroDivisionError("a crash")), "FAILED"),
        (signalled(15), "RUNNING"),
    ],
    ids=lambda each: each.status if isinstance(each, Outcome) else None,
)
def test_every_end_has_a_status_of_its_own(
    store: TrackingStore, outcome: Outcome, status: str
) -> None:
    folder = finished("run", outcome)

    sent(folder, store, TrackingClient(store))

    assert status == stored(folder, store).info.status


def test_a_killed_run_says_that_it_was_and_is_not_finished(store: TrackingStore) -> None:
    folder = new_run("killed")
    train(folder)

    sent(folder, store, TrackingClient(store), live=False)

    run = stored(folder, store)
    assert ("RUNNING", "interrupted") == (run.info.status, run.data.tags["risexp.state"])


def test_the_run_of_a_trial_whose_attempts_all_died_does_not_run_for_ever(
    store: TrackingStore,
) -> None:
    folder, runs = (
        new_run("toy-000", labels=study_labels(STUDY, None, store)),
        TrackingClient(store),
    )
    train(folder)
    sent(folder, store, runs, live=True)
    before = stored(folder, store).info.status
    row = TrialRow(0, "failed", "attempts", 3, 3, 3.5, 3.25, None, {}, None)

    close_used_up(StudyTable("toy", 1, None, (row,)))
    sent(find_run("toy-000"), store, runs)

    assert ("RUNNING", "FAILED") == (before, stored(folder, store).info.status)
