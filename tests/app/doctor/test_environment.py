"""Checks of the machine and of its stores."""

import shutil
import sqlite3
from contextlib import closing
from importlib.metadata import PackageNotFoundError
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, create_engine

from risexp.app.doctor import environment, stores
from risexp.app.doctor.environment import (
    databases,
    disk,
    embedded_databases,
    file_system,
    journal_mode,
    versions,
    writable,
)
from risexp.app.doctor.status import is_locked
from risexp.app.doctor.stores import studies_store
from risexp.errors import InvalidInput
from risexp.runs.folder import RunFolder
from tests.support.homes import change_studies, diagnose, problems
from tests.support.uploads import finished


def test_unmet_requirements_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ok" == versions().verdict
    libraries = ["numpy>=1", "optuna>=99", "no-such-library>=1", "other>=1; extra == 'plots'"]
    monkeypatch.setattr(environment, "requires", lambda _: libraries)
    monkeypatch.setattr(environment, "metadata", lambda _: {"Requires-Python": ">=4"})

    check = versions()

    assert ("fail", 3) == (check.verdict, len(check.details))
    assert "is not >=4" in check.details[0]
    assert "is not >=99" in check.details[1]
    assert "no-such-library (missing) is not >=1" == check.details[2]


def test_a_package_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: str) -> None:
        raise PackageNotFoundError

    monkeypatch.setattr(environment, "requires", unknown)

    assert "warn" == versions().verdict


def test_a_full_disk_fails_and_a_short_one_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for free, verdict in ((10_000_000, "fail"), (500_000_000, "warn"), (2_000_000_000, "ok")):
        usage = SimpleNamespace(total=10**12, used=0, free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
        assert verdict == disk(tmp_path).verdict


def test_a_home_that_cannot_be_written_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not even a superuser can create a file there.
    monkeypatch.setenv("RISEXP_HOME", "/proc/self")
    monkeypatch.setenv("RISEXP_TRACKING_URI", "off")

    diagnosis = diagnose()

    (check,) = [check for check in diagnosis.failed if check.what == "home"]
    assert "/proc/self cannot be written" in check.sentence
    assert 1 == diagnosis.exit_code


def test_a_home_that_is_not_yet_made_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "new"))

    check = writable(tmp_path)

    assert "ok" == check.verdict
    assert f"{tmp_path / 'new'} is not yet made, and can be" == check.sentence
    assert [] == list(tmp_path.iterdir())


@pytest.mark.usefixtures("in_order")
def test_databases_on_a_disk_of_several_machines_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ["ok"] == [each.verdict for each in databases()]

    monkeypatch.setattr(environment, "file_system", lambda _: "nfs4")

    assert ["fail", "ok"] == [each.verdict for each in databases()]


def test_databases_that_the_environment_names_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = [tmp_path / "50% of it" / "a#b.db", tmp_path / "records.db"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    studies = URL.create("sqlite", database=str(paths[0])).render_as_string()
    monkeypatch.setenv("RISEXP_STORE", studies)
    monkeypatch.setenv("RISEXP_TRACKING_URI", f"sqlite:///{paths[1]}")

    assert paths == embedded_databases()
    assert ["wal", "wal"] == [journal_mode(path) for path in paths]


def test_the_file_system_is_that_of_the_deepest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    inner = tmp_path / "a b"
    inner.mkdir()
    lines = ["/dev/a / ext4 rw 0 0", "", f"server:/ {tmp_path}/a\\040b nfs4 rw 0 0"]
    mounts.write_text("\n".join(lines), encoding="utf-8")

    assert ("ext4", "nfs4") == (file_system(tmp_path, mounts), file_system(inner / "x", mounts))
    assert "" == file_system(tmp_path, tmp_path / "none")


def test_a_lock_is_seen_without_being_tried(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    assert not is_locked(lock)
    with RunFolder(tmp_path).held():
        assert is_locked(lock)
        assert not is_locked(lock, tmp_path / "none")
    assert not is_locked(lock)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "PATIENCE_S", 0.0)


@pytest.mark.usefixtures("in_order", "impatient")
def test_a_store_that_does_not_answer_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable, scheme, what in (
        ("RISEXP_STORE", "postgresql", "studies"),
        ("RISEXP_TRACKING_URI", "http", "records"),
        ("RISEXP_TRACKING_URI", "postgresql", "records"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(variable, f"{scheme}://me:planted-secret@127.0.0.1:9/none")
            diagnosis = diagnose()
        (check,) = diagnosis.failed
        assert ("stores", what) == (check.area, check.what)
        assert f"or name another one in {variable}" in check.sentence
        assert "127.0.0.1:9" in check.sentence
        assert "planted-secret" not in str(diagnosis.as_json())
        assert 1 == diagnosis.exit_code


def older(path: Path) -> None:
    from mlflow.store.tracking.dbmodels.initial_models import Base

    config = Config()
    config.set_main_option("script_location", str(files("mlflow") / "store" / "db_migrations"))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}")
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    engine.dispose()
    command.upgrade(config, "451aebb31d03")


def test_tables_of_an_earlier_mlflow_stay_as_they_are(in_order: Path) -> None:
    path = in_order / "mlruns" / "mlflow.db"
    path.unlink()
    older(path)
    finished("late")
    before = path.read_bytes()

    diagnosis = diagnose(fix=True)

    assert before == path.read_bytes()
    (check,) = [check for check in diagnosis.failed if check.what == "records"]
    assert "are of another version of MLflow: back it up and run `mlflow db upg" in check.sentence
    assert 1 == diagnosis.exit_code


@pytest.mark.usefixtures("in_order")
def test_a_database_that_is_none_fails() -> None:
    for name in ("optuna.db", "mlflow.db"):
        (Path("mlruns") / name).write_bytes(b"no database" * 100)

    diagnosis = diagnose()

    assert {"studies", "records"} <= {check.what for check in diagnosis.failed}
    assert 1 == diagnosis.exit_code


def test_a_store_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISEXP_STORE", "nowhere")

    with pytest.raises(InvalidInput, match="the store's URL cannot be read"), studies_store():
        pass


@pytest.mark.usefixtures("in_order", "impatient")
def test_a_violation_counts_more_than_a_store_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change_studies("DELETE FROM trial_intermediate_values WHERE step = 2")
    monkeypatch.setenv("RISEXP_TRACKING_URI", "http://127.0.0.1:9")

    diagnosis = diagnose()

    assert ["toy: I3", "records"] == [check.what for check in diagnosis.failed]
    assert 4 == diagnosis.exit_code


@pytest.mark.usefixtures("in_order")
def test_a_record_that_is_off_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISEXP_TRACKING_URI", "off")

    diagnosis = diagnose()

    assert {} == problems(diagnosis)
