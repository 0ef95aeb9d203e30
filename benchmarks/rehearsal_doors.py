"""Who should not come in to a deployment, and who should; by HTTP and in the databases."""

import base64
import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from stage import Stage

HOST: Final = "ris.example.org"
"""A name under which the pages are served besides the machine's own."""
_EVIL: Final = "evil.example"
_WRONG: Final = "password1234"


@dataclass(frozen=True)
class Row:
    """One thing that was done, and what came of it."""

    injected: str
    expected: str
    seen: str

    @property
    def sound(self) -> bool:
        """Whether it is as expected."""
        return self.expected == self.seen


@dataclass(frozen=True)
class Request:
    """What is sent to a page."""

    port: int
    method: str
    path: str
    body: str | None = None

    def status(self, headers: Mapping[str, str]) -> int:
        """Of the answer."""
        return self.answer(headers)[0]

    def answer(self, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body."""
        told = {"Content-Type": "application/json", **headers}
        address = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30.0)
        with closing(address) as connection:
            connection.request(self.method, self.path, self.body, told)
            found = connection.getresponse()
            return found.status, found.read()


def pages(stage: Stage) -> Iterator[Row]:
    """What MLflow and the dashboard answer to whom."""
    mlflow, dashboard = stage.ports["5000"], stage.ports["8080"]
    runs = Request(mlflow, "POST", "/api/2.0/mlflow/experiments/search", '{"max_results": 1}')
    page, jobs = Request(mlflow, "GET", "/"), Request(mlflow, "POST", "/ajax-api/3.0/jobs/", "{}")
    studies = Request(dashboard, "GET", "/api/studies")
    delete = Request(dashboard, "DELETE", "/api/studies/1")
    known, token = _basic(*_account(stage)), _bearer(secret(stage, "ui_token"))
    asked: list[tuple[str, Request, Mapping[str, str], int]] = [
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
    for what, request, headers, expected in asked:
        yield Row(what, f"{expected}", f"{request.status(headers)}")


def roles(stage: Stage) -> Iterator[Row]:
    """What the roles of the databases may not do."""
    tried: list[tuple[str, str, str, str, str | None]] = [
        ("watcher: a write", "watcher", "studies", "DELETE FROM studies", None),
        ("watcher: a table", "watcher", "studies", "CREATE TABLE other (n int)", None),
        ("studies: MLflow's database", "studies", "mlflow", "SELECT 1", None),
        ("mlflow: the database of studies", "mlflow", "studies", "SELECT 1", None),
        ("studies: a new role", "studies", "studies", "CREATE ROLE other", None),
        ("studies: a wrong password", "studies", "studies", "SELECT 1", _WRONG),
    ]
    for what, role, database, statement, password in tried:
        try:
            with connected(stage, role, database, password) as connection:
                connection.execute(statement.encode())
            seen = "obeyed"
        except psycopg.Error:
            seen = "refused"
        yield Row(f"role {what}", "refused", seen)


def recorded(stage: Stage) -> int:
    """How many runs MLflow has."""
    wanted = json.dumps({"experiment_ids": ["1"], "max_results": 100})
    runs = Request(stage.ports["5000"], "POST", "/api/2.0/mlflow/runs/search", wanted)
    return len(json.loads(runs.answer(_basic(*_account(stage)))[1]).get("runs", []))


def connected(
    stage: Stage, role: str, database: str, password: str | None = None
) -> psycopg.Connection[Any]:
    """A connection as one of the roles, with its own password if no other is given."""
    known = "admin_password" if role == "admin" else f"{role}_pgpass"
    return psycopg.connect(
        host="127.0.0.1",
        port=stage.ports["5432"],
        user=role,
        dbname=database,
        password=password or secret(stage, known).rpartition(":")[2],
    )


def secret(stage: Stage, name: str) -> str:
    """What stands in one of the files."""
    return (stage.folder / "secrets" / name).read_text(encoding="utf-8").strip()


def _account(stage: Stage) -> tuple[str, str]:
    """Name and password of MLflow's account."""
    lines = secret(stage, "mlflow_credentials").splitlines()
    return lines[1].split(" = ")[1], lines[2].split(" = ")[1]


def _basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
