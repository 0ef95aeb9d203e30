"""Once: MLflow kept an infinite score as 1.8e308, and it came first in every ranking of runs."""

import math
import sys

import pytest
from mlflow import MlflowClient

from risexp.runs.journal_writer import Journal
from risexp.runs.outcome import complete
from risexp.tracking.client import TrackingClient
from risexp.tracking.stores import TrackingStore
from tests.support.uploads import ask, held, new_run, sent, stored, train


def test_scores_that_are_no_numbers_are_counted_and_named_and_not_sent(
    tracking_store: TrackingStore,
) -> None:
    client = MlflowClient(tracking_store.uri)
    plain = client.create_run(client.create_experiment("as it once was")).info.run_id
    client.log_metric(plain, "best/k_loc", math.inf)
    ((kept,),) = ask(tracking_store, "SELECT value FROM metrics")
    folder = new_run("planted")
    train(folder)
    planted = {"val/k_loc": math.inf, "best/k_loc": -math.inf, "val/range_rmse": math.nan}
    Journal(folder.journal, folder.run_id).write(4, {**planted, "beta": 0.5})
    folder.close(complete("finished", 4))

    sent(folder, tracking_store, TrackingClient(tracking_store))

    run, values = stored(folder, tracking_store), held(folder, tracking_store)
    last = {key: value for key, step, _, value in values if step == 4}
    assert pytest.approx(sys.float_info.max) == kept
    assert {"beta": 0.5, "guard/nonfinite": 3.0} == last
    assert all(abs(value) < 1e300 for *_, value in values)
    assert 3.25 == run.data.metrics["best/k_loc"]
    said = "epoch 4: val/k_loc = inf, best/k_loc = -inf, val/range_rmse = nan"
    assert said == run.data.tags["risexp.nonfinite"]
