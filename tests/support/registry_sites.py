"""Stores that several homes promote to: a database, or MLflow's server over one behind a proxy."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, get_args

from risexp.tracking.schema import prepare
from risexp.tracking.stores import store_named
from tests.support.postgres import postgres
from tests.support.uploads import place, served
from tests.support.worker_processes import until

Mood = Literal["well", "away", "hung", "500", "lost"]
"""How the proxy answers; `lost`: what was asked is done, and the answer gets lost."""
MOODS: tuple[Mood, ...] = get_args(Mood)


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a server, one a connection, unless its mood is another."""

    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.behind = behind
        self.mood: Mood = "well"
        self.after: int | None = None
        """Number of writes after which the mood is `lost` for one write."""
        self.woken = threading.Event()
        """Ends the silence of a hung server."""

    def mood_of(self, method: str) -> Mood:
        """How a request is answered."""
        if self.after is not None and method != "GET":
            self.after -= 1
            if self.after < 0:
                self.after = None
                return "lost"
        return self.mood

    def recover(self) -> None:
        """Answer again."""
        self.mood, self.after = "well", None
        self.woken.set()
        self.woken = threading.Event()


class _Passing(BaseHTTPRequestHandler):
    server: Proxy

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match mood := self.server.mood_of(self.command):
            case "away":
                return
            case "hung":
                self.server.woken.wait(300.0)
                return
            case "500":
                self.send_error(500)
                return
        with closing(HTTPConnection("127.0.0.1", self.server.behind, timeout=120.0)) as connection:
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
        if mood == "lost":
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815 - names of http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - likewise
        """Say nothing."""


@dataclass(frozen=True)
class Site:
    """A store, and what its oracle reads."""

    address: str
    """For RISEXP_TRACKING_URI."""
    database: str
    """For SQLAlchemy."""
    artifacts: Path
    proxy: Proxy | None = None


@contextmanager
def site(kind: str, folder: Path) -> Iterator[Site]:
    """A store of one kind: sqlite, postgresql, or either of them behind `http-`."""
    if kind.endswith("postgresql"):
        with postgres() as server:
            address = server.create("registry")
            store = store_named(address)
            prepare(store)
            yield from _with_server(kind, folder, Site(address, store.uri, folder))
        return
    store = place(store_named(f"sqlite:///{folder}/mlflow.db"))
    yield from _with_server(kind, folder, Site(store.uri, store.uri, folder))


def _with_server(kind: str, folder: Path, site: Site) -> Iterator[Site]:
    if not kind.startswith("http"):
        yield site
        return
    artifacts = folder / "artifacts"
    behind = (
        served(store_named(site.address), artifacts)
        if kind == "http-sqlite"
        else _mlflow_server(site.database, artifacts, folder / "log")
    )
    with behind as port, Proxy(port) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.05,)).start()
        try:
            yield Site(f"http://127.0.0.1:{proxy.server_port}", site.database, artifacts, proxy)
        finally:
            proxy.recover()
            proxy.shutdown()


@contextmanager
def _mlflow_server(database: str, artifacts: Path, log: Path) -> Iterator[int]:
    """`mlflow server` as its users start it: its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    words = [
        *("--backend-store-uri", database, "--artifacts-destination", str(artifacts)),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
    with log.open("w") as file:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "mlflow", "server", *words],
            stdout=file,
            stderr=file,
            start_new_session=True,
        )

    def answers() -> bool:
        time.sleep(0.5)
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5.0).close()
            return True
        return False

    try:
        until(answers, limit_s=600.0)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60.0)
