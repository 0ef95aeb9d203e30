"""`risexp deploy`: the folder, the health checks, and what MLflow's service does not begin with."""

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
from tests.support.commands import Capture, document, run
from tests.support.homes import NAME

KNOWN = "a-token-that-is-long-enough"
STUDY = f"deploy check --study {NAME}"


@contextmanager
def page(wanted: str | None = None) -> Iterator[int]:
    """A page of this machine, for whoever has the token; its port."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = wanted is None or self.headers["Authorization"] == f"Bearer {wanted}"
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


def test_init_says_what_comes_next_and_no_secret(capsys: Capture, tmp_path: Path) -> None:
    code, said, noted = run(capsys, "deploy init ris --hosts ris.example.org")
    secrets = [path.read_text("utf-8").strip() for path in (tmp_path / "ris" / "secrets").iterdir()]

    assert code == 0
    assert "docker compose build" in said
    assert "docker compose up --detach\n" in said
    assert [] == [each for each in secrets if each and each in said + noted]


def test_init_tells_a_script(capsys: Capture, tmp_path: Path) -> None:
    told = document(capsys, "deploy init ris --hosts a.example,b.example")

    assert told["folder"] == str(tmp_path / "ris")
    assert told["hosts"] == ["a.example", "b.example"]
    assert "ui_token" in told["secrets"]
    assert told["next"][0] == f"cd {tmp_path / 'ris'}"


def test_init_overwrites_nothing(capsys: Capture) -> None:
    run(capsys, "deploy init ris")
    before = Path("ris/secrets/ui_token").read_text("utf-8")

    code, _, noted = run(capsys, "deploy init ris")

    assert code == 2
    assert "is not empty" in noted
    assert before == Path("ris/secrets/ui_token").read_text("utf-8")


def test_a_page_that_answers_is_well(capsys: Capture) -> None:
    with page() as port:
        assert run(capsys, f"deploy check --page http://127.0.0.1:{port}/health")[0] == 0
    code, _, noted = run(capsys, f"deploy check --page http://127.0.0.1:{port}/health")

    assert code == 1
    assert "does not answer" in noted


def test_a_page_that_wants_the_token_is_given_it(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(KNOWN)
    with page(KNOWN) as port:
        code, _, noted = run(capsys, f"deploy check --page http://127.0.0.1:{port}/api/studies")
        assert (code, "answers with 401" in noted) == (1, True)

        monkeypatch.setenv("RISEXP_UI_TOKEN_FILE", str(tmp_path / "token"))
        assert run(capsys, f"deploy check --page http://127.0.0.1:{port}/api/studies")[0] == 0


@pytest.mark.parametrize(
    "address",
    ["http://10.0.0.1/", "https://127.0.0.1/", "file:///etc", "x", "http://127.0.0.1:99999/"],
)
def test_a_token_goes_to_no_other_machine(address: str, capsys: Capture) -> None:
    code, _, noted = run(capsys, f"deploy check --page {address}")

    assert code == 2
    assert "give an address such as" in noted


def test_a_token_that_no_header_holds_is_refused_and_not_said(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_UI_TOKEN", "secret words\nof two lines")

    code, said, noted = run(capsys, "deploy check --page http://127.0.0.1:1/")

    assert (2, True) == (code, "RISEXP_UI_TOKEN has a blank" in noted)
    assert "secret" not in said + noted


def test_a_check_is_of_one_thing(capsys: Capture) -> None:
    assert run(capsys, "deploy check")[0] == 2
    assert run(capsys, "deploy check --study a --page http://127.0.0.1:1/")[0] == 2


@pytest.mark.usefixtures("in_order")
def test_a_worker_is_well_while_the_leases_of_its_host_are_renewed(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    store = open_store(embedded())
    leases = Leases(store, find_study(store, NAME).uid)

    assert run(capsys, STUDY)[0] == 0
    for trial, host, late_s in ((101, "here", 30.0), (102, "elsewhere", 90.0)):
        leases.take(trial, LeaseOwner(f"{trial}", host, trial), f"run-{trial}", lasting_s=-late_s)
    assert run(capsys, STUDY)[0] == 0
    with store.engine.begin() as connection:
        connection.execute(
            update(ATTEMPTS)
            .where(ATTEMPTS.c.trial_id == 101)
            .values(expires_at=ATTEMPTS.c.expires_at - 60.0)
        )
    code, _, noted = run(capsys, STUDY)
    store.close()

    assert code == 1
    assert "process 101 has not renewed its lease on run-101" in noted


def test_a_check_imports_neither_torch_nor_mlflow(in_order: Path) -> None:
    code, modules = imported(in_order, STUDY)

    assert code == 0
    assert "optuna" in modules
    assert modules & {"torch", "mlflow"} == set()


@pytest.mark.usefixtures("in_order")
def test_a_study_that_is_not_there_is_not_well(capsys: Capture) -> None:
    code, _, noted = run(capsys, "deploy check --study other")

    assert code == 2
    assert "other" in noted


@pytest.mark.parametrize(
    ("backend", "key", "accounts", "reason"),
    [
        ("sqlite:////tmp/runs.db", "key", True, "give a PostgreSQL database"),
        ("http://127.0.0.1:1", "key", True, "give a PostgreSQL database"),
        ("postgresql://mlflow@127.0.0.1:1/mlflow", "none", True, "cannot be read"),
        ("postgresql://mlflow@127.0.0.1:1/mlflow", "empty", True, "holds no secret"),
        ("postgresql://mlflow@127.0.0.1:1/mlflow", "key", False, "MLFLOW_AUTH_CONFIG_PATH"),
    ],
)
def test_mlflow_is_not_served_without_a_database_a_key_and_accounts(
    *,
    backend: str,
    key: str,
    accounts: bool,
    reason: str,
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MLFLOW_AUTH_CONFIG_PATH", raising=False)
    for name, content in (("key", "a key"), ("empty", ""), ("accounts", "[mlflow]")):
        (tmp_path / name).write_text(content)
    if accounts:
        monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(tmp_path / "accounts"))

    command = f"deploy mlflow --backend {backend} --artifacts {tmp_path} --key-file {key}"
    code, _, noted = run(capsys, command)

    assert code == 2
    assert reason in noted


def test_the_dashboard_takes_its_token_from_a_file(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("short")
    monkeypatch.setenv("RISEXP_UI_TOKEN_FILE", str(tmp_path / "token"))

    code, _, noted = run(capsys, "ui --only dashboard --host 0.0.0.0")

    assert code == 2
    assert "has 5 characters" in noted


def test_the_dashboard_takes_its_names_from_the_environment(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ui.UiRequest] = []
    monkeypatch.setattr(ui, "serve", lambda wanted, _: asked.append(wanted))
    monkeypatch.setenv("RISEXP_UI_HOSTS", "dashboard  ris.example.org")

    run(capsys, "ui --only dashboard")

    assert [each.names for each in asked] == [("dashboard", "ris.example.org")]
