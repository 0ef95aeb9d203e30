"""Checkpoints on disk: committed in one step, verified before use, set aside when damaged."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from risexp.errors import CheckpointDamaged, CheckpointRefused
from risexp.training.checkpoint import Checkpoint
from risexp.training.checkpoint_manifest import committed
from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore, best, newest
from risexp.training.progress import Best
from tests.support.checkpoint_stores import OWNER, epoch_found, filled, names
from tests.support.trainers import same_state


def test_the_newest_comes_back_as_it_was(tmp_path: Path, run: tuple[Checkpoint, ...]) -> None:
    vault = filled(tmp_path, run[:3])

    found = newest([vault.folder], OWNER)

    assert () == found.damaged
    assert found.checkpoint is not None
    assert same_state(run[2].state, found.checkpoint.state)
    assert run[2].plan == found.checkpoint.plan


def test_the_last_two_and_the_best_are_kept(tmp_path: Path, run: tuple[Checkpoint, ...]) -> None:
    vault = filled(tmp_path, run)

    assert (5, 4, 2) == committed(vault.folder)
    assert 9 == len(names(vault.folder))
    assert same_state(run[1].state, best([vault.folder], OWNER).checkpoint.state)


def test_the_best_of_the_last_but_one_outlives_a_new_best(
    tmp_path: Path, run: tuple[Checkpoint, ...]
) -> None:
    progress = replace(run[4].state.progress, best=Best(5, "joint", 0.5))
    better = replace(run[4], state=replace(run[4].state, progress=progress))

    vault = filled(tmp_path, (*run[:4], better))

    assert (5, 4, 2) == committed(vault.folder)
    assert 5 == best([vault.folder], OWNER).checkpoint.epoch


def test_before_any_epoch_is_judged_the_last_is_the_best(
    tmp_path: Path, run: tuple[Checkpoint, ...]
) -> None:
    early = replace(run[0].state, progress=replace(run[0].state.progress, best=None))

    vault = filled(tmp_path, (replace(run[0], state=early),))

    assert 1 == best([vault.folder]).checkpoint.epoch


def test_files_and_folder_are_their_owners_alone(
    tmp_path: Path, run: tuple[Checkpoint, ...]
) -> None:
    vault = filled(tmp_path, run[:2])

    modes = {stat.S_IMODE(path.stat().st_mode) for path in vault.folder.iterdir()}

    assert {0o600} == modes
    assert 0o700 == stat.S_IMODE(vault.folder.stat().st_mode)


def test_no_file_names_a_folder_of_this_machine(
    tmp_path: Path, run: tuple[Checkpoint, ...]
) -> None:
    vault = filled(tmp_path, run[:2])

    whole = b"".join(path.read_bytes() for path in vault.folder.iterdir())

    for place in (tmp_path, Path.home(), Path.cwd()):
        assert str(place).encode() not in whole


def test_an_epoch_saved_again_replaces_itself(tmp_path: Path, run: tuple[Checkpoint, ...]) -> None:
    vault = filled(tmp_path, run)

    vault.save(replace(run[1], temperature=1.7))

    assert (5, 4, 2) == committed(vault.folder)
    assert 9 == len(names(vault.folder))
    assert 1.7 == best([vault.folder], OWNER).checkpoint.temperature
    assert 5 == epoch_found(vault.folder)


def test_an_empty_or_missing_folder_holds_no_checkpoint(tmp_path: Path) -> None:
    assert newest([tmp_path, tmp_path / "none"], OWNER).checkpoint is None
    with pytest.raises(CheckpointDamaged, match="no checkpoint lies in"):
        best([tmp_path])


def test_a_later_attempt_goes_on_from_the_newest_of_all(
    tmp_path: Path, run: tuple[Checkpoint, ...]
) -> None:
    one, two, three = (tmp_path / name for name in ("a01", "a02", "a03"))
    for folder, epochs in ((one, run[:4]), (two, run[2:3])):
        for checkpoint in epochs:
            CheckpointStore(folder, OWNER).save(checkpoint)
    again = replace(run[3], temperature=2.0)
    CheckpointStore(three, OWNER).save(again)

    found = newest([one, two, three], OWNER).checkpoint

    assert found is not None
    assert (4, 2.0) == (found.epoch, found.temperature)
    assert 2 == best([one, two, three], OWNER).checkpoint.epoch


def test_another_runs_checkpoint_is_not_taken_in(
    tmp_path: Path, run: tuple[Checkpoint, ...]
) -> None:
    vault = CheckpointStore(tmp_path, CheckpointOwner("run-2", OWNER.config_sha))

    with pytest.raises(CheckpointRefused, match="belongs to run 'run-1', not to 'run-2'"):
        vault.save(run[0])

    assert [] == names(tmp_path)
