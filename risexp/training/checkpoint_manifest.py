"""The manifest of a kept checkpoint, which commits its header and its tensors."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeVar

from pydantic import Field

from risexp.config.section import one_sentence
from risexp.core.durable import set_aside, sync
from risexp.core.sealed import Seal, SealedFile, SealedPart, Sha
from risexp.errors import CheckpointDamaged, EnvironmentFailed
from risexp.training.checkpoint import FORMAT, Checkpoint, decode, encode

_MANIFEST: Final = re.compile(r"epoch-(\d{6})\.manifest\.json")
_CONTENT: Final = re.compile(r"epoch-(\d{6})-[0-9a-f]{12}\.(?:json|safetensors)")


class Content(SealedFile):
    """One file of a checkpoint; its name holds its checksum, so another content is another file."""

    name: str = Field(pattern=f"^{_CONTENT.pattern}$")


class CheckpointManifest(SealedPart):
    """A committed checkpoint."""

    format: Literal["risexp-checkpoint-1"] = FORMAT
    run_id: str
    config_sha: Sha
    epoch: int
    best_epoch: int | None
    """The best epoch when it was written, whose checkpoint is kept too."""
    header: Content
    tensors: Content


_SEAL: Final = Seal(CheckpointManifest, "manifest", CheckpointDamaged, one_sentence)


def packed(checkpoint: Checkpoint) -> tuple[CheckpointManifest, dict[str, bytes]]:
    """A checkpoint as its manifest and its files by name."""
    header, tensors = encode(checkpoint)
    best = checkpoint.state.progress.best
    manifest = CheckpointManifest(
        run_id=checkpoint.run_id,
        config_sha=checkpoint.config_sha,
        epoch=checkpoint.epoch,
        best_epoch=None if best is None else best.epoch,
        header=_content(checkpoint.epoch, "json", header),
        tensors=_content(checkpoint.epoch, "safetensors", tensors),
    )
    return manifest, {manifest.header.name: header, manifest.tensors.name: tensors}


def commit(folder: Path, manifest: CheckpointManifest, files: Mapping[str, bytes]) -> None:
    """Write a packed checkpoint, the manifest last."""
    _SEAL.write(manifest_path(folder, manifest.epoch), manifest, files)


def unpacked(folder: Path, epoch: int) -> Checkpoint:
    """The checkpoint of an epoch, every byte compared with what was committed."""
    manifest = read_manifest(folder, epoch)
    header, tensors = (
        _SEAL.verified(folder / record.name, record)
        for record in (manifest.header, manifest.tensors)
    )
    checkpoint = decode(header, tensors)
    sealed = manifest.run_id, manifest.config_sha, manifest.epoch, epoch
    if sealed != (checkpoint.run_id, checkpoint.config_sha, checkpoint.epoch, checkpoint.epoch):
        raise CheckpointDamaged(f"{manifest_path(folder, epoch)} is that of another checkpoint")
    return checkpoint


def read_manifest(folder: Path, epoch: int) -> CheckpointManifest:
    """The manifest of an epoch, exactly as it was written."""
    return _SEAL.read(manifest_path(folder, epoch))[0]


def manifest_path(folder: Path, epoch: int) -> Path:
    """The path of an epoch's manifest."""
    return folder / f"epoch-{epoch:06d}.manifest.json"


def committed(folder: Path) -> tuple[int, ...]:
    """Epochs that have a manifest, the newest first."""
    if not folder.is_dir():
        return ()
    names = (_MANIFEST.fullmatch(path.name) for path in folder.iterdir())
    return tuple(sorted((int(match[1]) for match in names if match), reverse=True))


def contents(folder: Path) -> list[tuple[int, Path]]:
    """Epoch and path of every file of a checkpoint that is no manifest, committed or not."""
    names = ((_CONTENT.fullmatch(path.name), path) for path in sorted(folder.iterdir()))
    return [(int(match[1]), path) for match, path in names if match]


def _content(epoch: int, suffix: str, content: bytes) -> Content:
    record = Content.of(f"epoch-{epoch:06d}-{'0' * 12}.{suffix}", content)
    return record.model_copy(update={"name": f"epoch-{epoch:06d}-{record.sha256[:12]}.{suffix}"})


_Read = TypeVar("_Read")


class Place(NamedTuple):
    """The place of a committed checkpoint; places sort by epoch, then by attempt."""

    epoch: int
    attempt: int
    folder: Path


class CheckpointScan:
    """Reads the checkpoints of several attempts; damaged ones are set aside, never deleted."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """List the committed checkpoints of the attempts, the earliest attempt first."""
        places = (
            Place(epoch, attempt, folder)
            for attempt, folder in enumerate(folders)
            for epoch in committed(folder)
        )
        self.places = sorted(places, reverse=True)
        """The newest first; without damaged ones."""
        self.damaged: list[str] = []
        """One sentence for each damaged one."""

    def opened(self, read: Callable[[Path, int], _Read], place: Place) -> _Read | None:
        """The result of `read`; None if the checkpoint is damaged, which is then set aside."""
        try:
            return read(place.folder, place.epoch)
        except CheckpointDamaged as error:
            result = self._read_again(read, place, str(error))
        if result is None:
            self.places.remove(place)
        return result

    def of_epoch(self, epoch: int) -> Checkpoint | None:
        """The sound checkpoint of an epoch, of the latest attempt that has one."""
        places = [each for each in self.places if each.epoch == epoch]
        if not places:
            self.damaged.append(f"the checkpoint of epoch {epoch} is missing")
        opened = (self.opened(unpacked, place) for place in places)
        return next((each for each in opened if each is not None), None)

    def choices(self) -> Iterator[int]:
        """Epochs in the order of choice: the best one by each manifest, then the newest."""
        seen: set[int] = set()
        for epoch in self._ranked():
            if epoch not in seen:
                seen.add(epoch)
                yield epoch

    def _ranked(self) -> Iterator[int]:
        for place in [*self.places]:
            # A place that was read before may have been damaged.
            manifest = self.opened(read_manifest, place) if place in self.places else None
            if manifest is not None:
                yield place.epoch if manifest.best_epoch is None else manifest.best_epoch
        yield from [place.epoch for place in self.places]

    def _read_again(
        self, read: Callable[[Path, int], _Read], place: Place, fault: str
    ) -> _Read | None:
        """Read once more: the run may have replaced or removed the checkpoint meanwhile."""
        if place.epoch not in committed(place.folder):
            return None
        try:
            return read(place.folder, place.epoch)
        except CheckpointDamaged:
            self.damaged.append(f"{fault}: set aside")
            _quarantine(place.folder, place.epoch)
            return None


def _quarantine(folder: Path, epoch: int) -> None:
    """Set a checkpoint aside, its manifest first: without one it is no checkpoint."""
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
