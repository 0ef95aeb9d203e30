"""The sealed folder of a model: its files, and the manifest that commits them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from risexp.config.words import one_sentence
from risexp.core.sealed import Seal, SealedFile, SealedPart
from risexp.errors import EnvironmentFailed, ModelRefused

MANIFEST: Final = "manifest.json"


class _File(SealedFile):
    name: str = Field(pattern=r"^[a-z0-9-]+\.[a-z]+$")
    size: int = Field(ge=0, le=4 << 30)


class _Manifest(SealedPart):
    format: Literal["risexp-sealed-1"] = "risexp-sealed-1"
    files: list[_File]


_SEAL: Final = Seal(
    _Manifest, "manifest of a model", ModelRefused, one_sentence, ": fetch the model again"
)


def seal(folder: Path, files: Mapping[str, bytes]) -> str:
    """Write files into a folder, each durably, and the manifest last.

    Returns:
        The digest, which tells this content from any other.

    Raises:
        EnvironmentFailed: The disk is full or forbidden.
    """
    manifest = _Manifest(files=[_File.of(name, content) for name, content in sorted(files.items())])
    try:
        return _SEAL.write(folder / MANIFEST, manifest, files)
    except OSError as error:
        raise EnvironmentFailed(f"cannot write the model to {folder}: {error.strerror}") from None


def unseal(folder: Path) -> tuple[dict[str, bytes], str]:
    """The files of a folder, every byte compared with the manifest, and the digest of all.

    Raises:
        ModelRefused: Something is missing or was changed.
        EnvironmentFailed: A file is there and cannot be read.
    """
    manifest, digest = _SEAL.read(folder / MANIFEST)
    return {each.name: _SEAL.verified(folder / each.name, each) for each in manifest.files}, digest
