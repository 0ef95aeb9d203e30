"""The checkpoints of a run: the last two and the best are kept, each whole or set aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from risexp.core.durable import PARTIAL, sync
from risexp.errors import CheckpointDamaged, CheckpointRefused, EnvironmentFailed
from risexp.training.checkpoint import Checkpoint
from risexp.training.checkpoint_manifest import (
    CheckpointManifest,
    CheckpointScan,
    commit,
    committed,
    contents,
    manifest_path,
    packed,
    read_manifest,
    unpacked,
)

_KEPT: Final = 2


@dataclass(frozen=True)
class CheckpointOwner:
    """The run and the configuration that checkpoints belong to."""

    run_id: str
    config_sha: str

    def expect(self, checkpoint: Checkpoint) -> None:
        """Refuse a checkpoint of another run or another configuration."""
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
class CheckpointStore:
    """The folder to which one attempt at a run, and nothing else, writes its checkpoints."""

    folder: Path
    owner: CheckpointOwner

    def save(self, checkpoint: Checkpoint) -> None:
        """Commit a checkpoint, then remove those that are no longer needed.

        An epoch that is saved again, e.g. with its temperature, replaces itself in one step.

        Raises:
            CheckpointRefused: It is another run's.
            EnvironmentFailed: The disk is full or forbidden; what was committed before stays.
        """
        self.owner.expect(checkpoint)
        manifest, files = packed(checkpoint)
        try:
            commit(self.folder, manifest, files)
            _prune(self.folder)
        except OSError as error:
            raise EnvironmentFailed(
                f"cannot keep the checkpoint of epoch {manifest.epoch} in {self.folder}: "
                f"{error.strerror}; those committed before are untouched"
            ) from None


C = TypeVar("C", bound=Checkpoint | None)


@dataclass(frozen=True)
class SoundCheckpoint(Generic[C]):
    """A checkpoint that was found sound."""

    checkpoint: C
    """None if there is no sound one."""
    damaged: tuple[str, ...]
    """One sentence for each damaged one that would have been chosen before it."""


def newest(
    folders: Sequence[Path], owner: CheckpointOwner | None = None
) -> SoundCheckpoint[Checkpoint | None]:
    """The newest sound checkpoint of several attempts; damaged ones are renamed, never deleted.

    The earliest attempt comes first; without an owner any run's checkpoint will do.

    Raises:
        CheckpointRefused: It belongs to another run.
        EnvironmentFailed: A file cannot be read, or not be set aside.
    """
    scan = CheckpointScan(folders)
    for place in [*scan.places]:
        checkpoint = scan.opened(unpacked, place)
        if checkpoint is not None:
            if owner is not None:
                owner.expect(checkpoint)
            uncommitted = _uncommitted(folders, after=place.epoch)
            return SoundCheckpoint(checkpoint, (*scan.damaged, *uncommitted))
    return SoundCheckpoint(None, (*scan.damaged, *_uncommitted(folders, after=0)))


def best(
    folders: Sequence[Path], owner: CheckpointOwner | None = None
) -> SoundCheckpoint[Checkpoint]:
    """The checkpoint of the best epoch of several attempts, or of the last one if none was judged.

    The newest sound manifest says which one is the best. If that checkpoint is damaged, it is
    renamed, never deleted, and the manifest before counts; in the end, the newest checkpoint.

    Raises:
        CheckpointDamaged: No sound one is left.
        CheckpointRefused: It belongs to another run.
        EnvironmentFailed: A file cannot be read, or not be set aside.
    """
    scan = CheckpointScan(folders)
    chosen: list[int] = []
    for epoch in scan.choices():
        chosen.append(epoch)
        checkpoint = scan.of_epoch(epoch)
        if checkpoint is not None:
            if owner is not None:
                owner.expect(checkpoint)
            used = f"the checkpoint of epoch {epoch} is used in place of that of epoch {chosen[0]}"
            return SoundCheckpoint(checkpoint, (*scan.damaged, *[used] * (epoch != chosen[0])))
    where = ", ".join(map(str, folders)) or "a run that never began"
    if scan.damaged:
        raise CheckpointDamaged(
            f"no sound checkpoint is left in {where}: {scan.damaged[-1]}; put a copy of it back, "
            "or resume the run, which then begins anew"
        )
    raise CheckpointDamaged(f"no checkpoint lies in {where}: go on with the run first")


def _uncommitted(folders: Sequence[Path], after: int) -> list[str]:
    """A sentence for each newer epoch that has files and no manifest."""
    torn = {
        (epoch, folder)
        for folder in folders
        if folder.is_dir()
        for epoch, _ in contents(folder)
        if epoch > after and epoch not in committed(folder)
    }
    return [
        f"epoch {epoch} in {folder} has files and no manifest: its save was interrupted, or the "
        "manifest was removed"
        for epoch, folder in sorted(torn)
    ]


def _prune(folder: Path) -> None:
    """Keep the last two checkpoints, and the best one by either of them.

    The second one counts too: it is left if the newest turns out damaged.
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


def _manifest_if_sound(folder: Path, epoch: int) -> CheckpointManifest | None:
    try:
        return read_manifest(folder, epoch)
    except CheckpointDamaged:
        return None
