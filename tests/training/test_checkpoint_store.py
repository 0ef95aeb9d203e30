"""Checkpoints on disk: committed in one step, verified before use, set aside when damaged."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from risexp.errors import CheckpointDamaged
from risexp.training.checkpoint_manifest import committed
from risexp.training.checkpoint_store import CheckpointStore, best, newest
from tests.support.checkpoint_stores import (
    OWNER,
    epoch_found,
    fifth_is_best,
    filled,
    five_epochs,
    names,
    with_best,
)
from tests.support.trainers import same_state


def test_the_newest_comes_back_and_the_last_two_and_the_best_are_kept(tmp_path: Path) -> None:
    run, store = five_epochs(), filled(tmp_path)

    found = newest([store.folder], OWNER)

    assert found.checkpoint is not None
    assert same_state(run[4].state, found.checkpoint.state)
    assert ((), run[4].plan) == (found.damaged, found.checkpoint.plan)
    assert (5, 4, 2) == committed(store.folder)
    assert 9 == len(names(store.folder))
    assert same_state(run[1].state, best([store.folder], OWNER).checkpoint.state)


def test_the_best_of_the_last_but_one_outlives_a_new_best_and_the_first_is_one(
    tmp_path: Path,
) -> None:
    assert newest([tmp_path, tmp_path / "none"], OWNER).checkpoint is None
    with pytest.raises(CheckpointDamaged, match="no checkpoint lies in"):
        best([tmp_path])
    unjudged = filled(tmp_path / "unjudged", [with_best(five_epochs()[0], None)])
    assert 1 == best([unjudged.folder]).checkpoint.epoch
    store = filled(tmp_path, fifth_is_best())

    assert (5, 4, 2) == committed(store.folder)
    assert 5 == best([store.folder], OWNER).checkpoint.epoch


def test_files_are_their_owners_alone_and_name_no_folder_of_this_machine(tmp_path: Path) -> None:
    folder = filled(tmp_path, five_epochs()[:2]).folder

    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    whole = b"".join(path.read_bytes() for path in folder.iterdir())

    assert ({0o600}, 0o700) == (modes, stat.S_IMODE(folder.stat().st_mode))
    for place in (tmp_path, Path.home(), Path.cwd()):
        assert str(place).encode() not in whole


def test_an_epoch_saved_again_replaces_itself(tmp_path: Path) -> None:
    store = filled(tmp_path)

    store.save(replace(five_epochs()[1], temperature=1.7))

    assert (5, 4, 2) == committed(store.folder)
    assert 9 == len(names(store.folder))
    assert 1.7 == best([store.folder], OWNER).checkpoint.temperature
    assert 5 == epoch_found(store.folder)


def test_a_later_attempt_goes_on_from_the_newest_of_all(tmp_path: Path) -> None:
    run, folders = five_epochs(), [tmp_path / name for name in ("a01", "a02", "a03")]
    attempts = (run[:4], run[2:3], [replace(run[3], temperature=2.0)])
    for folder, epochs in zip(folders, attempts, strict=True):
        for checkpoint in epochs:
            CheckpointStore(folder, OWNER).save(checkpoint)

    found = newest(folders, OWNER).checkpoint

    assert found is not None
    assert (4, 2.0) == (found.epoch, found.temperature)
    assert 2 == best(folders, OWNER).checkpoint.epoch
