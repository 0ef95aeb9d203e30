"""A folder of files with a manifest of their sizes and checksums; its presence is the commit."""

import hashlib
import json
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from risexp.config.run import canonical_sha
from risexp.config.words import one_sentence
from risexp.core.durable import write_durably
from risexp.errors import EnvironmentFailed, ModelRefused

MANIFEST: Final = "manifest.json"

_LARGEST: Final = 4 << 30
"""Bytes of a file."""
_LARGEST_MANIFEST: Final = 1 << 20

Sha = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _File(_Part):
    """One file beside the manifest."""

    name: str = Field(pattern=r"^[a-z0-9-]+\.[a-z]+$")
    size: int = Field(ge=0, le=_LARGEST)
    """In bytes."""
    sha256: Sha


class _Manifest(_Part):
    """What the folder holds."""

    format: Literal["risexp-sealed-1"] = "risexp-sealed-1"
    files: list[_File]


def seal(folder: Path, files: Mapping[str, bytes]) -> str:
    """Write files into a folder, each durably, and the manifest last.

    Returns:
        The digest, which tells this content from any other.

    Raises:
        EnvironmentFailed: The disk is full or forbidden.
    """
    manifest = _Manifest(files=[_file(name, content) for name, content in sorted(files.items())])
    document = manifest.model_dump(mode="json")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            write_durably(folder / name, content)
        write_durably(folder / MANIFEST, _rendered(document))
    except OSError as error:
        raise EnvironmentFailed(f"cannot write the model to {folder}: {error.strerror}") from None
    return canonical_sha(document)


def unseal(folder: Path) -> tuple[dict[str, bytes], str]:
    """The files of a folder, every byte compared with the manifest, and the digest of all.

    Raises:
        ModelRefused: Something is missing or was changed.
        EnvironmentFailed: A file is there and cannot be read.
    """
    manifest, digest = _manifest(folder / MANIFEST)
    return {each.name: _verified(folder / each.name, each) for each in manifest.files}, digest


def _manifest(path: Path) -> tuple[_Manifest, str]:
    """A manifest exactly as it was written, and the digest that it states."""
    if _size(path) > _LARGEST_MANIFEST:
        raise ModelRefused(f"{path} is no manifest of a model")
    text = _read(path)
    try:
        document = json.loads(text)
        digest = document.pop("digest")
        written = _rendered(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelRefused(f"{path} is no manifest of a model") from None
    if written != text:
        raise ModelRefused(f"{path} was changed after it was written: fetch the model again")
    try:
        return _Manifest.model_validate_json(json.dumps(document)), digest
    except ValidationError as error:
        raise ModelRefused(f"{path}: {one_sentence(error)}") from None


def _verified(path: Path, record: _File) -> bytes:
    if (size := _size(path)) != record.size:
        raise ModelRefused(
            f"{path} has {size} bytes, and {record.size} were written: fetch the model again"
        )
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != record.sha256:
        raise ModelRefused(
            f"{path} does not have the checksum it was written with: fetch the model again"
        )
    return content


def _size(path: Path) -> int:
    """Of a file, before anything of it is read: it may fill the memory, or never end."""
    with _explained(path):
        found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ModelRefused(f"{path} is no plain file: fetch the model again")
    return found.st_size


def _read(path: Path) -> bytes:
    with _explained(path):
        return path.read_bytes()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ModelRefused(f"{path} is missing: fetch the model again") from None
    except OSError as error:
        raise EnvironmentFailed(f"cannot read {path}: {error.strerror}") from None


def _file(name: str, content: bytes) -> _File:
    return _File(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def _rendered(document: dict[str, Any]) -> bytes:
    return json.dumps({**document, "digest": canonical_sha(document)}, indent=1).encode()
