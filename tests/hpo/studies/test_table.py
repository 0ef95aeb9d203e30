"""How a study stands, as rows: what each trial had, reported and came to."""

import json
from dataclasses import replace

import pytest

from risexp.hpo.search.parameters import suggest
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.hosts import HostNote
from risexp.hpo.studies.study import StudyRef, end_study
from risexp.hpo.studies.table import StudyTable, TrialRow, study_table
from risexp.hpo.trials.claim import Claim
from risexp.hpo.trials.reaper import Reaper
from risexp.hpo.trials.trial_result import TrialResult, unsound
from tests.support.toy_workers import TOY_SPEC, searched
from tests.support.worker_processes import claimed, queue_of


@pytest.fixture
def study(store: StudyStore) -> StudyRef:
    return searched(store, 5)


def claim(store: StudyStore, study: StudyRef) -> Claim:
    return claimed(queue_of(store, study))


def row(number: int, value: float | None = None) -> TrialRow:
    state = "waiting" if value is None else "complete"
    return TrialRow(number, state, None, 0, 0, None, None, value, {}, None)  # type: ignore[arg-type]


def test_each_trial_is_shown_as_it_stands(store: StudyStore, study: StudyRef) -> None:
    table = study_table(store, study)
    assert (5, 0, 0, False) == (table.wanted, table.done, table.epochs, table.over)
    assert (None, None, None) == (table.best, table.lowest, table.ended)
    assert TrialRow(0, "waiting", None, 0, 0, None, None, None, {}, None) == table.trials[0]

    for scores, ending in (
        ([5.0, 3.0, 4.0], TrialResult("complete", "finished", 3.0)),
        ([6.0], TrialResult("pruned", "pruned")),
        ([], unsound("chance")),
        ([], TrialResult("failed", "ValueError")),
    ):
        held = claim(store, study)
        drawn = held.suggest(lambda trial: suggest(TOY_SPEC, trial))
        for epoch, score in enumerate(scores, start=1):
            held.report(epoch, score)
        held.finish(ending)
        assert drawn == study_table(store, study).trials[held.number].values
    claim(store, study).report(1, 9.0)

    table = study_table(store, study)

    shown = [(each.state, each.reason, each.epoch, each.k_loc, each.best) for each in table.trials]
    assert [
        ("complete", "finished", 3, 4.0, 3.0),
        ("pruned", "pruned", 1, 6.0, 6.0),
        ("pruned", "chance", 0, None, None),
        ("failed", "ValueError", 0, None, None),
        ("running", None, 1, 9.0, 9.0),
    ] == shown
    assert [3.0, None, None, None, None] == [each.value for each in table.trials]
    assert (4, 5, False) == (table.done, table.epochs, table.over)
    assert (True, False) == tuple(table.trials[n].seconds is not None for n in (0, 4))
    document = json.loads(json.dumps(table.as_json(), allow_nan=False))
    assert ("toy", 5, None, 0, 5) == tuple(
        document[name] for name in ("study", "wanted", "ended", "best", "epochs")
    )
    assert TOY_SPEC.base_values() == document["trials"][0]["values"]


def test_attempts_are_counted_and_the_end_of_a_study_and_added_trials_are_seen(
    store: StudyStore, study: StudyRef
) -> None:
    first = claim(store, study)
    Reaper(queue_of(store, study).leases, study).abandon(first.lease.owner)
    claim(store, study)
    end_study(store, study, "stopped by hand")
    store.storage.create_new_trial(study.id)

    table = study_table(store, study)

    assert [2, 0, 0, 0, 0, 0] == [each.attempts for each in table.trials]
    assert ("stopped by hand", "running") == (table.ended, table.trials[5].state)


def test_the_best_is_the_first_of_the_lowest() -> None:
    table = StudyTable("toy", 4, None, (row(0, 2.0), row(1, 1.0), row(2, 1.0), row(3)))

    assert (1, 1.0) == (table.best and table.best.number, table.lowest)
    assert not table.over
    assert replace(table, trials=table.trials[:3]).over


def test_it_says_how_attempts_ended_and_which_hosts_cannot_go_on(
    store: StudyStore, study: StudyRef
) -> None:
    leases = queue_of(store, study).leases
    Reaper(leases, study).abandon(claim(store, study).lease.owner)
    claim(store, study).release("environment")
    note = HostNote(store, study, "far")
    note.set("no room")

    table = study_table(store, study)

    first = table.trials[0]
    assert (("died", "environment"), "environment") == (first.ends, first.reason)
    assert {"far": "no room"} == table.waits == table.as_json()["waits"]
    note.set(None)
    assert {} == study_table(store, study).waits
