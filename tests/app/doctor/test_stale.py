"""What a check-up finds lying about is told, and stays: it deletes nothing."""

import os

import pytest

from risexp.runs.folder import list_runs
from tests.support.homes import check_of, folder_of, found, the_study, wrong
from tests.support.uploads import new_run, train

pytestmark = pytest.mark.usefixtures("in_order")


def test_a_run_that_is_trained_is_not_told_to_be_unsent() -> None:
    folder = new_run("busy")
    train(folder)

    with folder.held():
        assert {} == wrong(found())
        assert () == found(fix=True).done
    assert {"unsent": "warn"} == wrong(found())


def test_folders_of_a_study_that_is_gone_are_told_and_stay() -> None:
    with the_study() as (store, study):
        store.storage.delete_study(study.id)
    before = [each.run_id for each in list_runs()]

    assert {"studies": "warn"} == {
        each.what: each.verdict
        for each in found().checks
        if each.area == "stale" and each.verdict != "ok"
    }
    assert () == found(fix=True).done
    assert before == [each.run_id for each in list_runs()]


def test_files_that_somebody_who_died_left_are_told_and_stay() -> None:
    attempt = folder_of(0).attempts()[0]
    paths = [attempt / "epoch-1.json.partial", attempt / "epoch-2.safetensors.corrupt"]
    for path in paths:
        path.touch()
    os.utime(paths[0], (0, 0))

    diagnosis = found(fix=True)

    assert ((), 0) == (diagnosis.done, diagnosis.exit_code)
    assert {"partial files": "warn", "checkpoints": "warn"} == wrong(diagnosis)
    assert "epoch-2.safetensors.corrupt" in check_of(diagnosis, "checkpoints").sentence
    assert all(path.exists() for path in paths)


def test_a_file_that_somebody_is_writing_is_not_told() -> None:
    (folder_of(0).path / "outcome.json.partial").touch()

    assert {} == wrong(found())
