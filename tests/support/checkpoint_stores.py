"""Vaults as the tests need them: five epochs of a small run, and what lies in a folder."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from risexp.training.checkpoint import Checkpoint
from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore, best, newest
from risexp.training.progress import Best
from tests.support.trainers import checkpoints, small_config

OWNER = CheckpointOwner("run-1", small_config().sha())


@cache
def five_epochs() -> tuple[Checkpoint, ...]:
    """A checkpoint after each of five epochs, of which the second is the best."""
    return tuple(
        replace(
            each,
            state=replace(
                each.state,
                progress=replace(each.state.progress, best=Best(min(each.epoch, 2), "joint", 1.0)),
            ),
        )
        for each in checkpoints(5)
    )


def filled(folder: Path, checkpoints: tuple[Checkpoint, ...]) -> CheckpointStore:
    """A vault in which these were saved one after another."""
    vault = CheckpointStore(folder / "run", OWNER)
    for checkpoint in checkpoints:
        vault.save(checkpoint)
    return vault


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def epoch_found(folder: Path) -> int | None:
    """Epoch of the checkpoint that a resuming run would find."""
    found = newest([folder], OWNER).checkpoint
    return None if found is None else found.epoch


def chosen(folder: Path) -> tuple[int, tuple[str, ...]]:
    """Epoch of the checkpoint that is taken as the best, and what is said of it."""
    found = best([folder], OWNER)
    return found.checkpoint.epoch, found.damaged
