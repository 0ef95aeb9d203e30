"""Frozen sets as the tests need them: small, interrupted, damaged and forged."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.core.sealed import sha256_of
from risexp.data import freezing
from risexp.data.frames import Scenes
from risexp.data.freezing import freeze, scene_request
from risexp.data.manifest import FrozenSetManifest, Request, digest_of
from risexp.data.shards import FrozenSet, set_faults

Json = dict[str, Any]

SCENES = 10
FEW = 6
FULL = OSError(errno.ENOSPC, "No space left on device")
SECOND_SHARD = 15
"""A call of `np.save` within it."""


def smoke(*overrides: str) -> RunConfig:
    return load_config(preset="smoke", overrides=overrides).config


def request_of(*overrides: str, scenes: int = SCENES) -> Request:
    return scene_request(smoke(*overrides), "test", scenes)


def ignored(_count: int) -> None:
    pass


def frozen(folder: Path, request: Request | None = None) -> FrozenSetManifest:
    manifest, _ = freeze(folder, request or request_of(), "cpu", ignored)
    return manifest


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes; empty folders by their name."""
    return {
        str(path.relative_to(folder)): b"" if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def arrays(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if name.endswith(".npy")}


def bits(scenes: Scenes) -> dict[str, tuple[torch.dtype, tuple[int, ...], bytes]]:
    """Type, shape and every byte of every field, by name."""
    named: list[tuple[str, Any]] = [*scenes.frames.items(), *scenes.truth.items()]
    return {
        name: (value.dtype, tuple(value.shape), value.contiguous().cpu().numpy().tobytes())
        for name, value in named
    }


def failing_save(monkeypatch: pytest.MonkeyPatch, call: int, failure: BaseException) -> None:
    """`np.save` writes half a file and fails, at its n-th call: a field of the second shard."""
    save, calls = np.save, iter(range(1, 1000))

    def half(file: Any, array: Any, **options: Any) -> None:  # noqa: ANN401 - np.save's own
        if next(calls) == call:
            file.write(b"half an arr")
            raise failure
        save(file, array, **options)

    monkeypatch.setattr(np, "save", half)


def interrupted(folder: Path, request: Request | None = None) -> None:
    """Leave a set of which one shard is whole."""
    with pytest.MonkeyPatch.context() as patch:
        failing_save(patch, SECOND_SHARD, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            frozen(folder, request)


def killed_early(folder: Path) -> None:
    """What a kill during the first shard leaves: a promise and half an array."""
    (folder / "shard-00000.partial").mkdir(parents=True)
    (folder / "shard-00000.partial" / "y.npy").write_bytes(b"half an arr")
    (folder / ".lock").touch()
    promise = freezing.FreezeProgress(request=request_of()).model_dump_json()
    (folder / "progress.json").write_text(promise, encoding="utf-8")


def sealed(said: Json) -> str:
    """The digest of a manifest that was changed on purpose."""
    manifest = FrozenSetManifest.model_validate_json(json.dumps(said))
    return digest_of(manifest.request, manifest.shards)


def frozen_few(folder: Path) -> Path:
    """A set of six scenes."""
    frozen(folder, request_of(scenes=FEW))
    return folder


def faults(folder: Path) -> list[str]:
    damage = set_faults(folder, FrozenSet.open(folder).manifest)
    return [str(fault) for _, faults in damage for fault in faults]


def edited(folder: Path, change: Callable[[Json], object]) -> None:
    """Change what the manifest says, and nothing else."""
    path = folder / "manifest.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    change(said)
    path.write_text(json.dumps(said), encoding="utf-8")


def forged(folder: Path, field: str, write: Callable[[Path], object]) -> Path:
    """A copy of a set with another file in its second shard, every checksum corrected."""
    forgery = Path(shutil.copytree(folder, Path(mkdtemp(dir=folder.parent)) / "set"))
    path = forgery / "shard-00001" / f"{field}.npy"
    write(path)

    def resealed(said: Json) -> None:
        said["shards"][1]["files"][field]["sha256"] = sha256_of(path)
        said["digest"] = sealed(said)

    edited(forgery, resealed)
    return forgery


def changed(folder: Path, field: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Path:
    """A copy of a set with other values of a field, every checksum corrected."""
    return forged(folder, field, lambda path: np.save(path, change(np.load(path))))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def emptied(path: Path) -> None:
    path.write_bytes(b"")
