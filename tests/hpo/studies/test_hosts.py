"""The home of a study's runs, and hosts that cannot go on."""

from pathlib import Path

import pytest

from risexp.core.home import home_id
from risexp.errors import InvalidInput
from risexp.hpo.store.store import StudyStore
from risexp.hpo.studies.hosts import join_home
from risexp.hpo.studies.study import StudyRef
from risexp.runs.folder import create_run
from risexp.training.curriculum import curriculum
from tests.support.trainers import small_config
from tests.support.worker_processes import EMBEDDED, claimed, queue_of


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
    with pytest.raises(InvalidInput, match=r"or let `risexp worker --study toy --own-home` train"):
        join_home(store, study)


@EMBEDDED
def test_a_study_of_an_earlier_version_belongs_to_the_home_that_holds_its_runs(
    store: StudyStore, study: StudyRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names no home, and the first one to ask may not be the right one."""
    config = small_config()
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "right"))
    create_run(claimed(queue_of(store, study)).run_id, config, curriculum(config))

    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "wrong"))
    with pytest.raises(InvalidInput, match=f"{tmp_path}/wrong holds none of its runs: name the"):
        join_home(store, study)
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "right"))
    told = join_home(store, study)

    assert f"study toy keeps its runs in {tmp_path}/right from now on" == told
    assert None is join_home(store, study)
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "wrong"))
    with pytest.raises(InvalidInput, match=f"keeps its runs in {tmp_path}/right"):
        join_home(store, study)
