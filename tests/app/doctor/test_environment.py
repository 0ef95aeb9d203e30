"""Checks of the machine and of its stores."""

import shutil
import sqlite3
from contextlib import closing
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import URL

from risexp.app.doctor import environment, stores
from risexp.app.doctor.check import Check, Diagnosis
from risexp.app.doctor.environment import (
    databases,
    disk,
    embedded_databases,
    file_system,
    versions,
    writable,
)
from risexp.app.doctor.status import is_locked
from risexp.app.doctor.stores import destinations, records_check, studies_store
from risexp.errors import InvalidInput
from risexp.runs.folder import RunFolder
from risexp.tracking.stores import chosen_store
from tests.support.homes import diagnose
from tests.support.uploads import finished


def test_unmet_requirements_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: str) -> None:
        raise PackageNotFoundError

    assert "ok" == versions().verdict
    libraries = ["numpy>=1", "optuna>=99", "no-such-library>=1", "other>=1; extra == 'plots'"]
    monkeypatch.setattr(environment, "requires", lambda _: libraries)
    monkeypatch.setattr(environment, "metadata", lambda _: {"Requires-Python": ">=4"})

    check = versions()

    assert ("fail", 3) == (check.verdict, len(check.details))
    assert "is not >=4" in check.details[0]
    assert "is not >=99" in check.details[1]
    assert "no-such-library (missing) is not >=1" == check.details[2]
    monkeypatch.setattr(environment, "requires", unknown)
    assert "warn" == versions().verdict


def test_a_full_disk_fails_and_a_short_one_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for free, verdict in ((10_000_000, "fail"), (500_000_000, "warn"), (2_000_000_000, "ok")):
        usage = SimpleNamespace(total=10**12, used=0, free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
        assert verdict == disk(tmp_path).verdict


def test_a_home_must_be_writable_and_need_not_be_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Not even a superuser can create a file there.
    forbidden = writable(Path("/proc/self"))
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "new"))
    new = writable(tmp_path)

    assert "fail" == forbidden.verdict
    assert "/proc/self cannot be written" in forbidden.sentence
    assert ("ok", f"{tmp_path / 'new'} is not yet made, and can be") == (new.verdict, new.sentence)
    assert [] == list(tmp_path.iterdir())


def test_databases_are_on_a_local_disk_and_write_ahead(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = [tmp_path / "50% of it" / "a#b.db", tmp_path / "records.db"]
    for path, mode in zip(paths, ("WAL", "DELETE"), strict=True):
        path.parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA journal_mode={mode}")
            connection.execute("CREATE TABLE one (two)")
    studies = URL.create("sqlite", database=str(paths[0])).render_as_string()
    monkeypatch.setenv("RISEXP_STORE", studies)
    monkeypatch.setenv("RISEXP_TRACKING_URI", f"sqlite:///{paths[1]}")

    (modes,) = databases()

    assert paths == embedded_databases()
    assert ("warn", ("records.db is in mode delete",)) == (modes.verdict, modes.details)
    monkeypatch.setattr(environment, "file_system", lambda _: "nfs4")
    assert ["fail", "warn"] == [each.verdict for each in databases()]


def test_the_file_system_is_that_of_the_last_and_deepest_mount(tmp_path: Path) -> None:
    mounts, inner = tmp_path / "mounts", tmp_path / "a b"
    lines = ["/dev/b / xfs rw 0 0", "/dev/a / ext4 rw 0 0", ""]
    mounts.write_text("\n".join([*lines, f"server:/ {tmp_path}/a\\040b nfs4 rw 0 0"]), "utf-8")

    assert ("ext4", "nfs4") == (file_system(tmp_path, mounts), file_system(inner / "x", mounts))
    assert "" == file_system(tmp_path, tmp_path / "none")


def test_a_lock_is_seen_without_being_tried(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    assert not is_locked(lock)
    with RunFolder(tmp_path).held():
        assert is_locked(lock)
        assert not is_locked(lock, tmp_path / "none")
    assert not is_locked(lock)


def failed_stores() -> list[Check]:
    """Failed checks of the stores that the environment names."""
    with studies_store() as opened:
        checks = [opened.check, records_check(destinations(), chosen_store(None))]
    return [check for check in checks if check.verdict == "fail"]


@pytest.mark.usefixtures("own_home")
def test_a_store_that_does_not_answer_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stores, "PATIENCE_S", 0.0)
    for variable, scheme, what in (
        ("RISEXP_STORE", "postgresql", "studies"),
        ("RISEXP_TRACKING_URI", "http", "records"),
        ("RISEXP_TRACKING_URI", "postgresql", "records"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(variable, f"{scheme}://me:planted-secret@127.0.0.1:9/none")
            (check,) = failed_stores()
        assert ("stores", what) == (check.area, check.what)
        assert f"or name another one in {variable}" in check.sentence
        assert "127.0.0.1:9" in check.sentence
        assert "planted-secret" not in str(check)


def test_a_database_that_is_none_fails(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_home / "mlruns").mkdir()
    for name in ("optuna.db", "mlflow.db"):
        (own_home / "mlruns" / name).write_bytes(b"no database" * 100)

    assert ["studies", "records"] == [check.what for check in failed_stores()]
    monkeypatch.setenv("RISEXP_STORE", "nowhere")
    with pytest.raises(InvalidInput, match="the store's URL cannot be read"):
        failed_stores()


def test_tables_of_an_earlier_mlflow_stay_as_they_are(in_order: Path) -> None:
    path = in_order / "mlruns" / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        connection.commit()
        connection.execute("PRAGMA journal_mode=DELETE")
    finished("late")
    before = path.read_bytes()

    diagnosis = diagnose(fix=True)

    assert before == path.read_bytes()
    (check,) = [check for check in diagnosis.failed if check.what == "records"]
    assert "are of another version of MLflow: back it up and run `mlflow db upg" in check.sentence
    assert 1 == diagnosis.exit_code


def test_a_violation_counts_more_than_a_machine_or_a_store_that_failed() -> None:
    full, away, violated = (
        Check(area, "", "fail", "") for area in ("environment", "stores", "studies")
    )
    both = Diagnosis((full, away, violated))

    assert [1, 1] == [Diagnosis((check,)).exit_code for check in (full, away)]
    assert (4, (violated, full, away)) == (both.exit_code, both.failed)


@pytest.mark.usefixtures("own_home")
def test_a_record_that_is_off_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISEXP_TRACKING_URI", "off")

    assert [] == failed_stores()
