"""Once: runs were RUNNING for ever or FINISHED after a crash, and pruned ones were FAILED."""

from risexp.app.search.study_record import close_used_up, study_labels
from risexp.errors import TrainingAborted
from risexp.hpo.studies.study import StudyRef, TrialWord
from risexp.hpo.studies.table import StudyTable, TrialRow
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


def test_the_runs_of_trials_whose_attempts_all_died_do_not_run_for_ever(
    tracking_store: TrackingStore,
) -> None:
    runs, labels = TrackingClient(tracking_store), study_labels(STUDY, None, tracking_store)
    done, *dead = folders = [new_run(f"toy-00{number}", labels=labels) for number in range(3)]
    for folder in folders:
        train(folder)
        sent(folder, tracking_store, runs, live=True)
    before = [stored(folder, tracking_store).info.status for folder in folders]
    done.close(complete("finished", 3))
    ends: list[tuple[TrialWord, str]] = [
        ("complete", "finished"),
        ("failed", "attempts"),
        ("failed", "hung"),
    ]
    rows = [
        TrialRow(number, *end, 3, 3, 3.5, 3.25, None, {}, None) for number, end in enumerate(ends)
    ]

    close_used_up(StudyTable("toy", 3, None, tuple(rows)))
    for folder in folders:
        sent(folder, tracking_store, runs)

    after = [stored(folder, tracking_store).info.status for folder in folders]
    assert (["RUNNING"] * 3, ["FINISHED", "FAILED", "FAILED"]) == (before, after)
    assert complete("finished", 3) == done.outcome()
    for folder, row, said in zip(dead, rows[1:], ("see the workers' logs", "stacks-"), strict=True):
        outcome = folder.outcome()
        assert outcome is not None
        assert ("failed", row.reason) == (outcome.status, outcome.reason)
        assert said in outcome.sentence
