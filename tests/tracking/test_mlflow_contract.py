"""What we rely on in MLflow beyond its promises: replays, and what a ranking goes by."""

from collections.abc import Sequence

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

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


def test_rows_that_are_sent_again_are_there_once_but_with_another_time_twice(
    client: MlflowClient, run: str
) -> None:
    rows = [row(4.0, 1), row(3.0, 2)]

    client.log_batch(run, metrics=rows)
    client.log_batch(run, metrics=[*rows, row(2.5, 3)])

    assert [(1, 1000, 4.0), (2, 1000, 3.0), (3, 1000, 2.5)] == history(client, run)
    client.log_batch(run, metrics=[row(2.5, 3, time=1001)])
    assert 4 == len(history(client, run))


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
