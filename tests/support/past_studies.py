"""Databases of past studies that are made once for a module, and copied for each of its tests."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from risexp.hpo.store.address import embedded
from risexp.hpo.studies.study import study_names
from tests.support.worker_processes import opened


def database_with(make: Callable[[], object], empty: Path, home: Path) -> Path:
    """A copy of an empty database in a home, with the studies that `make` adds."""
    path = home / "mlruns" / "optuna.db"
    path.parent.mkdir()
    path.write_bytes(empty.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISEXP_HOME", str(home))
        make()
    return path


def delete_study(name: str) -> None:
    """Delete a study of the embedded store."""
    with opened(embedded()) as store:
        optuna.delete_study(study_name=name, storage=store.storage)


def names_of_studies() -> list[str]:
    """Of the embedded store, in the order they were made."""
    with opened(embedded()) as store:
        return study_names(store)
