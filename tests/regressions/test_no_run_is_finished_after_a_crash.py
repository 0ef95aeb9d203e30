"""Once: runs were RUNNING for ever or FINISHED after a crash, and pruned ones were FAILED."""

from risexp.app.search.study_record import close_used_up, study_labels
from risexp.errors import TrainingAborted
from risexp.hpo.studies.study import StudyRef
from risexp.hpo.studies.table import StudyTable, TrialRow
from risexp.runs.folder import find_run
from risexp.runs.journal import read_journal
from risexp.runs.outcome import aborted, complete, failed, pruned, signalled
from risexp.tracking.client import TrackingClient
from risexp.tracking.stores import TrackingStore
from tests.support.uploads import finished, new_run, sent, stored, train

STUDY = StudyRef("toy", 1, "0123456789abcdef", 1, {})
CHANCE = TrainingAborted("no better than a guess", guard="chance")


def test_every_end_has_a_status_and_a_reason_of_its_own(tracking_store: TrackingStore) -> None:
    for outcome, status, reason in (
        (complete("early-stop", 3), "FINISHED", "early-stop"),
        (pruned("others are better"), "KILLED", "pruned"),
        (aborted(CHANCE), "KILLED", "chance"),
        (failed(ZeroDivisionError("a crash")), "FAILED", "ZeroDivisionError"),
        (signalled(15), "RUNNING", "interrupted"),
    ):
        folder = finished(f"ended-{reason}", outcome)

        sent(folder, tracking_store, TrackingClient(tracking_store))

        run, lines = stored(folder, tracking_store), read_journal(folder.journal).lines
        assert (status, reason) == (run.info.status, run.data.tags["risexp.reason"])
        assert outcome.status == run.data.tags["risexp.state"]
        assert lines[0].time == run.info.start_time
        assert status == "RUNNING" or lines[-1].time == run.info.end_time


def test_the_run_of_a_trial_whose_attempts_all_died_does_not_run_for_ever(
    tracking_store: TrackingStore,
) -> None:
    runs = TrackingClient(tracking_store)
    folder = new_run("toy-000", labels=study_labels(STUDY, None, tracking_store))
    train(folder)
    sent(folder, tracking_store, runs, live=True)
    before = stored(folder, tracking_store).info.status
    row = TrialRow(0, "failed", "attempts", 3, 3, 3.5, 3.25, None, {}, None)

    close_used_up(StudyTable("toy", 1, None, (row,)))
    sent(find_run("toy-000"), tracking_store, runs)

    assert ("RUNNING", "FAILED") == (before, stored(folder, tracking_store).info.status)
