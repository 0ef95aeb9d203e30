"""Once: MLflow kept an infinite score as 1.8e308, and it came first in every ranking of runs."""

import math
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from risexp.runs.journal import Journal
from risexp.runs.outcome import complete
from risexp.tracking.client import TrackingClient
from risexp.tracking.stores import TrackingStore, embedded
from tests.support.uploads import ask, finished, held, new_run, place, sent, stored, train

NOT_FINITE = [math.inf, -math.inf, math.nan]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrackingStore:
    """An embedded store."""
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    return place(embedded())


def test_mlflow_itself_makes_a_number_of_infinity(store: TrackingStore) -> None:
    client = MlflowClient(store.uri)
    run = client.create_run(client.create_experiment("as it once was"))
    client.log_metric(run.info.run_id, "best/k_loc", math.inf)

    ((value,),) = ask(store, "SELECT value FROM metrics")

    assert value == pytest.approx(sys.float_info.max)


@pytest.mark.parametrize("value", NOT_FINITE)
def test_a_score_that_is_no_number_is_counted_and_named_and_not_sent(
    store: TrackingStore, value: float
) -> None:
    folder, runs = new_run("planted"), TrackingClient(store)
    train(folder)
    journal = Journal(folder.journal, folder.run_id)
    journal.write(4, {"val/k_loc": value, "best/k_loc": value, "beta": 0.5})
    folder.close(complete("finished", 4))
    sound = finished("sound")

    for each in (folder, sound):
        sent(each, store, runs)

    values = [each for *_, each in held(folder, store)]
    assert all(abs(each) < 1e300 for each in values)
    assert not [key for key, step, *_ in held(folder, store) if step == 4 and "k_loc" in key]
    run = stored(folder, store)
    assert 2.0 == run.data.metrics["guard/nonfinite"]
    assert f"best/k_loc = {value}" in run.data.tags["risexp.nonfinite"]
    assert stored(sound, store).data.metrics["best/k_loc"] == run.data.metrics["best/k_loc"]
