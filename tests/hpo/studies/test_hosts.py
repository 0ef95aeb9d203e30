"""The home of a study's runs, and hosts that cannot go on."""

from pathlib import Path

import pytest

from risexp.core.home import home_id
from risexp.errors import InvalidInput
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.hosts import join_home
from risexp.hpo.studies.study import StudyRef
from tests.support.worker_processes import EMBEDDED


def test_a_home_keeps_its_identity_wherever_it_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "one"))
    first = home_id()
    (tmp_path / "linked").symlink_to(tmp_path / "one")
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "linked"))

    assert first == home_id()

    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "another"))
    assert first != home_id()


@EMBEDDED
def test_a_study_is_worked_on_from_the_home_of_its_runs_alone(
    store: StudyStore, study: StudyRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "one"))
    join_home(store, study)
    join_home(store, study)
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "another"))

    with pytest.raises(InvalidInput, match=f"keeps its runs in {tmp_path}/one .*is another home"):
        join_home(store, study)
