"""Sealed files: a manifest of their sizes and checksums, written last, is the commit."""

import hashlib
import json
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from risexp.core.durable import write_durably
from risexp.errors import EnvironmentFailed, RisexpError

_LARGEST_MANIFEST: Final = 1 << 20
"""Size in bytes."""

Sha = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class SealedPart(BaseModel):
    """A part of a manifest: it has exactly these fields, of exactly these types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SealedFile(SealedPart):
    """One file beside a manifest."""

    name: str
    size: int = Field(ge=0)
    """In bytes."""
    sha256: Sha

    @classmethod
    def of(cls, name: str, content: bytes) -> Self:
        """The record of a file."""
        return cls(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())


M = TypeVar("M", bound=SealedPart)


@dataclass(frozen=True)
class Seal(Generic[M]):
    """Writes and reads one kind of sealed files."""

    manifest: type[M]
    kind: str
    """What an error calls the manifest."""
    damaged: type[RisexpError]
    """The error for files that are not what was sealed."""
    explain: Callable[[ValidationError], str]
    advice: str = ""
    """The end of an error sentence."""

    def write(self, path: Path, manifest: M, files: Mapping[str, bytes]) -> str:
        """Write files durably beside a manifest, and the manifest last.

        Returns:
            The digest of the manifest, which tells this content from any other.
        """
        document = manifest.model_dump(mode="json")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            write_durably(path.parent / name, content)
        write_durably(path, _text(document))
        return canonical_sha(document)

    def read(self, path: Path) -> tuple[M, str]:
        """A manifest exactly as it was written, and its digest."""
        if self._size(path) > _LARGEST_MANIFEST:
            raise self.damaged(f"{path} is no {self.kind}")
        text = self._bytes(path)
        try:
            document = json.loads(text)
            digest: str = document.pop("digest")
            written = _text(document)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise self.damaged(f"{path} is no {self.kind}") from None
        if written != text:
            raise self.damaged(f"{path} was changed after it was written{self.advice}")
        try:
            return self.manifest.model_validate_json(json.dumps(document)), digest
        except ValidationError as error:
            raise self.damaged(f"{path}: {self.explain(error)}") from None

    def verified(self, path: Path, record: SealedFile) -> bytes:
        """The bytes of a file, compared with its record."""
        # The size first: a forged file may fill the memory, or never end.
        if (size := self._size(path)) != record.size:
            raise self.damaged(
                f"{path} has {size} bytes, and {record.size} were written{self.advice}"
            )
        content = self._bytes(path)
        if hashlib.sha256(content).hexdigest() != record.sha256:
            raise self.damaged(
                f"{path} does not have the checksum it was written with{self.advice}"
            )
        return content

    def _size(self, path: Path) -> int:
        with self._explained(path):
            status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise self.damaged(f"{path} is no plain file{self.advice}")
        return status.st_size

    def _bytes(self, path: Path) -> bytes:
        with self._explained(path):
            return path.read_bytes()

    @contextmanager
    def _explained(self, path: Path) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise self.damaged(f"{path} is missing{self.advice}") from None
        except OSError as error:
            raise EnvironmentFailed(f"cannot read {path}: {error.strerror}") from None


def canonical_sha(document: object) -> str:
    """SHA-256 of the one JSON text that a document of plain values has here."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(document: dict[str, Any]) -> bytes:
    return json.dumps({**document, "digest": canonical_sha(document)}, indent=1).encode()
