"""optuna-dashboard behind a door: its pages, read only unless asked for, with links to MLflow.

A page of a trial links to the run's through `/mlflow`, which leads to the MLflow that was started
beside it; what is stored stays as it is, and serves whoever starts either by hand.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from socket import socket
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final, Protocol, cast, runtime_checkable
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from optuna_dashboard import wsgi  # type: ignore[import-untyped]
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.links import PAGE
from risexp.web.guard import HEADERS, GuardedRequest, GuardResponse, RequestGuard, host_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

RUNS: Final = "/mlflow"
"""Where the dashboard leads to MLflow."""
_DETAIL: Final = re.compile(r"/api/studies/[0-9]+/*")
_WORDS: Final = re.compile(r"#/experiments/([0-9]+)(?:/runs/([0-9A-Za-z-]+))?")
_QUOTED: Final = re.compile(f"`({_WORDS.pattern})`")
_FAILED: Final = (
    "the store of studies does not answer, or not what this page can show: load it again, and see "
    "risexp doctor where that does not help"
)
_FORWARDED: Final = "HTTP_X_FORWARDED_"
_CLOSED: Final = "default-src 'none'; frame-ancestors 'none'"
_UNFRAMED: Final = "frame-ancestors 'none'"


def dashboard(store: StudyStore, door: RequestGuard, mlflow_port: int | None) -> "WSGIApplication":
    """The dashboard of a store's studies, as an application.

    Args:
        store: Which studies. It is asked once and not again: a page that fails is loaded anew.
        door: Who may come in, and whether they may change anything.
        mlflow_port: Where MLflow listens on the same host; None where it does not.
    """
    if not door.writable:
        _only_read(store.engine)
    pages = cast("WSGIApplication", wsgi(store.once().storage))
    return _Guarded(pages if mlflow_port is None else _Linked(pages, mlflow_port), door)


@runtime_checkable
class SupportsClose(Protocol):
    """An answer that lets go of a file when it is over."""

    def close(self) -> None:
        """Let go of it."""


class Server(ThreadingMixIn, WSGIServer):
    """Serves an application on a socket that listens already."""

    daemon_threads = True

    def __init__(self, listening: socket, application: "WSGIApplication") -> None:
        """Take the socket over."""
        self.address_family = listening.family
        super().__init__(listening.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        # As `server_bind`, which would ask for the host's name, for as long as that takes.
        self.server_name, self.server_port = listening.getsockname()[:2]
        self.setup_environ()
        self.set_app(application)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a browser that left; anything else is the library's to tell."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            TCPServer.handle_error(self, cast("Any", request), client_address)


class _Handler(WSGIRequestHandler):
    timeout = 60.0

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Write no log: an address may hold the token."""


class _Guarded:
    """Every request goes through the door, and every answer has the headers of a careful page."""

    def __init__(self, pages: "WSGIApplication", door: RequestGuard) -> None:
        self._pages = pages
        self._door = door

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        stopped = self._door.stops(_asked(environ))
        if stopped is not None:
            return _say(stopped, environ, start)

        status, headers, body = _answered(self._pages, _unforwarded(environ))
        if status.startswith("500"):
            _close(body)
            return _say(GuardResponse(HTTPStatus.INTERNAL_SERVER_ERROR, _FAILED), environ, start)
        start(status, _careful(headers))
        return body


class _Linked:
    """Turns the words that name a page of MLflow into links, and leads there."""

    def __init__(self, pages: "WSGIApplication", port: int) -> None:
        self._pages = pages
        self._port = port

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == RUNS or path.startswith(f"{RUNS}/"):
            # What follows the sign # stays with the browser, and comes with it.
            host = host_of(environ.get("HTTP_HOST", ""))
            place = ("Location", f"http://{host}:{self._port}/")
            return _say(GuardResponse(HTTPStatus.FOUND, headers=(place,)), environ, start)
        if _DETAIL.fullmatch(path) and environ["REQUEST_METHOD"] == "GET":
            return self._detail(environ, start)
        return self._pages(environ, start)

    def _detail(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        status, headers, chunks = _answered(self._pages, environ)
        body = b"".join(chunks)
        _close(chunks)
        if status.startswith("200"):
            body = json.dumps(linked(json.loads(body))).encode()
        kept = [each for each in headers if each[0].lower() != "content-length"]
        start(status, [*kept, ("Content-Length", str(len(body)))])
        return [body]


def _answered(
    pages: "WSGIApplication", environ: "WSGIEnvironment"
) -> tuple[str, list[tuple[str, str]], Iterable[bytes]]:
    """What an application answers that says how before it returns, as this one does."""
    told: list[tuple[str, list[tuple[str, str]]]] = []

    def keep(
        status: str, headers: list[tuple[str, str]], _fault: object = None
    ) -> Callable[[bytes], object]:
        told.append((status, headers))
        return lambda _: None

    body = pages(environ, cast("StartResponse", keep))
    return *told[-1], body


def _close(body: Iterable[bytes]) -> None:
    if isinstance(body, SupportsClose):
        body.close()


def linked(detail: Mapping[str, Any]) -> dict[str, Any]:
    """A study as the dashboard's pages read it, with links to its runs in the notes.

    A trial without a note of its own has one that names its run.
    """
    trials = {name: [*map(_trial, detail[name])] for name in ("trials", "best_trials")}
    return {**detail, **trials, "note": _note(detail["note"])}


def _trial(trial: Mapping[str, Any]) -> dict[str, Any]:
    note = _note(trial["note"])
    if not note["body"]:
        attributes = {each["key"]: each["value"] for each in trial["user_attrs"]}
        page = str(attributes.get(PAGE, "")).strip("\"'")
        if _WORDS.fullmatch(page):
            page = f"{RUNS}{page}"
        if page.startswith(("http://", "https://", RUNS)):
            note = {**note, "body": f"[The run of this trial in MLflow]({page})"}
    return {**trial, "note": note}


def _note(note: Mapping[str, Any]) -> dict[str, Any]:
    def link(found: re.Match[str]) -> str:
        return f"[{(found[3] or found[2])[:8]}]({RUNS}{found[1]})"

    return {**note, "body": _QUOTED.sub(link, note["body"])}


def _unforwarded(environ: "WSGIEnvironment") -> "WSGIEnvironment":
    """A request without what says whom it was for before: bottle would lead a browser there."""
    kept = {name: told for name, told in environ.items() if not name.startswith(_FORWARDED)}
    return kept | ({"wsgi.url_scheme": "https"} if _asked(environ).scheme == "https" else {})


def _asked(environ: "WSGIEnvironment") -> GuardedRequest:
    return GuardedRequest(
        method=environ["REQUEST_METHOD"],
        path=environ["PATH_INFO"],
        query=environ.get("QUERY_STRING", ""),
        host=environ.get("HTTP_HOST", ""),
        origin=environ.get("HTTP_ORIGIN"),
        authorization=environ.get("HTTP_AUTHORIZATION", ""),
        cookie=environ.get("HTTP_COOKIE", ""),
        scheme=environ.get("HTTP_X_FORWARDED_PROTO", "http"),
    )


def _say(answer: GuardResponse, environ: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
    """In the manner of whoever asks: pages show the reason, people read a line."""
    asks = environ["PATH_INFO"].startswith("/api/")
    text = json.dumps({"reason": answer.sentence}) if asks else f"{answer.sentence}\n"
    body = text.encode() if answer.sentence else b""
    kind = "application/json" if asks else "text/plain; charset=utf-8"
    headers = [*answer.headers, ("Content-Type", kind), ("Content-Length", str(len(body)))]
    start(f"{answer.status.value} {answer.status.phrase}", _careful(headers))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _careful(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    given = [*headers]
    policy = [value for name, value in given if name.lower() == "content-security-policy"]
    kept = [each for each in given if each[0].lower() != "content-security-policy"]
    whole = f"{policy[0]};{_UNFRAMED}" if policy else _CLOSED
    return [*kept, ("Server", "risexp"), ("Content-Security-Policy", whole), *HEADERS]


def _only_read(engine: Engine) -> None:
    """Let the database refuse what a page that is only looked at should never do."""
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
