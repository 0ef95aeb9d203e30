"""The manifest of a frozen set: configuration, files, shapes and checksums."""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from risexp.config.measurement import DataConfig, PhysicsConfig
from risexp.config.section import one_sentence
from risexp.core.sealed import SealedPart, Sha, canonical_sha
from risexp.data.streams import Split
from risexp.errors import DataInvalid

FORMAT: Literal["risexp-scenes-1"] = "risexp-scenes-1"
MANIFEST = "manifest.json"

Model = TypeVar("Model", bound=BaseModel)


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path:
        message = f"{path!r} leads out of the set's folder"
        raise ValueError(message)
    return path


class FileRecord(SealedPart):
    """One array on disk."""

    path: Annotated[str, AfterValidator(_inside)]
    shape: tuple[int, ...]
    dtype: str
    sha256: Sha


class ShardRecord(SealedPart):
    """Some consecutive scenes, one file a field."""

    scenes: int = Field(ge=1)
    files: dict[str, FileRecord]


class SceneConfig(SealedPart):
    """The two sections that decide what a scene is."""

    physics: PhysicsConfig
    data: DataConfig


class Request(SealedPart):
    """A request for a set; two sets of one request on one machine have the same bits."""

    format: Literal["risexp-scenes-1"] = FORMAT
    generator: str
    config: SceneConfig
    config_sha: Sha
    split: Split
    seed: int
    scenes: int = Field(ge=1)


class FrozenSetManifest(Request):
    """A whole set; its presence is what makes a folder one."""

    shards: tuple[ShardRecord, ...]
    digest: Sha

    @property
    def request(self) -> Request:
        """The request of the set."""
        return Request(**{name: getattr(self, name) for name in Request.model_fields})


def digest_of(request: Request, shards: tuple[ShardRecord, ...]) -> str:
    """The identity of a set: its request, and the checksums of its files in order."""
    sums = [[name, shard.files[name].sha256] for shard in shards for name in sorted(shard.files)]
    asked = [request.generator, request.config_sha, request.split, request.seed]
    return canonical_sha([asked, sums])


def read_manifest(folder: Path) -> FrozenSetManifest:
    """The manifest of a whole set."""
    if not folder.is_dir():
        raise DataInvalid(f"there is no folder {folder}")
    path = folder / MANIFEST
    if not path.exists():
        raise DataInvalid(
            f"{folder} holds no {MANIFEST}: it is no set of scenes, or one that was interrupted; "
            "the same `risexp data generate` command finishes it"
        )
    manifest = read_model(path, FrozenSetManifest)
    for problem in _contradictions(manifest, json.loads(path.read_bytes())["config"]):
        raise DataInvalid(f"{path}: {problem}")
    return manifest


def _contradictions(manifest: FrozenSetManifest, written: object) -> Iterator[str]:
    """Contradictions within a manifest; the configuration counts as it was written.

    Sections gain fields with time, so a hash of the parsed configuration would not be the old one.
    """
    if manifest.config_sha != canonical_sha(written):
        yield "config_sha is not that of the config it lists"
    if manifest.seed != manifest.config.data.seed:
        yield f"seed is {manifest.seed}, and {manifest.config.data.seed} in its config"
    paths = [file.path for shard in manifest.shards for file in shard.files.values()]
    if len(set(paths)) < len(paths):
        yield "one file is listed twice"
    if manifest.digest != digest_of(manifest.request, manifest.shards):
        yield "the digest does not match the files and the request it lists"
    if manifest.scenes != sum(shard.scenes for shard in manifest.shards):
        yield f"the shards do not add up to {manifest.scenes} scenes"


def read_model(path: Path, kind: type[Model]) -> Model:
    """One JSON document checked against its model."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataInvalid(f"cannot read {path}: {error.strerror}") from None
    except ValidationError as error:
        raise DataInvalid(f"{path}: {one_sentence(error)}") from None
