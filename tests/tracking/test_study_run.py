"""The run of a study: one, whoever is first, above those of its trials."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from risexp.runs.labels import Labels, Parent
from risexp.tracking.attempt import Failure
from risexp.tracking.client import TrackingClient
from risexp.tracking.stores import TrackingStore, store_named
from risexp.tracking.study_run import Saying, say_of_parent
from tests.support.uploads import (
    finished,
    sent,
    stored,
)

pytestmark = pytest.mark.usefixtures("own_home")


def test_a_trial_is_a_child_of_its_study_with_what_was_searched(
    store: TrackingStore, runs: TrackingClient
) -> None:
    parent = Parent("wide", "wide@1700000000000", 1_700_000_000_000)
    searched = {"training.optimizer.lr": 0.02, "count.kind": "ordinal"}
    trials = [
        finished(
            f"wide-00{number}",
            labels=Labels(
                study="wide",
                trial=number,
                parent=parent,
                searched=searched,
                tags={"risexp.space_sha": "abc"},
                note="[trial](http://127.0.0.1:8080/dashboard)",
            ),
        )
        for number in (1, 2)
    ]

    for folder in trials:
        sent(folder, store, runs)

    first, second = (stored(folder, store) for folder in trials)
    assert first.data.tags["mlflow.parentRunId"] == second.data.tags["mlflow.parentRunId"]
    above = MlflowClient(store.uri).get_run(first.data.tags["mlflow.parentRunId"])
    assert ("wide", 1_700_000_000_000) == (above.info.run_name, above.info.start_time)
    assert ("wide", "1", "trial", "abc") == tuple(
        first.data.tags[f"risexp.{name}"] for name in ("study", "trial", "kind", "space_sha")
    )
    expected = {"training.optimizer.lr": "0.02", "count.kind": "ordinal", "trial": "1"}
    assert expected == first.data.params
    assert first.data.tags["mlflow.note.content"].startswith("[trial](http")


def test_a_study_is_told_of_before_and_after_its_trials_in_one_run(
    store: TrackingStore, runs: TrackingClient, own_home: Path
) -> None:
    parent = Parent("narrow", "narrow@1", 1_000)
    place = own_home / "mlruns" / "runs"
    place.mkdir(parents=True)
    begun = say_of_parent(store, place, parent, Saying(params={"trials": "24"}))
    trial = finished("narrow-001", labels=Labels(study="narrow", trial=1, parent=parent))
    sent(trial, store, runs)
    last = Saying("KILLED", 9_000, tags={"risexp.reason": "stopped"}, files={"a.txt": b"a"})

    ended = say_of_parent(store, place, parent, last)

    assert not isinstance(begun, Failure)
    assert begun == ended == stored(trial, store).data.tags["mlflow.parentRunId"]
    above = MlflowClient(store.uri).get_run(begun)
    assert ("KILLED", 9_000) == (above.info.status, above.info.end_time)
    assert ("stopped", "24") == (above.data.tags["risexp.reason"], above.data.params["trials"])


def test_a_study_on_a_server_that_is_away_is_told_of_later(own_home: Path) -> None:
    away = store_named("http://127.0.0.1:9")

    said = say_of_parent(away, own_home, Parent("wide", "wide@1", 1), Saying())

    assert isinstance(said, Failure)
    assert "the store does not answer (connection refused)" == said.sentence
