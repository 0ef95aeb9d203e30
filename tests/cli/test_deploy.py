"""`risexp deploy`: the folder, the health checks, and MLflow's service."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from sqlalchemy import update

from risexp.app.ui import ui
from risexp.hpo.store.address import embedded
from risexp.hpo.store.leases import LeaseOwner, Leases
from risexp.hpo.store.schema import ATTEMPTS
from risexp.hpo.store.store import open_store
from risexp.hpo.studies.study import find_study
from tests.cli.test_startup import imported
from tests.support.commands import Capture, document, refused, run
from tests.support.homes import NAME

KNOWN = "a-token-that-is-long-enough"
STUDY = f"deploy check --study {NAME}"


@contextmanager
def page() -> Iterator[int]:
    """A page of this machine that needs a token; its port."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == f"Bearer {KNOWN}"
            self.send_response(200 if known else 401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_init_prints_the_next_commands_no_secret_and_overwrites_nothing(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risexp.app.deploy.folder.write_wheel", lambda _: None)
    code, out, err = run(capsys, "deploy init ris --hosts ris.example.org")
    secrets = [path.read_text("utf-8").strip() for path in Path("ris/secrets").iterdir()]
    assert 0 == code
    assert "docker compose build" in out
    assert "docker compose up --detach\n" in out
    assert [] == [secret for secret in secrets if secret and secret in out + err]

    before = Path("ris/secrets/ui_token").read_text("utf-8")
    refused(capsys, "deploy init ris", "is not empty")
    assert before == Path("ris/secrets/ui_token").read_text("utf-8")

    written = document(capsys, "deploy init other --hosts a.example,b.example")
    assert (str(tmp_path / "other"), ["a.example", "b.example"]) == (
        written["folder"],
        written["hosts"],
    )
    assert "ui_token" in written["secrets"]
    assert f"cd {tmp_path / 'other'}" == written["next"][0]


def test_a_page_that_answers_to_its_token_is_healthy(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(KNOWN)
    with page() as port:
        check = f"deploy check --page http://127.0.0.1:{port}/api/studies"
        code, _, err = run(capsys, check)
        assert (1, True) == (code, "answers with 401" in err)

        monkeypatch.setenv("RISEXP_UI_TOKEN_FILE", str(tmp_path / "token"))
        assert 0 == run(capsys, check)[0]
    code, _, err = run(capsys, check)
    assert (1, True) == (code, "does not answer" in err)


def test_a_token_is_sent_to_no_other_machine(capsys: Capture) -> None:
    for address in (
        "http://10.0.0.1/",
        "https://127.0.0.1/",
        "file:///etc",
        "http://127.0.0.1:99999/",
    ):
        refused(capsys, f"deploy check --page {address}", "give an address such as")
    refused(capsys, "deploy check", "--page")
    refused(capsys, "deploy check --study a --page http://127.0.0.1:1/", "--page")
    refused(capsys, "deploy check --study other", "no search has been made")


@pytest.mark.usefixtures("in_order")
def test_workers_are_healthy_while_they_renew_the_leases_of_their_host(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    store = open_store(embedded())
    leases = Leases(store, find_study(store, NAME).uid)

    assert 0 == run(capsys, STUDY)[0]
    for trial, host, late_s in ((101, "here", 30.0), (102, "elsewhere", 90.0)):
        leases.take(trial, LeaseOwner(f"{trial}", host, trial), f"run-{trial}", lasting_s=-late_s)
    assert 0 == run(capsys, STUDY)[0]
    with store.engine.begin() as connection:
        connection.execute(
            update(ATTEMPTS)
            .where(ATTEMPTS.c.trial_id == 101)
            .values(expires_at=ATTEMPTS.c.expires_at - 60.0)
        )
    code, _, noted = run(capsys, STUDY)
    store.close()

    assert 1 == code
    assert "process 101 has not renewed its lease on run-101" in noted


def test_a_check_imports_neither_torch_nor_mlflow(in_order: Path) -> None:
    codes, modules = imported(in_order, STUDY)

    assert {0} == codes
    assert "optuna" in modules
    assert set() == modules & {"torch", "mlflow"}


def test_mlflow_is_not_served_without_a_database_a_key_and_accounts(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = "postgresql://mlflow@127.0.0.1:1/mlflow"
    for name, content in (("key", "a key"), ("empty", ""), ("accounts", "[mlflow]")):
        (tmp_path / name).write_text(content)

    for backend, key, accounts, reason in (
        ("sqlite:////tmp/runs.db", "key", "accounts", "give a PostgreSQL database"),
        ("http://127.0.0.1:1", "key", "accounts", "give a PostgreSQL database"),
        (database, "none", "accounts", "cannot be read"),
        (database, "empty", "accounts", "holds no secret"),
        (database, "key", "absent", "MLFLOW_AUTH_CONFIG_PATH"),
    ):
        monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(tmp_path / accounts))
        command = f"deploy mlflow --backend {backend} --artifacts {tmp_path} --key-file {key}"
        refused(capsys, command, reason)


def test_the_dashboard_takes_its_names_from_the_environment(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[ui.UiRequest] = []
    monkeypatch.setattr(ui, "serve", lambda request, _: requests.append(request))
    monkeypatch.setenv("RISEXP_UI_HOSTS", "dashboard  ris.example.org")

    run(capsys, "ui --only dashboard")

    assert [("dashboard", "ris.example.org")] == [request.names for request in requests]
