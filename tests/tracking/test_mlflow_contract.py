"""What we rely on in MLflow beyond its promises: replays, statuses, what a ranking goes by."""

import math
from collections.abc import Sequence

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from risexp.tracking.stores import TrackingStore

KEY = "val/k_loc"


@pytest.fixture(scope="session")
def client(store: TrackingStore) -> MlflowClient:
    return MlflowClient(store.uri)


@pytest.fixture
def experiment(client: MlflowClient, request: pytest.FixtureRequest) -> str:
    return str(client.create_experiment(f"contract {request.node.name}"))


@pytest.fixture
def run(client: MlflowClient, experiment: str) -> str:
    return str(client.create_run(experiment).info.run_id)


def row(value: float, step: int, time: int = 1000) -> Metric:
    return Metric(KEY, value, time, step)


def history(client: MlflowClient, run: str) -> list[tuple[int, int, float]]:
    return [(each.step, each.timestamp, each.value) for each in client.get_metric_history(run, KEY)]


def test_rows_that_are_sent_again_are_there_once(client: MlflowClient, run: str) -> None:
    rows = [row(4.0, 1), row(3.0, 2)]

    client.log_batch(run, metrics=rows)
    client.log_batch(run, metrics=[*rows, row(2.5, 3)])

    assert [(1, 1000, 4.0), (2, 1000, 3.0), (3, 1000, 2.5)] == history(client, run)


def test_a_step_that_is_sent_with_another_time_is_there_twice(
    client: MlflowClient, run: str
) -> None:
    client.log_batch(run, metrics=[row(4.0, 1, time=1000)])
    client.log_batch(run, metrics=[row(4.0, 1, time=1001)])

    assert 2 == len(history(client, run))


def test_the_value_of_a_run_is_that_of_its_highest_step(client: MlflowClient, run: str) -> None:
    client.log_batch(run, metrics=[row(3.0, 2, time=1000)])
    client.log_batch(run, metrics=[row(9.0, 1, time=5000)])

    assert 3.0 == client.get_run(run).data.metrics[KEY]


def test_runs_are_ranked_by_their_values_and_those_without_one_come_last(
    client: MlflowClient, experiment: str
) -> None:
    def made(values: Sequence[float]) -> str:
        run = client.create_run(experiment).info.run_id
        client.log_batch(run, metrics=[row(value, step) for step, value in enumerate(values)])
        return str(run)

    late, early, nothing = made([9.0, 3.0]), made([1.0, 4.0]), made([])

    ranked = client.search_runs([experiment], order_by=[f"metrics.`{KEY}` ASC"])

    assert [late, early, nothing] == [each.info.run_id for each in ranked]


def test_an_infinite_value_would_be_a_number_that_tops_a_ranking(
    client: MlflowClient, run: str
) -> None:
    """Why none is ever sent."""
    client.log_batch(run, metrics=[row(math.inf, 1)])

    assert 1e308 < client.get_run(run).data.metrics[KEY] < math.inf


def test_a_run_that_has_ended_can_run_again_and_end_otherwise(
    client: MlflowClient, run: str
) -> None:
    client.set_terminated(run, "FAILED", end_time=2000)
    client.update_run(run, status="RUNNING")
    client.log_batch(run, metrics=[row(3.0, 1)])

    assert "RUNNING" == client.get_run(run).info.status

    client.set_terminated(run, "FINISHED", end_time=3000)

    info = client.get_run(run).info
    assert ("FINISHED", 3000) == (info.status, info.end_time)


def test_a_run_that_has_ended_takes_further_rows(client: MlflowClient, run: str) -> None:
    client.set_terminated(run, "FINISHED")

    client.log_batch(run, metrics=[row(3.0, 1)])

    assert [(1, 1000, 3.0)] == history(client, run)


def test_a_param_may_be_said_again_and_not_changed(client: MlflowClient, run: str) -> None:
    client.log_batch(run, params=[Param("lr", "0.1")])
    client.log_batch(run, params=[Param("lr", "0.1")])

    with pytest.raises(MlflowException, match="lr"):
        client.log_batch(run, params=[Param("lr", "0.2")])

    assert {"lr": "0.1"} == client.get_run(run).data.params


def test_names_are_no_identity_and_tags_find_a_run(client: MlflowClient, experiment: str) -> None:
    runs = [
        client.create_run(experiment, run_name="same", tags={"risexp.uid": uid})
        for uid in ("one", "two")
    ]

    found = client.search_runs([experiment], "tags.`risexp.uid` = 'two'")

    assert [runs[1].info.run_id] == [each.info.run_id for each in found]


def test_a_deleted_run_is_not_found_and_takes_nothing(
    client: MlflowClient, experiment: str, run: str
) -> None:
    client.delete_run(run)

    assert [] == list(client.search_runs([experiment]))
    with pytest.raises(MlflowException, match="active"):
        client.log_batch(run, metrics=[row(3.0, 1)])
