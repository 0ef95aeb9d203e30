"""MLflow's pages behind the guard: blocked paths, links to the dashboard, a first view of runs."""

import json
import re
from collections.abc import Mapping
from functools import partial, wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.types import ASGIApp, Scope

from risexp.web.guard import RequestGuard
from risexp.web.guarded_app import GuardedApp, LinkedApp, Rewrite

if TYPE_CHECKING:
    from flask import Flask

STUDIES: Final = "/dashboard"
"""Path under which MLflow leads to the dashboard of studies."""
_TRIAL: Final = re.compile(rb"`(/dashboard/studies/[0-9]+/trials\?numbers=([0-9]+))`")
_STUDY: Final = re.compile(rb"`(/dashboard/studies/([0-9]+))`")
_PROGRAMS: Final = (
    "assistant|demo|gateway|gateway-proxy|genai|issues|jobs|mcp-servers|prompt-optimization|"
    "scorers?|webhooks"
)
_BLOCKED: Final = re.compile(
    rf"/(?:ajax-)?api/[0-9.]+/(?:mlflow/)?(?:{_PROGRAMS})(?:/.*)?|/gateway/.*"
)
"""Paths that run programs or send requests to others."""
_BROWSER: Final[Mapping[str, object]] = {
    # Otherwise MLflow shows chats, and a panel that offers an assistant.
    "mlflow.workflowType_v1": "machine_learning",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,
}
_RUNS: Final[Mapping[str, object]] = {
    "orderByKey": "metrics.`best/k_loc`",
    "orderByAsc": True,
    "selectedColumns": [
        "attributes.`Duration`",
        "metrics.`best/k_loc`",
        "metrics.`best/k_acc`",
        "metrics.`best/success_rate`",
        "tags.`risexp.state`",
        "tags.`risexp.reason`",
    ],
}
"""Order and columns of the runs of an experiment."""


def guarded_mlflow(
    pages: ASGIApp, guard: RequestGuard, dashboard_port: int | None, experiment: str | None
) -> ASGIApp:
    """MLflow's application behind the guard, linked to the dashboard of studies, if it listens.

    A new browser lists the experiment with MLflow's id `experiment`, the best run first.
    """

    def target(scope: Scope) -> str:
        query = scope["query_string"].decode("latin-1")
        return f"{quote(scope['path'])}{'?' if query else ''}{query}"

    def rewrite(scope: Scope) -> Rewrite | None:
        if scope["path"] == "/":
            return "text/html", partial(with_first_view, experiment=experiment)
        return None if dashboard_port is None else ("application/json", _with_links)

    linked = LinkedApp(pages, STUDIES, target, dashboard_port, rewrite)
    # MLflow shows files of a run in frames of its own.
    return GuardedApp(linked, guard, is_blocked, own_frames=True)


def is_blocked(path: str) -> bool:
    """True for a path that runs a program or sends requests to others."""
    return _BLOCKED.fullmatch(path) is not None


def explain_bad_queries(pages: "Flask") -> None:
    """Let MLflow's pages answer a body that is no query with a 400, where they would fail."""
    from graphql import GraphQLError

    view = pages.view_functions["_graphql"]

    @wraps(view)
    def explained() -> Any:  # noqa: ANN401 - as Flask has it
        try:
            return view()
        except (AttributeError, TypeError, GraphQLError):
            return {"reason": "this request holds no query"}, HTTPStatus.BAD_REQUEST

    pages.view_functions["_graphql"] = explained


def mlflow_settings(guard: RequestGuard) -> dict[str, str]:
    """Environment variables that MLflow reads when it is imported: its hosts, and no jobs.

    MLflow's own check of hosts comes after the guard's, and is a second one.
    """
    names = [each for name in guard.names for each in (name, f"{name.replace('[', '[[]')}:*")]
    numbers = ["[0-9]*.[0-9]*.[0-9]*.[0-9]*", "[[]*:*"] if guard.addresses else []
    return {
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(names + numbers),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
    }


def _with_links(document: bytes) -> bytes:
    """JSON whose notes link to pages of the dashboard that they name."""
    linked = _TRIAL.sub(rb"[trial \2](\1)", document)
    return _STUDY.sub(rb"[study \2](\1)", linked)


def with_first_view(page: bytes, experiment: str | None) -> bytes:
    """MLflow's HTML page with defaults for a new browser; what a person has chosen there stays."""
    first = dict(_BROWSER)
    if experiment is not None:
        first[f'MLflowLocalStorage-1.1-ExperimentPage-["{experiment}"]-ReactComponentState'] = _RUNS
    stored = json.dumps({key: json.dumps(value) for key, value in first.items()})
    script = (
        f"for (const [key, value] of Object.entries({stored})) "
        "if (localStorage.getItem(key) === null) localStorage.setItem(key, value);"
    )
    return page.replace(b"</title>", b"</title><script>" + script.encode() + b"</script>", 1)
