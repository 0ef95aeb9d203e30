"""The dashboard behind its door: every attack is refused, and the study is there afterwards."""

import io
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from risexp.errors import EnvironmentFailed
from risexp.hpo.store.patient_storage import PatientStorage
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.links import PAGE, Links
from risexp.hpo.studies.study import open_study, study_names
from risexp.web.dashboard_app import dashboard, linked
from risexp.web.guard import RequestGuard, door_at
from tests.support.worker_processes import opened, owner, plan, queue_of, train

RUN = "#/experiments/1/runs/0123456789abcdef0123456789abcdef"
TOKEN = "0123456789abcdef-a-token"  # noqa: S105 - opens nothing


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one study, whose first trial has ended and has a note."""
    path = tmp_path_factory.mktemp("dashboard") / "optuna.db"
    with opened(f"sqlite:///{path}") as store:
        study = open_study(store, plan(2))
        claim = queue_of(store, study).claim(owner())
        assert claim is not None
        train(claim)
        links = Links(store, study)
        links.tell_trial(0, "abc", RUN, f"In MLflow: `{RUN}`")
        links.tell_trial(1, "abc", RUN, "nowhere")
        links.tell_study(f"In MLflow: study `{RUN}`, experiment `#/experiments/1`")
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(template, tmp_path))


@pytest.fixture
def shown(path: Path) -> Iterator[StudyStore]:
    """The same store, opened by whoever shows it."""
    with opened(f"sqlite:///{path}") as store:
        yield store


class Pages:
    """Asks an application as a server does that checks both sides."""

    def __init__(
        self, store: StudyStore, door: RequestGuard, mlflow_port: int | None = 5000
    ) -> None:
        self._pages = validator(dashboard(store, door, mlflow_port))

    def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        sent = json.dumps(body).encode() if body is not None else b""
        place, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": place,
            "QUERY_STRING": query,
            "HTTP_HOST": "127.0.0.1:8080",
            "HTTP_ACCEPT_ENCODING": "identity",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(sent)),
            "wsgi.input": io.BytesIO(sent),
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }
        setup_testing_defaults(environ)
        told: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], _fault: object = None) -> Any:  # noqa: ANN401 - nobody writes by it
            told.append((status, headers))
            return lambda _: None

        answer = self._pages(environ, start)
        with closing(answer):  # type: ignore[type-var] # the validator's own
            said = b"".join(answer)
        return int(told[-1][0].split()[0]), dict(told[-1][1]), said


WRITES: tuple[tuple[str, str, object], ...] = (
    ("POST", "/api/studies", {"study_name": "mine", "directions": ["minimize"]}),
    ("DELETE", "/api/studies/1", {}),
    ("POST", "/api/studies/1/rename", {"study_name": "mine"}),
    ("PUT", "/api/studies/1/note", {"version": 2, "body": "mine"}),
    ("PUT", "/api/studies/1/2/note", {"version": 1, "body": "mine"}),
    ("POST", "/api/trials/2/tell", {"state": "Fail"}),
    ("POST", "/api/trials/2/user-attrs", {"user_attrs": {"mine": 1}}),
    ("POST", "/incompatible-rdb-schema", {}),
    ("POST", "/api/artifacts/1", {"file": "data:text/plain;base64,YQ=="}),
    ("PATCH", "/api/studies/1", {}),
    ("OPTIONS", "/api/studies/1", {}),
)


def content(path: Path) -> list[str]:
    """All that a database holds."""
    with closing(sqlite3.connect(path)) as connection:
        return [*connection.iterdump()]


@pytest.mark.parametrize(("method", "place", "body"), WRITES)
def test_no_write_comes_through_where_studies_are_only_looked_at(
    shown: StudyStore, path: Path, method: str, place: str, body: object
) -> None:
    before = content(path)

    status, _, said = Pages(shown, RequestGuard()).ask(method, place, body)

    assert status in (403, 405)
    assert b"reason" in said or not place.startswith("/api/")
    assert before == content(path)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8080", "origin": "http://evil.example:8080"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},
    ],
)
def test_no_other_page_deletes_a_study_even_where_it_may_be_changed(
    shown: StudyStore, path: Path, headers: dict[str, str]
) -> None:
    pages, before = Pages(shown, RequestGuard(writable=True)), content(path)

    status, _, _ = pages.ask("DELETE", "/api/studies/1", {}, **headers)

    assert status in (403, 421)
    assert before == content(path)


def test_a_foreign_host_reads_nothing(shown: StudyStore) -> None:
    for place in ("/api/studies", "/dashboard", "/mlflow", "/csv/1", "/static/bundle.js"):
        status, _, said = Pages(shown, RequestGuard()).ask("GET", place, host="evil.example")

        assert (421, False) == (status, b"toy" in said)


def test_a_study_is_deleted_where_that_is_asked_for(shown: StudyStore) -> None:
    status, _, _ = Pages(shown, RequestGuard(writable=True)).ask(
        "DELETE", "/api/studies/1", {}, origin="http://127.0.0.1:8080"
    )

    assert (204, []) == (status, [*study_names(shown)])


def test_off_loopback_nothing_is_read_without_the_token(shown: StudyStore) -> None:
    pages = Pages(shown, door_at("192.0.2.1", (), TOKEN, writable=False))

    without, _, said = pages.ask("GET", "/api/studies", host="192.0.2.1:8080")
    with_it, _, _ = pages.ask(
        "GET", "/api/studies", host="192.0.2.1:8080", authorization=f"Bearer {TOKEN}"
    )
    moved, told, _ = pages.ask("GET", f"/dashboard?token={TOKEN}", host="192.0.2.1:8080")
    cookie = told["Set-Cookie"].split(";")[0]
    again, _, _ = pages.ask("GET", told["Location"], host="192.0.2.1:8080", cookie=cookie)

    assert (401, 200, 303, 200) == (without, with_it, moved, again)
    assert b"toy" not in said


@pytest.mark.parametrize(
    "place",
    [
        "/dashboard/studies/1",
        "/api/meta",
        "/api/studies",
        "/api/studies/1",
        "/api/studies/1?after=1",
        "/api/studies/1/param_importances",
        "/csv/1",
        "/static/bundle.js",
        "/favicon.ico",
    ],
)
def test_every_page_is_read_with_careful_headers(shown: StudyStore, place: str) -> None:
    status, headers, _ = Pages(shown, RequestGuard()).ask("GET", place)

    assert 200 == status
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert ("nosniff", "DENY") == (headers["X-Content-Type-Options"], headers["X-Frame-Options"])
    assert "Access-Control-Allow-Origin" not in headers


def test_a_page_says_where_to_find_the_runs(shown: StudyStore) -> None:
    _, _, said = Pages(shown, RequestGuard()).ask("GET", "/api/studies/1")

    detail = json.loads(said)
    (first, second) = detail["trials"]
    assert f"In MLflow: [01234567](/mlflow{RUN})" == first["note"]["body"]
    assert f"[The run of this trial in MLflow](/mlflow{RUN})" == second["note"]["body"]
    study = f"In MLflow: study [01234567](/mlflow{RUN}), experiment [1](/mlflow#/experiments/1)"
    assert study == detail["note"]["body"]


def test_what_is_stored_stays_as_it_is(shown: StudyStore, path: Path) -> None:
    pages, before = Pages(shown, RequestGuard()), content(path)

    pages.ask("GET", "/api/studies/1")

    assert before == content(path)


def test_without_mlflow_words_stay_words(shown: StudyStore) -> None:
    _, _, said = Pages(shown, RequestGuard(), None).ask("GET", "/api/studies/1")

    assert f"In MLflow: `{RUN}`" == json.loads(said)["trials"][0]["note"]["body"]


def test_the_runs_are_where_the_browser_came_to(shown: StudyStore) -> None:
    status, headers, _ = Pages(shown, RequestGuard()).ask("GET", "/mlflow", host="localhost:8080")

    assert (302, "http://localhost:5000/") == (status, headers["Location"])


def test_the_first_page_leads_to_no_other_host(shown: StudyStore) -> None:
    pages = Pages(shown, RequestGuard())

    _, plain, _ = pages.ask("GET", "/", x_forwarded_host="evil.example", x_forwarded_proto="evil")
    _, encrypted, _ = pages.ask("GET", "/", x_forwarded_proto="https")

    assert "http://127.0.0.1:8080/dashboard" == plain["Location"]
    assert "https://127.0.0.1:8080/dashboard" == encrypted["Location"]


@pytest.mark.parametrize(
    "page", ["javascript:alert(1)", "#/experiments/1)[x](http://evil", "", "x"]
)
def test_an_attribute_that_is_no_page_is_no_link(page: str) -> None:
    trial = {"note": {"version": 0, "body": ""}, "user_attrs": [{"key": PAGE, "value": page}]}
    detail = {"trials": [trial], "best_trials": [], "note": {"version": 0, "body": "my words"}}

    assert detail == linked(detail)


def test_a_search_writes_while_its_pages_are_read(shown: StudyStore, path: Path) -> None:
    """A page leaves no transaction behind that a worker would wait for."""
    pages = Pages(shown, RequestGuard())
    with closing(sqlite3.connect(path, timeout=0.0)) as worker:
        for place in ("/api/studies", "/api/studies/1", "/csv/1"):
            pages.ask("GET", place)

            worker.execute("BEGIN IMMEDIATE")
            worker.execute("UPDATE risexp_store SET touched_at = touched_at + 1")
            worker.commit()


def test_the_database_itself_refuses_a_write_of_whoever_only_looks(shown: StudyStore) -> None:
    Pages(shown, RequestGuard())

    with pytest.raises(EnvironmentFailed, match="readonly database"):
        shown.once().storage.set_study_user_attr(1, "mine", 1)


@pytest.mark.parametrize(
    ("place", "call"),
    [("/csv/1", "get_study_name_from_id"), ("/api/studies/1", "get_all_studies")],
)
def test_a_database_that_is_away_is_said_in_a_sentence(
    shown: StudyStore, monkeypatch: pytest.MonkeyPatch, place: str, call: str
) -> None:
    def away(*_: object) -> None:
        raise EnvironmentFailed("the database is away")

    monkeypatch.setattr(PatientStorage, call, away)

    status, _, said = Pages(shown, RequestGuard()).ask("GET", place)

    assert (500, True) == (status, b"does not answer" in said)
    assert b"Traceback" not in said
