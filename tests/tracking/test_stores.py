import os
from pathlib import Path

import pytest

from risexp.errors import InvalidInput
from risexp.tracking.stores import (
    Failure,
    attempt,
    chosen_store,
    embedded,
    in_environment,
    store_again,
    store_named,
)

pytestmark = pytest.mark.usefixtures("own_home")


def test_a_store_has_an_address_and_shows_no_password(own_home: Path) -> None:
    store = embedded()
    assert f"sqlite:///{own_home}/mlruns/mlflow.db" == store.uri
    assert own_home / "mlruns" / "artifacts" == store.artifacts

    server = store_named("https://me:planted%40secret@host:5000/mlflow/")
    assert "https://host:5000/mlflow" == server.name == server.uri
    assert {
        "MLFLOW_TRACKING_USERNAME": "me",
        "MLFLOW_TRACKING_PASSWORD": "planted@secret",
    } == server.credentials

    database = store_named("postgresql://me:planted@host/db")
    assert "postgresql+psycopg://me@host/db" == database.name
    assert "postgresql+psycopg://me:planted@host/db" == database.uri
    assert "planted" not in f"{server!r} {database!r}"


def test_an_address_that_is_no_store_is_refused_without_its_secrets() -> None:
    for address in (
        *("foo", "file:///mlruns", "http://", "http://host:99999", "sqlite:///relative.db"),
        *("ftp://me:planted@host", "postgresql://me:planted@host", "me:planted@host:5000"),
        "http://[host",
    ):
        with pytest.raises(InvalidInput, match="give the address of a tracking server") as caught:
            store_named(address)

        assert "planted" not in str(caught.value)


def test_an_option_precedes_the_environment_which_precedes_the_embedded_store() -> None:
    environment = {"RISEXP_TRACKING_URI": "http://one:1"}

    chosen = [
        chosen_store("http://two:2", environment),
        chosen_store(None, environment),
        chosen_store(None, {}),
        chosen_store("off", environment),
        chosen_store(None, {"RISEXP_TRACKING_URI": "off"}),
    ]

    names = [None if store is None else store.name for store in chosen]
    assert ["http://two:2", "http://one:1", "embedded", None, None] == names


def test_a_store_is_opened_again_with_the_password_of_the_environment_and_no_other() -> None:
    environment = {"RISEXP_TRACKING_URI": "http://me:planted-secret@host:5000"}

    same = store_again("run-1", "http://host:5000", None, environment)
    other = store_again("run-1", "http://other:5000", None, environment)

    assert "planted-secret" == same.credentials["MLFLOW_TRACKING_PASSWORD"]
    assert {} == other.credentials
    with pytest.raises(InvalidInput, match="run run-1 is recorded in embedded and cannot move"):
        store_again("run-1", "embedded", "http://host:5000", {})


def test_credentials_are_set_within_the_context_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "everywhere")

    with in_environment(store_named("http://me:planted@host")):
        within = os.environ["MLFLOW_TRACKING_PASSWORD"], os.environ["MLFLOW_TRACKING_USERNAME"]

    assert ("planted", "me") == within
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ
    assert "everywhere" == os.environ["MLFLOW_TRACKING_USERNAME"]


def test_a_failure_is_one_line_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "planted-secret")

    def fail() -> None:
        message = "500 from http://me:other@host:\nplanted-secret " + "x" * 1_000
        raise ValueError(message)

    failure = attempt(fail)

    assert isinstance(failure, Failure)
    assert failure.sentence.startswith("ValueError: 500 from http://***@host: *** xxx")
    assert len(failure.sentence) < 450


def test_an_error_of_ours_and_a_silent_server_give_one_short_sentence() -> None:
    for error, sentence in (
        (OSError("(Caused by ... [Errno 111] Connection refused'))"), "connection refused"),
        (OSError("HTTPConnectionPool: Read timed out. (read timeout=10)"), "timed out"),
        (InvalidInput("name a store"), None),
    ):

        def fail(error: Exception = error) -> None:
            raise error

        expected = "name a store" if sentence is None else f"the store does not answer ({sentence})"
        assert Failure(expected, error) == attempt(fail)
