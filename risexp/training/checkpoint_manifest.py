"""What a kept checkpoint consists of, with sizes and checksums; its presence is the commit."""

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from risexp.config.run import canonical_sha
from risexp.config.words import one_sentence
from risexp.errors import CheckpointDamaged, EnvironmentFailed
from risexp.training.checkpoint import FORMAT, Checkpoint, decode, encode

_MANIFEST: Final = re.compile(r"epoch-(\d{6})\.manifest\.json")
_CONTENT: Final = re.compile(r"epoch-(\d{6})-[0-9a-f]{12}\.(?:json|safetensors)")

Sha = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Content(_Part):
    """One file of a checkpoint; its name holds its checksum, so another content is another file."""

    name: str = Field(pattern=f"^{_CONTENT.pattern}$")
    size: int
    """In bytes."""
    sha256: Sha


class CheckpointManifest(_Part):
    """A committed checkpoint."""

    format: Literal["risexp-checkpoint-1"] = FORMAT
    run_id: str
    config_sha: Sha
    epoch: int
    best_epoch: int | None
    """The best epoch when it was written, whose checkpoint is kept too."""
    header: Content
    tensors: Content

    def rendered(self) -> bytes:
        """The one text of this manifest, with a digest of itself."""
        return _rendered(self.model_dump(mode="json"))


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


def unpacked(folder: Path, epoch: int) -> Checkpoint:
    """The checkpoint of an epoch, every byte compared with what was committed.

    Raises:
        CheckpointDamaged: Something is missing or was changed.
        EnvironmentFailed: A file is there and cannot be read.
    """
    manifest = read_manifest(folder, epoch)
    checkpoint = decode(_verified(folder, manifest.header), _verified(folder, manifest.tensors))
    told = manifest.run_id, manifest.config_sha, manifest.epoch, epoch
    if told != (checkpoint.run_id, checkpoint.config_sha, checkpoint.epoch, checkpoint.epoch):
        raise CheckpointDamaged(f"{manifest_path(folder, epoch)} is that of another checkpoint")
    return checkpoint


def read_manifest(folder: Path, epoch: int) -> CheckpointManifest:
    """The manifest of an epoch, exactly as it was written.

    Raises:
        CheckpointDamaged: It is missing or was changed.
        EnvironmentFailed: It is there and cannot be read.
    """
    path = manifest_path(folder, epoch)
    text = _read(path)
    try:
        document = json.loads(text)
        del document["digest"]
        written = _rendered(document)
    except (ValueError, KeyError, TypeError):
        raise CheckpointDamaged(f"{path} is no manifest") from None
    if written != text:
        raise CheckpointDamaged(f"{path} was changed after it was written")
    try:
        return CheckpointManifest.model_validate_json(json.dumps(document))
    except ValidationError as error:
        raise CheckpointDamaged(f"{path}: {one_sentence(error)}") from None


def manifest_path(folder: Path, epoch: int) -> Path:
    """Where the manifest of an epoch stands."""
    return folder / f"epoch-{epoch:06d}.manifest.json"


def committed(folder: Path) -> tuple[int, ...]:
    """Epochs that have a manifest, the newest first."""
    if not folder.is_dir():
        return ()
    found = (_MANIFEST.fullmatch(path.name) for path in folder.iterdir())
    return tuple(sorted((int(match[1]) for match in found if match), reverse=True))


def contents(folder: Path) -> list[tuple[int, Path]]:
    """Epoch and path of every file of a checkpoint that is no manifest, committed or not."""
    found = ((_CONTENT.fullmatch(path.name), path) for path in sorted(folder.iterdir()))
    return [(int(match[1]), path) for match, path in found if match]


def _rendered(document: dict[str, Any]) -> bytes:
    return json.dumps({**document, "digest": canonical_sha(document)}, indent=1).encode()


def _content(epoch: int, suffix: str, content: bytes) -> Content:
    sha = hashlib.sha256(content).hexdigest()
    return Content(name=f"epoch-{epoch:06d}-{sha[:12]}.{suffix}", size=len(content), sha256=sha)


def _verified(folder: Path, record: Content) -> bytes:
    path = folder / record.name
    content = _read(path)
    if len(content) != record.size:
        raise CheckpointDamaged(f"{path} has {len(content)} bytes, and {record.size} were written")
    if hashlib.sha256(content).hexdigest() != record.sha256:
        raise CheckpointDamaged(f"{path} does not have the checksum it was written with")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointDamaged(f"{path} is missing") from None
    except OSError as error:
        raise EnvironmentFailed(f"cannot read {path}: {error.strerror}") from None
