"""Checkpoint stores as the tests need them: five epochs of a small run, and a folder's names."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from risexp.training.checkpoint import Checkpoint
from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore, best, newest
from risexp.training.progress import Best
from tests.support.trainers import checkpoints, small_config

OWNER = CheckpointOwner("run-1", small_config().sha())


def with_best(checkpoint: Checkpoint, best: Best | None) -> Checkpoint:
    """The checkpoint of a run whose best epoch is another one."""
    state = checkpoint.state
    return replace(checkpoint, state=replace(state, progress=replace(state.progress, best=best)))


@cache
def five_epochs() -> tuple[Checkpoint, ...]:
    """A checkpoint after each of five epochs; the second epoch is the best."""
    return tuple(with_best(each, Best(min(each.epoch, 2), "joint", 1.0)) for each in checkpoints(5))


def fifth_is_best() -> tuple[Checkpoint, ...]:
    """The five epochs where the second was the best until the fifth."""
    return (*five_epochs()[:4], with_best(five_epochs()[4], Best(5, "joint", 0.5)))


def filled(folder: Path, checkpoints: Sequence[Checkpoint] | None = None) -> CheckpointStore:
    """A store of these checkpoints, saved one after another; by default all five."""
    store = CheckpointStore(folder / "run", OWNER)
    for checkpoint in five_epochs() if checkpoints is None else checkpoints:
        store.save(checkpoint)
    return store


def names(folder: Path) -> list[str]:
    """Sorted names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


def epoch_found(folder: Path) -> int | None:
    """Epoch of the checkpoint from which a run would go on."""
    checkpoint = newest([folder], OWNER).checkpoint
    return None if checkpoint is None else checkpoint.epoch


def chosen(folder: Path) -> tuple[int, tuple[str, ...]]:
    """Epoch of the best checkpoint, and the sentences about damaged ones."""
    found = best([folder], OWNER)
    return found.checkpoint.epoch, found.damaged
