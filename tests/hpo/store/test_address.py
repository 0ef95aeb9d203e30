from pathlib import Path

import pytest

from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.hpo.store.address import address_of, embedded, prepare


def test_the_default_is_a_file_in_the_home_and_a_path_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    assert tmp_path / "mlruns" / "optuna.db" == address_of(embedded()).path
    assert tmp_path / "a.db" == address_of("sqlite:///a.db").path


def test_a_server_is_reached_through_psycopg() -> None:
    schemes = ("postgresql", "postgres", "postgresql+psycopg")

    addresses = [address_of(f"{scheme}://me:word@host:1/name") for scheme in schemes]

    assert {"postgresql+psycopg"} == {address.url.drivername for address in addresses}
    assert {None} == {address.path for address in addresses}


def test_the_name_holds_no_password() -> None:
    address = address_of("postgresql://me:hunter2secret@host/name?password=other2secret")

    assert "secret" not in address.name
    assert "host/name" in address.name
    assert "hunter2secret" in address.text


def test_invalid_addresses_are_refused_without_secrets() -> None:
    for url in (
        "",
        "optuna.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////a/what?.db",
        "mysql://me:hunter2secret@host/name",
        "postgresql://me:hunter2secret@host:port/name",
    ):
        with pytest.raises(InvalidInput, match="sqlite") as refusal:
            address_of(url)

        assert "secret" not in str(refusal.value)


def test_only_its_owner_can_read_a_new_file_and_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mlruns" / "optuna.db"
    prepare(path)
    assert 0o600 == path.stat().st_mode & 0o777

    with pytest.raises(EnvironmentFailed, match="cannot write"):
        prepare(path / "optuna.db")
