"""Histories of one metric of many runs in one request, by what MLflow's own page uses.

MLflow's client has no such call. Its database store has a method, and its server a route.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ROUTE: Final = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"

Row = tuple[str, float, int, int]
"""Run, value, time and step of a point."""


def bulk_history(
    client: "MlflowClient", run_ids: Sequence[str], key: str, most: int
) -> list[Row] | None:
    """At most `most` points of a metric of these runs; None if the store knows no such request."""
    # MLflow's store of a client; a version without it is asked run by run.
    store: Any = getattr(getattr(client, "_tracking_client", None), "store", None)
    if hasattr(store, "get_metric_history_bulk"):
        found = store.get_metric_history_bulk(run_ids, key, most)
        return [_row(each.to_dict()) for each in found]
    if hasattr(store, "get_host_creds"):
        return _from_server(store.get_host_creds(), run_ids, key, most)
    return None


def _from_server(
    credentials: Any,  # noqa: ANN401 - MLflow's own type
    run_ids: Sequence[str],
    key: str,
    most: int,
) -> list[Row] | None:
    from mlflow.utils.rest_utils import http_request, verify_rest_response

    asked = {"run_id": [*run_ids], "metric_key": key, "max_results": most}
    answer: Any = cast("Any", http_request)(credentials, _ROUTE, "GET", params=asked)
    if answer.status_code in {404, 405, 501}:
        return None
    verify_rest_response(answer, _ROUTE)
    return [_row(each) for each in answer.json()["metrics"]]


def _row(point: dict[str, Any]) -> Row:
    value, time, step = point["value"], point["timestamp"], point["step"]
    return str(point["run_id"]), float(value), int(time), int(step)
