"""Looks through kept checkpoints: sound ones are opened, damaged ones set aside, never deleted."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from risexp.core.durable import set_aside, sync
from risexp.errors import CheckpointDamaged, EnvironmentFailed
from risexp.training.checkpoint import Checkpoint
from risexp.training.checkpoint_manifest import (
    committed,
    contents,
    manifest_path,
    read_manifest,
    unpacked,
)

_Read = TypeVar("_Read")


class Place(NamedTuple):
    """Where a committed checkpoint stands; that of a later epoch or attempt is larger."""

    epoch: int
    attempt: int
    folder: Path


class CheckpointScan:
    """One look through the checkpoints of several attempts."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Find what was committed.

        Args:
            folders: Of the attempts, the earliest first.
        """
        found = (
            Place(epoch, attempt, folder)
            for attempt, folder in enumerate(folders)
            for epoch in committed(folder)
        )
        self.places = sorted(found, reverse=True)
        """The newest first; without those that turned out damaged."""
        self.damaged: list[str] = []
        """What was wrong with the others, in sentences."""

    def opened(self, read: Callable[[Path, int], _Read], place: Place) -> _Read | None:
        """What is read of a checkpoint; None where it is damaged, and from then on set aside.

        Raises:
            EnvironmentFailed: A file cannot be read, or not be set aside.
        """
        try:
            return read(place.folder, place.epoch)
        except CheckpointDamaged as error:
            found = self._again(read, place, str(error))
        if found is None:
            self.places.remove(place)
        return found

    def of_epoch(self, epoch: int) -> Checkpoint | None:
        """The sound checkpoint of an epoch, of the latest attempt that has one."""
        places = [each for each in self.places if each.epoch == epoch]
        if not places:
            self.damaged.append(f"the checkpoint of epoch {epoch} is missing")
        opened = (self.opened(unpacked, place) for place in places)
        return next((each for each in opened if each is not None), None)

    def choices(self) -> Iterator[int]:
        """Epochs as they are wanted: what each manifest calls the best, then the newest."""
        told: set[int] = set()
        for epoch in self._wanted():
            if epoch not in told:
                told.add(epoch)
                yield epoch

    def _wanted(self) -> Iterator[int]:
        for place in [*self.places]:
            # What was asked for before may have turned out damaged.
            manifest = self.opened(read_manifest, place) if place in self.places else None
            if manifest is not None:
                yield place.epoch if manifest.best_epoch is None else manifest.best_epoch
        yield from [place.epoch for place in self.places]

    def _again(self, read: Callable[[Path, int], _Read], place: Place, said: str) -> _Read | None:
        """Look once more: whoever trains the run may have replaced or removed it meanwhile."""
        if place.epoch not in committed(place.folder):
            return None
        try:
            return read(place.folder, place.epoch)
        except CheckpointDamaged:
            self.damaged.append(f"{said}: set aside")
            _quarantine(place.folder, place.epoch)
            return None


def _quarantine(folder: Path, epoch: int) -> None:
    """Set a checkpoint aside, its manifest first, so that it is none from then on."""
    try:
        set_aside(manifest_path(folder, epoch))
        for owner, path in contents(folder):
            if owner == epoch:
                set_aside(path)
        sync(folder)
    except OSError as error:
        raise EnvironmentFailed(
            f"the checkpoint of epoch {epoch} in {folder} is damaged and cannot be set aside: "
            f"{error.strerror}"
        ) from None
