"""Writes frozen sets: shard by shard, each whole or not at all, the manifest last."""

import json
import math
import os
import shutil
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel

from risexp.config.run import RunConfig
from risexp.core.durable import PARTIAL, sync, write_durably
from risexp.core.locks import file_lock
from risexp.core.sealed import sha256_of
from risexp.data.frames import Scenes
from risexp.data.manifest import (
    MANIFEST,
    FileRecord,
    FrozenSetManifest,
    Request,
    SceneConfig,
    ShardRecord,
    digest_of,
    read_manifest,
    read_model,
)
from risexp.data.scenes import SceneGenerator
from risexp.data.shards import content_faults, field_shapes, set_faults, shard_faults
from risexp.data.streams import Split
from risexp.errors import DataInvalid, EnvironmentFailed

SHARD_SCENES = 2048
GENERATOR = "scenes-1"
_PROGRESS = "progress.json"
_LOCK = ".lock"
_BEGUN = (_LOCK, _PROGRESS + PARTIAL)
"""Files of a command that was killed before it wrote its progress."""
_NPY_HEADER = 128


class FreezeProgress(BaseModel):
    """The shards of an unfinished set; never read as a set."""

    request: Request
    shards: tuple[ShardRecord, ...] = ()


def scene_request(config: RunConfig, split: Split, scenes: int, device: str = "cpu") -> Request:
    """The request of a command, with all that decides its bits."""
    resolved = config.canonical()
    return Request(
        generator=f"{GENERATOR} torch-{torch.__version__} {torch.device(device).type}",
        config=SceneConfig(physics=resolved.physics, data=resolved.data),
        config_sha=config.sha("physics", "data"),
        split=split,
        seed=config.data.seed,
        scenes=scenes,
    )


def planned_bytes(request: Request) -> int:
    """Size of the arrays of a set, headers included."""
    whole, rest = divmod(request.scenes, SHARD_SCENES)
    return sum(
        shards * (math.prod(shape) * np.dtype(dtype).itemsize + _NPY_HEADER)
        for shards, scenes in ((whole, SHARD_SCENES), (int(rest > 0), rest))
        for shape, dtype in field_shapes(request.config, scenes).values()
    )


def freeze(
    folder: Path, request: Request, device: str, advance: Callable[[int], None]
) -> tuple[FrozenSetManifest, bool]:
    """Write a set, or finish an interrupted one; a whole set stays as it is.

    `advance` gets the number of scenes after each shard that is safe on disk.

    Returns:
        The manifest, and whether anything was drawn.
    """
    try:
        whole = _look(folder, request)
        if whole is not None:
            return whole, False
        created = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / _LOCK, f"another process is writing {folder}: wait for it"):
            whole = _look(folder, request)
            if whole is not None:
                return whole, False
            try:
                return _finish(folder, request, device, advance), True
            finally:
                _sweep(folder, created)
    except OSError as error:
        reason = error.strerror or f"the disk took only part of a file ({error})"
        kept = "; what is whole was kept, and the same command continues"
        begun = (folder / _PROGRESS).exists()
        raise EnvironmentFailed(f"cannot write {folder}: {reason}{kept if begun else ''}") from None


def _look(folder: Path, request: Request) -> FrozenSetManifest | None:
    """The set if it is whole; nothing is written, so that a refused folder stays as it was."""
    if folder.exists() and not folder.is_dir():
        raise DataInvalid(f"{folder} is a file: name a folder for the set")
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        _expect_same(folder, manifest.request, request)
        for _, faults in set_faults(folder, manifest):
            for fault in faults:
                raise DataInvalid(f"{folder} holds these scenes, damaged: {fault}; remove it first")
        return manifest
    if (folder / _PROGRESS).exists():
        _expect_same(folder, read_model(folder / _PROGRESS, FreezeProgress).request, request)
    elif folder.is_dir() and any(entry.name not in _BEGUN for entry in folder.iterdir()):
        raise DataInvalid(f"{folder} is not empty and holds no set: choose another folder")
    return None


def _finish(
    folder: Path, request: Request, device: str, advance: Callable[[int], None]
) -> FrozenSetManifest:
    shards = _resumed(folder, request)
    advance(sum(shard.scenes for shard in shards))
    needed = -(-request.scenes // SHARD_SCENES)
    _expect_room(folder, planned_bytes(request) * (1 - len(shards) / needed))
    # The first trace in the folder: it tells a killed command from other files.
    _commit(folder / _PROGRESS, FreezeProgress(request=request, shards=tuple(shards)))
    generator = SceneGenerator(request.config.physics, request.config.data, device)
    for index in range(len(shards), needed):
        first = index * SHARD_SCENES
        count = min(SHARD_SCENES, request.scenes - first)
        scenes = generator.scenes(request.split, first, count)
        shards.append(_write_shard(folder, index, scenes, request.config))
        _commit(folder / _PROGRESS, FreezeProgress(request=request, shards=tuple(shards)))
        advance(count)
    manifest = FrozenSetManifest(
        **{name: getattr(request, name) for name in Request.model_fields},
        shards=tuple(shards),
        digest=digest_of(request, tuple(shards)),
    )
    _commit(folder / MANIFEST, manifest)
    return manifest


def _resumed(folder: Path, request: Request) -> list[ShardRecord]:
    """The shards of an interrupted set, up to the first that is no longer what it was."""
    path = folder / _PROGRESS
    if not path.exists():
        return []
    shards = read_model(path, FreezeProgress).shards
    return list(takewhile(lambda it: not any(shard_faults(folder, it, request.config)), shards))


def _expect_same(folder: Path, found: Request, asked: Request) -> None:
    """Refuse to mix two sets, and name the first field that differs."""
    here, there = (_flat(request.model_dump(mode="json")) for request in (found, asked))
    for name, value in there.items():
        if name != "config_sha" and here.get(name) != value:
            raise DataInvalid(
                f"{folder} holds another set: {name} is {here.get(name)!r} there and {value!r} "
                "here; choose another folder"
            )


def _flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in tree.items():
        nested = _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else None
        flat |= nested if nested is not None else {f"{prefix}{name}": value}
    return flat


def _write_shard(folder: Path, index: int, scenes: Scenes, config: SceneConfig) -> ShardRecord:
    """All fields of a shard into a folder that takes its name only when they are safe on disk."""
    values = {field: value.cpu() for field, value in scenes.frames.items() + scenes.truth.items()}
    for field, problem in content_faults(values, config):
        raise DataInvalid(f"shard {index} was not written: its {field} is wrong: {problem}")
    name = f"shard-{index:05d}"
    partial = folder / f"{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    files = {}
    for field, value in values.items():
        array = value.numpy()
        path = partial / f"{field}.npy"
        with path.open("wb") as file:
            np.save(file, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        files[field] = FileRecord(
            path=f"{name}/{field}.npy",
            shape=array.shape,
            dtype=array.dtype.name,
            sha256=sha256_of(path),
        )
    sync(partial)
    shutil.rmtree(folder / name, ignore_errors=True)
    partial.rename(folder / name)
    sync(folder)
    return ShardRecord(scenes=len(scenes), files=files)


def _commit(path: Path, document: BaseModel) -> None:
    text = json.dumps(document.model_dump(mode="json"), indent=1)
    write_durably(path, text.encode(), mode=0o666)


def _expect_room(folder: Path, needed: float) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise EnvironmentFailed(
            f"{folder} needs {needed / 1e6:,.1f} MB and its disk has {free / 1e6:,.1f} MB free: "
            "make room or ask for fewer scenes"
        )


def _sweep(folder: Path, created: bool) -> None:
    """Remove half-written files, and every trace of a set without a shard."""
    for partial in folder.glob("shard-*.partial"):
        shutil.rmtree(partial)
    for name in (MANIFEST, _PROGRESS):
        (folder / (name + PARTIAL)).unlink(missing_ok=True)
    whole = (folder / MANIFEST).exists()
    begun = any(folder.glob("shard-*"))
    if whole or not begun:
        (folder / _PROGRESS).unlink(missing_ok=True)
    if not whole and not begun:
        (folder / _LOCK).unlink(missing_ok=True)
        if created and not any(folder.iterdir()):
            folder.rmdir()
