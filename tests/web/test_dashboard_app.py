"""The dashboard behind the guard: no attack changes the study, and its notes link to MLflow."""

import json
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from risexp.errors import EnvironmentFailed
from risexp.hpo.store.patient_storage import PatientStorage
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.links import PAGE
from risexp.hpo.studies.study import study_names
from risexp.web.connections import CONNECTION_LIMITS, ConnectionLimits
from risexp.web.dashboard_app import DashboardServer, guarded_dashboard, with_links
from risexp.web.guard import RequestGuard
from tests.support.web_requests import request
from tests.support.worker_processes import opened
from tests.web.conftest import RUN

JSON = "application/json"
NOTHING = (b"", "", 400)
"""A body, its type, and the status of the response."""
WRITES: tuple[tuple[str, str, object], ...] = (
    ("POST", "/api/studies", {"study_name": "mine", "directions": ["minimize"]}),
    ("DELETE", "/api/studies/1", {}),
    ("PUT", "/api/studies/1/note", {"version": 2, "body": "mine"}),
    ("POST", "/api/trials/2/tell", {"state": "Fail"}),
    ("POST", "/incompatible-rdb-schema", {}),
    ("PATCH", "/api/studies/1", {}),
    ("OPTIONS", "/api/studies/1", {}),
)


@pytest.fixture
def path(study_store: Path, tmp_path: Path) -> Path:
    """A copy of the store's file."""
    return Path(shutil.copy(study_store, tmp_path))


@pytest.fixture
def store(path: Path) -> Iterator[StudyStore]:
    with opened(f"sqlite:///{path}") as found:
        yield found


def reading(store: StudyStore, mlflow_port: int | None = 5000) -> ASGIApp:
    """The dashboard of a store, for reading only."""
    return guarded_dashboard(store, RequestGuard(), mlflow_port)


def content(path: Path) -> list[str]:
    """All rows of a database."""
    with closing(sqlite3.connect(path)) as connection:
        return [*connection.iterdump()]


def test_no_write_comes_through_a_dashboard_for_reading(store: StudyStore, path: Path) -> None:
    before, app = content(path), reading(store)

    for method, place, body in WRITES:
        status, _, answer = request(app, place, method, body)

        assert status in (403, 405)
        assert b"reason" in answer or not place.startswith("/api/")
    with pytest.raises(EnvironmentFailed, match="readonly database"):
        store.once().storage.set_study_user_attr(1, "mine", 1)
    assert before == content(path)


def test_all_pages_are_read_with_careful_headers(store: StudyStore) -> None:
    pages = ("meta", "studies", "studies/1", "studies/1?after=1", "studies/1/param_importances")
    others = ("/dashboard/studies/1", "/csv/1", "/static/bundle.js", "/favicon.ico")
    for place in (*others, *(f"/api/{page}" for page in pages)):
        status, headers, _ = request(reading(store), place)

        assert 200 == status
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "DENY" == headers["x-frame-options"]


def test_notes_link_to_the_runs_in_mlflow_and_the_store_stays_as_it_is(
    store: StudyStore, path: Path
) -> None:
    before = content(path)

    _, headers, answer = request(reading(store), "/api/studies/1")

    detail = json.loads(answer)
    (first, second) = detail["trials"]
    assert f"In MLflow: [01234567](/mlflow{RUN})" == first["note"]["body"]
    assert f"[The run of this trial in MLflow](/mlflow{RUN})" == second["note"]["body"]
    study = f"In MLflow: study [01234567](/mlflow{RUN}), experiment [1](/mlflow#/experiments/1)"
    assert study == detail["note"]["body"]
    assert str(len(answer)) == headers["content-length"]
    assert before == content(path)
    _, _, answer = request(reading(store, None), "/api/studies/1")
    assert f"In MLflow: `{RUN}`" == json.loads(answer)["trials"][0]["note"]["body"]


def test_redirects_lead_to_the_host_of_the_request_only(store: StudyStore) -> None:
    app = reading(store)

    runs, to_runs, _ = request(app, "/mlflow", host="localhost:8080")
    _, plain, _ = request(app, "/", x_forwarded_host="evil.example", x_forwarded_proto="evil")
    _, encrypted, _ = request(app, "/", x_forwarded_proto="https")

    assert (302, "http://localhost:5000/") == (runs, to_runs["location"])
    assert "http://127.0.0.1:8080/dashboard" == plain["location"]
    assert "https://127.0.0.1:8080/dashboard" == encrypted["location"]


def test_an_attribute_that_is_no_page_is_no_link() -> None:
    for page in ("javascript:alert(1)", "#/experiments/1)[x](http://evil", "", "x"):
        trial = {"note": {"version": 0, "body": ""}, "user_attrs": [{"key": PAGE, "value": page}]}
        note = {"version": 0, "body": "my words"}
        detail = {"trials": [trial], "best_trials": [], "note": note}

        assert detail == with_links(detail)


def test_a_search_can_write_while_its_pages_are_read(store: StudyStore, path: Path) -> None:
    """A page leaves no transaction behind that a worker would wait for."""
    app = reading(store)
    with closing(sqlite3.connect(path, timeout=0.0)) as worker:
        for place in ("/api/studies", "/api/studies/1", "/csv/1"):
            request(app, place)

            worker.execute("BEGIN IMMEDIATE")
            worker.execute("UPDATE risexp_store SET touched_at = touched_at + 1")
            worker.commit()


@pytest.mark.parametrize(
    ("place", "call"),
    [("/csv/1", "get_study_name_from_id"), ("/api/studies/1", "get_all_studies")],
)
def test_a_database_that_is_away_gives_one_sentence(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch, place: str, call: str
) -> None:
    def away(*_: object) -> None:
        raise EnvironmentFailed("the database is away")

    monkeypatch.setattr(PatientStorage, call, away)

    status, headers, answer = request(reading(store), place)

    assert (500, True) == (status, b"does not answer" in answer)
    assert b"Traceback" not in answer
    assert ("application/json" in headers["content-type"]) == place.startswith("/api/")


@pytest.mark.parametrize("encodings", [[], [b"\xff"]], ids=["none", "no text"])
def test_a_client_that_names_no_known_encoding_gets_every_file(
    store: StudyStore, encodings: list[bytes]
) -> None:
    with served(store) as port:
        for place in ("/static/bundle.js", "/favicon.ico", "/dashboard"):
            with closing(HTTPConnection("127.0.0.1", port, timeout=60.0)) as client:
                client.putrequest("GET", place, skip_accept_encoding=True)
                for encoding in encodings:
                    client.putheader("Accept-Encoding", encoding)
                client.endheaders()

                assert 200 == client.getresponse().status


def test_a_range_of_a_file_is_answered_with_the_whole_file(store: StudyStore) -> None:
    for part in ("bytes=9-1", "bytes=0-1", "odd"):
        assert 200 == request(reading(store), "/static/bundle.js", range=part)[0]


@pytest.mark.parametrize("place", ["/api/studies", "/api/studies/1/note", "/api/trials/1/tell"])
def test_a_write_without_a_json_object_is_refused_in_one_sentence(
    store: StudyStore, path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(path)
    bodies = ((b"{}", "text/plain", 415), (b"{", JSON, 400), (b"[]", JSON, 400), (b"1", JSON, 400))
    nested = b"[" * 100_000

    with served(store) as port:
        for body, kind, expected in (*bodies, (b"\xff", JSON, 400), (nested, JSON, 400), NOTHING):
            with closing(HTTPConnection("127.0.0.1", port, timeout=60.0)) as client:
                method = "PUT" if place.endswith("note") else "POST"
                client.request(method, place, body, {"Content-Type": kind} if kind else {})
                response = client.getresponse()

                assert expected == response.status
                assert {"reason"} == json.loads(response.read()).keys()
    assert before == content(path)
    assert "" == capsys.readouterr().err


def test_wrong_values_and_unknown_studies_are_no_failure_of_the_store(
    store: StudyStore, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app, before = guarded_dashboard(store, RequestGuard(writable=True), None), content(path)
    note = {"version": 1, "body": "mine"}

    for method, place, body, expected in (
        ("GET", "/api/studies/1?after=x", None, 400),
        ("POST", "/api/studies", {"study_name": "mine", "directions": 5}, 400),
        ("POST", "/api/trials/2/user-attrs", {"user_attrs": "x"}, 400),
        ("POST", "/api/studies/1/preference", {"candidates": None}, 400),
        ("PUT", "/api/studies/77/note", note, 404),
        ("POST", "/api/studies/77/rename", {"study_name": "mine"}, 404),
        ("DELETE", f"/api/studies/{10**23}", None, 404),
        ("GET", f"/csv/{10**23}", None, 404),
    ):
        status, headers, answer = request(app, place, method, body, content_type="application/json")

        assert expected == status, place
        assert ["reason"] == [*json.loads(answer)]
        assert "application/json" == headers["content-type"]
    assert before == content(path)
    assert "" == capsys.readouterr().err


def test_a_write_that_needs_no_body_needs_no_json(store: StudyStore) -> None:
    app = guarded_dashboard(store, RequestGuard(writable=True), None)

    skipped, _, reason = request(app, "/api/studies/1/1/skip", "POST")
    deleted, _, _ = request(app, "/api/studies/1", "DELETE")

    assert (400, b"not preferential" in reason) == (skipped, True)
    assert 204 == deleted


@contextmanager
def served(store: StudyStore, limits: ConnectionLimits = CONNECTION_LIMITS) -> Iterator[int]:
    """The port of a writable dashboard."""
    listening = socket.create_server(("127.0.0.1", 0))
    port: int = listening.getsockname()[1]
    server = DashboardServer(store, listening, RequestGuard(writable=True), None, limits)
    try:
        yield port
    finally:
        server.stop()


def test_a_client_that_stops_within_its_request_is_cut_off(store: StudyStore) -> None:
    body = b"POST /api/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"

    with served(store, ConnectionLimits(patience_s=0.2)) as port:
        for sent in (b"", b"GET /api/studies HTTP/1.1\r\nHost: 127", body):
            with socket.create_connection(("127.0.0.1", port), timeout=60.0) as client:
                client.sendall(sent)

                assert b"" == client.recv(1)


def test_a_body_in_chunks_is_read_up_to_a_limit(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risexp.web.dashboard_app.LARGEST", 1000)
    kind = {"Content-Type": "application/json"}
    study = b'{"study_name": "mine", "directions": ["minimize"]}'

    with served(store) as port:
        for chunks, expected in (([study[:9], study[9:]], 201), ([study, b" " * 1000], 413)):
            with closing(HTTPConnection("127.0.0.1", port, timeout=60.0)) as client:
                client.request("POST", "/api/studies", iter(chunks), kind, encode_chunked=True)

                assert expected == client.getresponse().status
    assert "mine" in study_names(store)
