"""The manifest of a kept checkpoint, which commits its header and its tensors."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from risexp.config.section import one_sentence
from risexp.core.sealed import Seal, SealedFile, SealedPart, Sha
from risexp.errors import CheckpointDamaged
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
    """Write a packed checkpoint, the manifest last.

    Raises:
        OSError: The disk is full or forbidden.
    """
    _SEAL.write(manifest_path(folder, manifest.epoch), manifest, files)


def unpacked(folder: Path, epoch: int) -> Checkpoint:
    """The checkpoint of an epoch, every byte compared with what was committed.

    Raises:
        CheckpointDamaged: Something is missing or was changed.
        EnvironmentFailed: A file is there and cannot be read.
    """
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
    """The manifest of an epoch, exactly as it was written.

    Raises:
        CheckpointDamaged: It is missing or was changed.
        EnvironmentFailed: It is there and cannot be read.
    """
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
