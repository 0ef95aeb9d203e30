"""Checks of a rehearsed deployment: requests and roles that must be refused, and leaked secrets."""

import base64
import http.client
import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from stage import Stage

HOST: Final = "ris.example.org"
"""Host name of the pages, besides the machine's own."""
_EVIL: Final = "evil.example"
_WRONG: Final = "password1234"
_LOOK_S: Final = 0.5
_PATIENCE_S: Final = 300.0
_DIGITS: Final = 48
"""Length of a secret."""
PLANTED: Final = "planted"
_DECOY: Final = "dec0" * 12
_PLACES: Final = ("arguments", "databases", "environments", "files of runs", "logs")


@dataclass(frozen=True)
class Row:
    """One action, its expected result and its result."""

    injected: str
    expected: str
    seen: str

    @property
    def sound(self) -> bool:
        """True if the result is the expected one."""
        return self.expected == self.seen


@dataclass(frozen=True)
class Request:
    """A request to a page."""

    port: int
    method: str
    path: str
    body: str | None = None

    def status(self, headers: Mapping[str, str]) -> int:
        """Status of the answer."""
        return self.answer(headers)[0]

    def answer(self, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of the answer."""
        known = {"Content-Type": "application/json", **headers}
        address = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30.0)
        with closing(address) as connection:
            connection.request(self.method, self.path, self.body, known)
            response = connection.getresponse()
            return response.status, response.read()


def pages(stage: Stage) -> Iterator[Row]:
    """Status codes of MLflow and the dashboard, with and without passwords."""
    mlflow, dashboard = stage.ports["5000"], stage.ports["8080"]
    runs = Request(mlflow, "POST", "/api/2.0/mlflow/experiments/search", '{"max_results": 1}')
    page, jobs = Request(mlflow, "GET", "/"), Request(mlflow, "POST", "/ajax-api/3.0/jobs/", "{}")
    studies = Request(dashboard, "GET", "/api/studies")
    delete = Request(dashboard, "DELETE", "/api/studies/1")
    known, token = _basic(*_account(stage)), _bearer(secret(stage, "ui_token"))
    requests: list[tuple[str, Request, Mapping[str, str], int]] = [
        ("MLflow's API: no password", runs, {}, 401),
        ("MLflow's pages: no password", page, {}, 401),
        ("MLflow's API: a wrong password", runs, _basic("risexp", _WRONG), 401),
        ("MLflow's API: the password", runs, known, 200),
        ("MLflow: a foreign Host", runs, {**known, "Host": _EVIL}, 421),
        ("MLflow: a foreign Origin", runs, {**known, "Origin": f"http://{_EVIL}"}, 403),
        ("MLflow: the name of --hosts", runs, {**known, "Host": HOST}, 200),
        ("MLflow: a job", jobs, known, 403),
        ("dashboard: no token", studies, {}, 401),
        ("dashboard: a wrong token", studies, _bearer("0" * 48), 401),
        ("dashboard: the token", studies, token, 200),
        ("dashboard: a foreign Host", studies, {**token, "Host": _EVIL}, 421),
        ("dashboard: a write", delete, token, 403),
    ]
    for what, request, headers, expected in requests:
        yield Row(what, f"{expected}", f"{request.status(headers)}")


def roles(stage: Stage) -> Iterator[Row]:
    """Statements that the roles of the databases must not execute."""
    attempts: list[tuple[str, str, str, str, str | None]] = [
        ("watcher: a write", "watcher", "studies", "DELETE FROM studies", None),
        ("watcher: a table", "watcher", "studies", "CREATE TABLE other (n int)", None),
        ("studies: MLflow's database", "studies", "mlflow", "SELECT 1", None),
        ("mlflow: the database of studies", "mlflow", "studies", "SELECT 1", None),
        ("studies: a new role", "studies", "studies", "CREATE ROLE other", None),
        ("studies: a wrong password", "studies", "studies", "SELECT 1", _WRONG),
    ]
    for what, role, database, statement, password in attempts:
        try:
            with connected(stage, role, database, password) as connection:
                connection.execute(statement.encode())
            seen = "obeyed"
        except psycopg.Error:
            seen = "refused"
        yield Row(f"role {what}", "refused", seen)


def recorded(stage: Stage) -> int:
    """Number of runs in MLflow."""
    query = json.dumps({"experiment_ids": ["1"], "max_results": 100})
    runs = Request(stage.ports["5000"], "POST", "/api/2.0/mlflow/runs/search", query)
    return len(json.loads(runs.answer(_basic(*_account(stage)))[1]).get("runs", []))


def connected(
    stage: Stage, role: str, database: str, password: str | None = None
) -> psycopg.Connection[Any]:
    """A connection as one of the roles, by default with its own password."""
    known = "admin_password" if role == "admin" else f"{role}_pgpass"
    return psycopg.connect(
        host="127.0.0.1",
        port=stage.ports["5432"],
        user=role,
        dbname=database,
        password=password or secret(stage, known).rpartition(":")[2],
    )


def secret(stage: Stage, name: str) -> str:
    """Content of a secret file."""
    return (stage.folder / "secrets" / name).read_text(encoding="utf-8").strip()


def _account(stage: Stage) -> tuple[str, str]:
    """Name and password of MLflow's account."""
    lines = secret(stage, "mlflow_credentials").splitlines()
    return lines[1].split(" = ")[1], lines[2].split(" = ")[1]


def _basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Watch:
    """Searches the arguments and environments of all processes for secrets, repeatedly."""

    def __init__(self, stage: Stage, secrets: Mapping[str, bytes]) -> None:
        self.secrets = secrets
        self.found: set[tuple[str, str]] = set()
        self.looks = 0
        self._stage = stage
        self._over = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    def look(self) -> None:
        """Search once."""
        for place in Path("/proc").glob("[0-9]*"):
            self._note(place / "cmdline", "arguments")
        for place in self._stage.processes():
            self._note(place / "environ", "environments")
        self.looks += 1

    def _run(self) -> None:
        try:
            while not self._over.wait(_LOOK_S):
                self.look()
        except Exception as error:  # noqa: BLE001 - raised again at the end of the watch
            self._failed = error

    def _note(self, path: Path, kind: str) -> None:
        try:
            content = path.read_bytes()
        except OSError:
            return  # the process has ended, or belongs to another user
        seen = {name for name, secret in self.secrets.items() if secret in content}
        self.found |= {(kind, name) for name in seen}


def secrets_of(folder: Path) -> dict[str, bytes]:
    """Every password, key and token of a deployment by its file, and a planted one."""
    found = {PLANTED: _DECOY.encode()}
    for path in sorted((folder / "secrets").iterdir()):
        words = path.read_text(encoding="utf-8").replace(":", " ").split()
        for word in words:
            if len(word) == _DIGITS and not word.strip("0123456789abcdef"):
                found[path.name] = word.encode()
    return found


def plant(stage: Stage, watch: Watch) -> None:
    """Put the planted secret into every place that is searched."""
    with connected(stage, "studies", "studies") as connection:
        connection.execute("CREATE TABLE planted AS SELECT %s AS secret", [_DECOY])
    # The shell stays, and with it its arguments, until it is killed.
    told = stage.here("init", f"echo {_DECOY}; echo {_DECOY} >/data/{PLANTED}; sleep 600; exit")
    actor = stage.start("init", ("env", f"DECOY={_DECOY}", "sh", "-c", told))
    wanted = {("arguments", PLANTED), ("environments", PLANTED)}
    file = Path(stage.here("init", f"/data/{PLANTED}"))
    limit = time.monotonic() + _PATIENCE_S
    while time.monotonic() < limit:
        watch.look()
        if wanted <= watch.found and file.is_file() and file.stat().st_size:
            break
    stage.kill(actor)


def leaks(stage: Stage, watch: Watch) -> tuple[dict[str, list[str]], list[str]]:
    """Names of leaked secrets by place, and the places of the planted one."""
    files = [path for path in (stage.folder / "data").rglob("*") if path.is_file()]
    looked = {
        "logs": _names(watch, (path.read_bytes() for path in (stage.root / "logs").iterdir())),
        "files of runs": _names(
            watch, (path.read_bytes() for path in files if "postgres" not in path.parts)
        ),
        "databases": _names(watch, (_rows(stage, name) for name in ("studies", "mlflow"))),
    }
    for kind in ("arguments", "environments"):
        looked[kind] = {name for found, name in watch.found if found == kind}
    planted = [place for place in _PLACES if PLANTED in looked[place]]
    return {place: sorted(looked[place] - {PLANTED}) for place in _PLACES}, planted


def _names(watch: Watch, contents: Iterable[bytes]) -> set[str]:
    return {
        name for content in contents for name, secret in watch.secrets.items() if secret in content
    }


def _rows(stage: Stage, database: str) -> bytes:
    """All rows of a database, system tables included."""
    rows: list[bytes] = []
    with connected(stage, "admin", database) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname <> 'information_schema'"
        ).fetchall()
        for (table,) in tables:
            with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
                rows += [bytes(each) for each in copy]
    return b"".join(rows)
