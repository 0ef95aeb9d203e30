"""Where a run's checkpoints are kept: the last two and the best, each whole or set aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from risexp.errors import CheckpointDamaged, CheckpointRefused, EnvironmentFailed
from risexp.training.checkpoint import Checkpoint
from risexp.training.durable import PARTIAL, set_aside, sync, write_durably
from risexp.training.manifest import (
    Manifest,
    committed,
    contents,
    manifest_path,
    packed,
    read_manifest,
    unpacked,
)

_KEPT: Final = 2


@dataclass(frozen=True)
class Owner:
    """Whose checkpoints they are."""

    run_id: str
    config_sha: str

    def expect(self, checkpoint: Checkpoint) -> None:
        """Refuse what belongs to others.

        Raises:
            CheckpointRefused: It is another run's or another configuration's.
        """
        if checkpoint.run_id != self.run_id:
            raise CheckpointRefused(
                f"the checkpoint of epoch {checkpoint.epoch} belongs to run {checkpoint.run_id!r}, "
                f"not to {self.run_id!r}"
            )
        if checkpoint.config_sha != self.config_sha:
            raise CheckpointRefused(
                f"the checkpoint of epoch {checkpoint.epoch} was made under configuration "
                f"{checkpoint.config_sha[:12]}, not {self.config_sha[:12]}: a run does not change "
                "its configuration, start another one"
            )


@dataclass(frozen=True)
class Vault:
    """The folder one attempt at a run writes its checkpoints to; nobody else does."""

    folder: Path
    owner: Owner

    def save(self, checkpoint: Checkpoint) -> None:
        """Commit a checkpoint, then let go of those that are no longer needed.

        An epoch that is saved again, e.g. with its temperature, replaces itself in one step.

        Raises:
            CheckpointRefused: It is another run's.
            EnvironmentFailed: The disk is full or forbidden; what was committed before stays.
        """
        self.owner.expect(checkpoint)
        manifest, files = packed(checkpoint)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, content in files.items():
                write_durably(self.folder / name, content)
            write_durably(manifest_path(self.folder, manifest.epoch), manifest.rendered())
            _prune(self.folder)
        except OSError as error:
            raise EnvironmentFailed(
                f"cannot keep the checkpoint of epoch {manifest.epoch} in {self.folder}: "
                f"{error.strerror}; those committed before are untouched"
            ) from None


@dataclass(frozen=True)
class Recovered:
    """What was found when a run looked for its last checkpoint."""

    checkpoint: Checkpoint | None
    """The newest one that is sound; None where a run has to begin anew."""
    damaged: tuple[str, ...]
    """What is wrong with newer ones, in sentences: to be told to whoever runs it."""


def newest(folders: Sequence[Path], owner: Owner | None = None) -> Recovered:
    """The newest sound checkpoint of several attempts; damaged ones are renamed, never deleted.

    Args:
        folders: Of the attempts, the earliest first.
        owner: Whose it has to be; None for anybody's.

    Raises:
        CheckpointRefused: It belongs to another run.
        EnvironmentFailed: A file cannot be read, or not be set aside.
    """
    damaged = []
    for epoch, folder in _by_age(folders):
        try:
            checkpoint = unpacked(folder, epoch)
        except CheckpointDamaged as error:
            damaged.append(str(error))
            _quarantine(folder, epoch)
            continue
        if owner is not None:
            owner.expect(checkpoint)
        return Recovered(checkpoint, (*damaged, *_uncommitted(folders, after=epoch)))
    return Recovered(None, (*damaged, *_uncommitted(folders, after=0)))


def best(folders: Sequence[Path], owner: Owner | None = None) -> Checkpoint:
    """The checkpoint of the best epoch, or of the last one while none was judged.

    Args:
        folders: Of the attempts, the earliest first.
        owner: Whose it has to be; None for anybody's.

    Raises:
        CheckpointDamaged: There is none, or it is damaged; no other one is taken in its place.
        CheckpointRefused: It belongs to another run.
    """
    found = _by_age(folders)
    if not found:
        raise CheckpointDamaged(f"no checkpoint lies in {', '.join(map(str, folders))}")
    last, last_folder = found[0]
    chosen = read_manifest(last_folder, last).best_epoch
    wanted = last if chosen is None else chosen
    for epoch, folder in found:
        if epoch == wanted:
            checkpoint = unpacked(folder, epoch)
            if owner is not None:
                owner.expect(checkpoint)
            return checkpoint
    raise CheckpointDamaged(f"the checkpoint of the best epoch, {wanted}, is missing")


def _by_age(folders: Sequence[Path]) -> list[tuple[int, Path]]:
    """Epoch and folder of all committed checkpoints, the newest first, later attempts before."""
    found = [
        (epoch, attempt, folder)
        for attempt, folder in enumerate(folders)
        for epoch in committed(folder)
    ]
    return [(epoch, folder) for epoch, _, folder in sorted(found, reverse=True)]


def _uncommitted(folders: Sequence[Path], after: int) -> list[str]:
    """What is said of newer epochs that have files and no manifest."""
    found = {
        (epoch, folder)
        for folder in folders
        if folder.is_dir()
        for epoch, _ in contents(folder)
        if epoch > after and epoch not in committed(folder)
    }
    return [
        f"epoch {epoch} in {folder} has files and no manifest: its save was interrupted, or the "
        "manifest was removed"
        for epoch, folder in sorted(found)
    ]


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


def _prune(folder: Path) -> None:
    """Keep the last two checkpoints, and what either of them calls the best.

    The second one's choice counts too: it is what is left when the newest turns out damaged.
    """
    epochs = committed(folder)
    manifests = {epoch: _manifest_if_sound(folder, epoch) for epoch in epochs}
    last = [manifests[epoch] for epoch in epochs[:_KEPT]]
    kept = {*epochs[:_KEPT], *(each.best_epoch for each in last if each is not None)}
    for epoch in set(epochs) - kept:
        manifest_path(folder, epoch).unlink()
        manifests.pop(epoch)
    sound = [each for each in manifests.values() if each is not None]
    named = {each.header.name for each in sound} | {each.tensors.name for each in sound}
    unsound = {epoch for epoch, manifest in manifests.items() if manifest is None}
    for epoch, path in contents(folder):
        if path.name not in named and epoch not in unsound:
            path.unlink()
    for path in folder.glob(f"epoch-*{PARTIAL}"):
        path.unlink()
    sync(folder)


def _manifest_if_sound(folder: Path, epoch: int) -> Manifest | None:
    try:
        return read_manifest(folder, epoch)
    except CheckpointDamaged:
        return None
