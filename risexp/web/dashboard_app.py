"""optuna-dashboard behind the guard: read only unless asked for, with links to MLflow.

The page of a trial links to its run through the path `/mlflow`, which leads to the MLflow that was
started beside the dashboard. What is stored is never changed, so it suits any server.
"""

import json
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from socket import socket
from typing import TYPE_CHECKING, Any, Final, Protocol, cast, runtime_checkable

from optuna_dashboard import wsgi  # type: ignore[import-untyped]
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.links import PAGE
from risexp.web.bad_requests import explain_bad_requests
from risexp.web.connections import CONNECTION_LIMITS, ConnectionLimits, WebServer, server_config
from risexp.web.guard import RequestGuard
from risexp.web.guarded_app import GuardedApp, LinkedApp, Rewrite, content_type, read_body

with warnings.catch_warnings():
    # Deprecated in favour of a package that MLflow does not bring, and used by MLflow itself.
    warnings.simplefilter("ignore")
    from starlette.middleware.wsgi import WSGIMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

RUNS: Final = "/mlflow"
"""Path under which the dashboard leads to MLflow."""
LARGEST: Final = 128 << 20
"""Largest body of a request, in bytes: the limit of optuna-dashboard itself."""
_DETAIL: Final = re.compile(r"/api/studies/[0-9]+/*")
_PAGE: Final = re.compile(r"#/experiments/([0-9]+)(?:/runs/([0-9A-Za-z-]+))?")
_QUOTED_PAGE: Final = re.compile(f"`({_PAGE.pattern})`")
_FAILED: Final = (
    "the store of studies does not answer, or not what this page can show: load it again, and see "
    "risexp doctor where that does not help"
)
_FORWARDED: Final = "HTTP_X_FORWARDED_"


def guarded_dashboard(store: StudyStore, guard: RequestGuard, mlflow_port: int | None) -> ASGIApp:
    """The dashboard of a store's studies behind the guard, linked to MLflow, if it listens.

    A request of the store that fails is not retried: the page can be loaded again.
    """
    if not guard.writable:
        _make_read_only(store.engine)

    def rewrite(scope: Scope) -> Rewrite | None:
        detail = scope["method"] == "GET" and _DETAIL.fullmatch(scope["path"])
        return ("application/json", _link_document) if mlflow_port and detail else None

    dashboard = wsgi(store.once().storage)
    explain_bad_requests(dashboard)
    pages = WSGIMiddleware(_Bottle(cast("WSGIApplication", dashboard)))
    # The fragment after # stays with the browser, and comes with it.
    linked = LinkedApp(_WholeBody(pages), RUNS, lambda _scope: "/", mlflow_port, rewrite)
    return GuardedApp(linked, guard, json_prefix="/api/", failure=_FAILED)


class DashboardServer:
    """Serves the dashboard in a thread of this process."""

    def __init__(
        self,
        store: StudyStore,
        listening: socket,
        guard: RequestGuard,
        mlflow_port: int | None,
        limits: ConnectionLimits = CONNECTION_LIMITS,
    ) -> None:
        """Start the thread, which takes over the socket."""
        pages = guarded_dashboard(store, guard, mlflow_port)
        self._server = WebServer(server_config(pages, limits=limits))
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name="dashboard", daemon=True
        )
        self._thread.start()

    def died(self) -> str | None:
        """A sentence if the server ended by itself."""
        return None if self._thread.is_alive() else "the dashboard's server ended by itself"

    def stop(self) -> None:
        """End the server."""
        self._server.end()
        self._thread.join()


class _WholeBody:
    """Passes a body of limited size on in one piece, and no body where a request only reads."""

    def __init__(self, pages: ASGIApp) -> None:
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        request = Request(scope, receive)
        reads = scope["method"] in ("GET", "HEAD")
        body = bytearray() if reads else await read_body(request, LARGEST)
        if refused := None if reads else _refusal(request, body):
            await refused(scope, receive, send)
            return
        # The dashboard takes the body of a write for an object, also where there is none.
        content = b"" if reads else bytes(body or b"{}")
        own = {b"content-type": b"application/json", b"content-length": b"%d" % len(content)}
        # Bottle would look for the chunks of a body once more.
        replaced = {b"transfer-encoding", *own}
        kept = [pair for pair in scope["headers"] if pair[0].lower() not in replaced]
        headers = [*kept, *own.items()]

        async def receive_body() -> Message:
            return {"type": "http.request", "body": content}

        await self._pages({**scope, "headers": headers}, receive_body, send)


def _refusal(request: Request, body: bytearray | None) -> Response | None:
    """The response to a body that the dashboard cannot read; it would fail in the middle."""
    if body is None:
        reason = f"a request has at most {LARGEST >> 20} MiB"
        return JSONResponse({"reason": reason}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if not body or not request.scope["path"].startswith("/api/"):
        return None
    if content_type(request) != "application/json":
        reason = "send JSON, and say so: Content-Type: application/json"
        return JSONResponse({"reason": reason}, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    if _is_object(body):
        return None
    return JSONResponse({"reason": "send a JSON object"}, HTTPStatus.BAD_REQUEST)


def _is_object(body: bytearray) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


@runtime_checkable
class SupportsClose(Protocol):
    """A response body that holds a file."""

    def close(self) -> None:
        """Close the file."""


class _Bottle:
    """The dashboard's own application, a Bottle, with a request that cannot lead it elsewhere."""

    def __init__(self, pages: "WSGIApplication") -> None:
        self._pages = pages

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterator[bytes]:
        # Bottle would redirect a browser to the host of these headers, or fail on other letters.
        kept = {
            key: value
            for key, value in environ.items()
            if not key.startswith("HTTP_") or (value.isascii() and not key.startswith(_FORWARDED))
        }
        if environ.get(f"{_FORWARDED}PROTO") == "https":
            kept["wsgi.url_scheme"] = "https"

        def start_once(status: str, headers: list[tuple[str, str]], _error: object = None) -> Any:  # noqa: ANN401 - as WSGI has it
            # Bottle has answered and logged its error; Starlette would raise it once more.
            return start(status, headers)

        kept["wsgi.errors"] = sys.stderr
        # Bottle leaves a file open whose range it refuses; a server may answer with the whole file.
        kept.pop("HTTP_RANGE", None)
        # The dashboard expects it of every browser.
        kept.setdefault("HTTP_ACCEPT_ENCODING", "identity")
        body = self._pages(kept, cast("StartResponse", start_once))
        try:
            yield from body
        finally:
            if isinstance(body, SupportsClose):
                body.close()


def _link_document(document: bytes) -> bytes:
    return json.dumps(with_links(json.loads(document))).encode()


def with_links(detail: Mapping[str, Any]) -> dict[str, Any]:
    """A study as the dashboard's pages read it, with links to its runs in the notes.

    A trial without its own note has one that links to its run.
    """
    trials = {name: [*map(_linked_trial, detail[name])] for name in ("trials", "best_trials")}
    return {**detail, **trials, "note": _linked_note(detail["note"])}


def _linked_trial(trial: Mapping[str, Any]) -> dict[str, Any]:
    note = _linked_note(trial["note"])
    if not note["body"]:
        attributes = {pair["key"]: pair["value"] for pair in trial["user_attrs"]}
        page = str(attributes.get(PAGE, "")).strip("\"'")
        if _PAGE.fullmatch(page):
            page = f"{RUNS}{page}"
        if page.startswith(("http://", "https://", RUNS)):
            note = {**note, "body": f"[The run of this trial in MLflow]({page})"}
    return {**trial, "note": note}


def _linked_note(note: Mapping[str, Any]) -> dict[str, Any]:
    def link(page: re.Match[str]) -> str:
        return f"[{(page[3] or page[2])[:8]}]({RUNS}{page[1]})"

    return {**note, "body": _QUOTED_PAGE.sub(link, note["body"])}


def _make_read_only(engine: Engine) -> None:
    """Let the database refuse every write of a page that only shows."""
    embedded = engine.dialect.name == "sqlite"
    how = "PRAGMA query_only=ON" if embedded else "SET default_transaction_read_only = on"

    def refuse(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(how)
        cursor.close()
        if not embedded:
            connection.commit()

    engine.dispose()
    event.listen(engine, "connect", refuse)
