from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.study import StudyRef, end_study
from risexp.hpo.trials.invariants import TrialSnapshot
from risexp.hpo.trials.queue import Queue
from risexp.hpo.trials.snapshot import study_snapshot
from risexp.hpo.trials.trial_result import TrialResult, unsound
from tests.support.statements import statements
from tests.support.worker_processes import claimed, draw, toy_study


def test_a_snapshot_of_more_trials_takes_no_more_statements(store: StudyStore) -> None:
    counts = []
    for trials in (2, 40):
        study = toy_study(store, trials)
        with statements(store) as executed:
            assert trials == len(study_snapshot(store, study).trials)
        counts.append(len(executed))

    assert counts[0] == counts[1]


def test_a_snapshot_shows_the_stored_study(
    store: StudyStore, study: StudyRef, queue: Queue
) -> None:
    first = claimed(queue)
    x, y = first.suggest(draw)
    first.release()
    first = claimed(queue)
    first.suggest(draw)
    first.report(1, 0.25)
    first.finish(TrialResult("complete", "early-stop", 0.25))
    pruned = claimed(queue)
    pruned.report(1, 0.75)
    pruned.finish(unsound("collapse"))
    claimed(queue)
    end_study(store, study, "stopped")

    record = study_snapshot(store, study)

    assert ("toy", 4, frozenset({2, 3})) == (record.name, record.wanted, record.left)
    drawn = {"x": x, "y": y}
    assert record.trials[0] == TrialSnapshot(
        number=0,
        slot=0,
        state="complete",
        value=0.25,
        reason="early-stop",
        reports={1: 0.25},
        parameters=drawn,
        tried={1: drawn, 2: drawn},
        held=False,
    )
    assert ("pruned", None, "collapse") == (
        record.trials[1].state,
        record.trials[1].value,
        record.trials[1].reason,
    )
    assert ("running", True, {}) == (
        record.trials[2].state,
        record.trials[2].held,
        record.trials[2].tried,
    )
    assert "waiting" == record.trials[3].state
