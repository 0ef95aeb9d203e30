"""MLflow's pages behind the guard: blocked paths, links to the dashboard, and the first view."""

import json
import re
import warnings
from importlib import import_module

import pytest

from risexp.web.guard import RequestGuard, guard_at
from risexp.web.mlflow_app import (
    explain_bad_queries,
    guarded_mlflow,
    is_blocked,
    mlflow_settings,
    with_first_view,
)
from risexp.web.mlflow_server import CHILD_SETTINGS, ChildSettings
from tests.support.web_requests import Answer, Pages, request

TOKEN = "0123456789abcdef-a-token"  # noqa: S105 - opens nothing
NOTE = "In optuna-dashboard: `/dashboard/studies/1/trials?numbers=7`, study `/dashboard/studies/1`"
OPEN = {
    *("artifacts", "datasets", "experiments", "get-online-trace-details", "get-trace-artifact"),
    *("label-schemas", "logged-models", "metrics", "model-versions", "registered-models"),
    *("review-queues", "runs", "server-info", "traces", "ui-telemetry", "unified-traces"),
    *("upload-artifact", "workspaces"),
}
"""Groups of MLflow's routes that only keep and show what was sent to them."""
RUNS = re.compile(r"invoke|invocation|job|gateway|assistant|webhook|genai|scorer|generate")
"""Words in the routes that run something."""


def answer(pages: Pages, path: str = "/", port: int | None = 8080, **more: str) -> Answer:
    """The answer of MLflow's pages behind an open guard."""
    return request(guarded_mlflow(pages, RequestGuard(writable=True), port, "1"), path, **more)


def test_notes_link_to_the_dashboard_if_there_is_one_and_files_stay_as_they_are() -> None:
    body = json.dumps({"tags": [{"key": "mlflow.note.content", "value": NOTE}]}).encode()

    _, headers, text = answer(Pages("application/json", body), "/ajax-api/2.0/mlflow/runs/get")

    note = json.loads(text)["tags"][0]["value"]
    trial = "[trial 7](/dashboard/studies/1/trials?numbers=7)"
    assert f"In optuna-dashboard: {trial}, study [study 1](/dashboard/studies/1)" == note
    assert str(len(text)) == headers["content-length"]
    assert "SAMEORIGIN" == headers["x-frame-options"]
    for kind, port in (("text/html", 8080), ("application/json", None)):
        _, _, text = answer(Pages(kind, NOTE.encode()), "/get-artifact", port)
        assert NOTE.encode() == text


def test_a_page_of_the_dashboard_is_on_the_host_of_the_request() -> None:
    page = "/dashboard/studies/1/trials?numbers=7"

    status, headers, _ = answer(Pages(), page, 8081, host="localhost:5000")

    assert (302, f"http://localhost:8081{page}") == (status, headers["location"])


@pytest.mark.fault("F20")
def test_a_body_that_is_no_query_is_refused_and_a_query_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = import_module("mlflow.server").app
    monkeypatch.setattr(views, "view_functions", dict(views.view_functions))
    explain_bad_queries(views)

    def status(body: object) -> int:
        code: int = views.test_client().post("/graphql", json=body).status_code
        return code

    bad: tuple[object, ...] = (
        [],
        7,
        "x",
        None,
        {},
        {"query": None},
        {"query": 7},
        {"query": "{"},
        {"query": ["{a}"]},
    )
    assert [400] * len(bad) == [status(body) for body in bad]
    assert 200 == status({"query": "{ __typename }"})


def test_blocked_paths_are_refused_for_every_method() -> None:
    pages = Pages()
    for path in ("/ajax-api/3.0/mlflow/assistant/chat", "/ajax-api/3.0/jobs/1", "/gateway/proxy"):
        for method in ("GET", "POST"):
            assert 403 == answer(pages, path, method=method)[0]

    assert [] == pages.requests


def test_a_new_browser_starts_with_runs_and_keeps_what_was_chosen() -> None:
    page = with_first_view(b"<head><title>MLflow</title></head>", "7").decode()
    pages = Pages("text/html", b"<title></title>")

    (_, _, first), (_, _, other) = answer(pages), answer(pages, "/get-artifact")

    assert '\\"machine_learning\\"' in page
    assert 'ExperimentPage-[\\"7\\"]-ReactComponentState' in page
    assert "getItem(key) === null" in page
    assert "ExperimentPage" not in with_first_view(b"<title></title>", None).decode()
    assert b"no page" == with_first_view(b"no page", "7")
    assert (True, b"<title></title>") == (b"<script>" in first, other)


def test_mlflow_itself_knows_its_hosts_and_runs_no_jobs() -> None:
    here = mlflow_settings(RequestGuard())
    guard = guard_at("192.0.2.1", ("desk.example",), TOKEN, writable=True)

    assert "localhost:*" in here["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert "*" not in here["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    everywhere = mlflow_settings(guard)["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert {"desk.example:*", "[0-9]*.[0-9]*.[0-9]*.[0-9]*"} <= {*everywhere}
    assert "false" == here["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"]


def test_the_settings_of_the_child_are_read_back_and_show_no_secret() -> None:
    guard = guard_at("192.0.2.1", (), TOKEN, writable=True)
    child = ChildSettings(3, guard, "postgresql://me:secret@host/runs", "file:///a", 8080)

    assert child == CHILD_SETTINGS.validate_json(CHILD_SETTINGS.dump_json(child))
    assert TOKEN not in repr(child)
    assert "secret" not in repr(child)


@pytest.fixture(scope="module")
def routes() -> set[str]:
    """All routes of this MLflow, with a 1 for each variable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what MLflow's server imports is its own affair
        from mlflow.server import app as pages
        from mlflow.server.fastapi_app import app

        found = [*(rule.rule for rule in pages.url_map.iter_rules()), *app.openapi()["paths"]]
    return {re.sub(r"<[^>]*>|\{[^}]*\}", "1", each) for each in found}


def test_all_routes_that_run_something_are_blocked(routes: set[str]) -> None:
    running = [each for each in routes if RUNS.search(each)]

    assert len(running) > 50
    assert [] == [each for each in running if not is_blocked(each)]


def test_the_open_routes_only_keep_and_show(routes: set[str]) -> None:
    group = re.compile(r"/(?:ajax-)?api/[0-9.]+/mlflow/([^/]+)")
    found = {each: group.match(each) for each in routes}
    pages = {"/", "/graphql", "/get-artifact", "/api/2.0/mlflow-artifacts/artifacts/1"}

    assert OPEN == {name[1] for each, name in found.items() if name and not is_blocked(each)}
    assert pages <= routes
    assert [] == [each for each in pages if is_blocked(each)]
