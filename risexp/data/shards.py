"""Reads frozen sets: a shard is compared with its checksums before a scene of it is used."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from risexp.config.measurement import PhysicsConfig
from risexp.core.sealed import sha256_of
from risexp.data.frames import Frames, Scenes, Truth
from risexp.data.manifest import (
    FileRecord,
    FrozenSetManifest,
    SceneConfig,
    ShardRecord,
    read_manifest,
)
from risexp.data.scenes import panel_of, source_steering
from risexp.errors import DataInvalid
from risexp.physics.signals import received

FRAME_FIELDS = ("y", "channel", "codes", "snr_db")
_NUMBERS = ("y", "channel", "snr_db", "symbols", "amplitude", "noise_power")
"""Fields without a single NaN."""


@dataclass(frozen=True)
class ShardFault:
    """A fault of a set: the file, and the problem."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


@dataclass(frozen=True)
class FrozenSet:
    """A whole set of scenes on disk, memory-mapped a shard at a time."""

    folder: Path
    manifest: FrozenSetManifest
    _sound: set[int] = field(default_factory=set, repr=False, compare=False)
    """Shards that were verified since the set was opened."""

    @classmethod
    def open(cls, folder: Path) -> "FrozenSet":
        """Open a set by its manifest; its arrays are checked when first used."""
        return cls(folder, read_manifest(folder))

    def __len__(self) -> int:
        return self.manifest.scenes

    @property
    def physics(self) -> PhysicsConfig:
        """The physics of the scenes."""
        return self.manifest.config.physics

    def shards(self) -> Iterator[Scenes]:
        """All scenes, a shard at a time."""
        for index in range(len(self.manifest.shards)):
            yield self.shard(index)

    def shard(self, index: int) -> Scenes:
        """The scenes of one shard."""
        record = self.manifest.shards[index]
        if index not in self._sound:
            for fault in shard_faults(self.folder, record, self.manifest.config):
                raise DataInvalid(str(fault))
            self._sound.add(index)
        files = record.files.items()
        return _scenes_of({name: _mapped(self.folder / file.path) for name, file in files})

    def scenes(self, start: int, count: int) -> Scenes:
        """Scenes start .. start + count - 1."""
        stop = start + count
        if not 0 <= start < stop <= len(self):
            asked = f"{start}..{stop - 1}" if count > 1 else f"{start}"
            raise DataInvalid(f"{self.folder} holds scenes 0..{len(self) - 1}, not {asked}")
        parts, first = [], 0
        for index, record in enumerate(self.manifest.shards):
            low, high = max(start - first, 0), min(stop - first, record.scenes)
            if low < high:
                parts.append(self.shard(index)[low:high])
            first += record.scenes
        return Scenes.join(parts)


def field_shapes(config: SceneConfig, scenes: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of every array of a shard, by field."""
    physics, most = config.physics, config.data.sources_max
    snapshots, antennas, elements = physics.snapshots, physics.antennas, physics.elements
    held = 1 if physics.symbols == "frame" else snapshots
    return {
        "y": ((scenes, snapshots, antennas), "complex64"),
        "channel": ((scenes, antennas, elements), "complex64"),
        "codes": ((snapshots, elements), "complex64"),
        "snr_db": ((scenes,), "float32"),
        "count": ((scenes,), "int64"),
        "phi_rad": ((scenes, most), "float64"),
        "theta_rad": ((scenes, most), "float64"),
        "range_m": ((scenes, most), "float64"),
        "symbols": ((scenes, held, most), "complex64"),
        "amplitude": ((scenes, most), "float32"),
        "noise_power": ((scenes,), "float32"),
    }


def shard_faults(folder: Path, record: ShardRecord, config: SceneConfig) -> Iterator[ShardFault]:
    """All faults of a shard: of single files, then of their contents together."""
    expected = field_shapes(config, record.scenes)
    codes = record.files.get("codes")
    if codes is not None and len(codes.shape) == 3:  # codes of their own for every scene
        expected["codes"] = ((record.scenes, *expected["codes"][0]), expected["codes"][1])
    missing = sorted(expected.keys() - record.files.keys())
    unknown = sorted(record.files.keys() - expected.keys())
    for name in missing:
        yield ShardFault("manifest.json", f"a shard lists no file for {name}")
    for name in unknown:
        yield ShardFault(record.files[name].path, f"{name} is no field of a set")
    sound = not missing and not unknown
    for name in (known for known in expected if known in record.files):
        fault = _file_fault(folder, record.files[name], *expected[name])
        if fault is not None:
            sound = False
            yield fault
    if sound:
        values = {name: _mapped(folder / file.path) for name, file in record.files.items()}
        for name, problem in content_faults(values, config):
            yield ShardFault(record.files[name].path, problem)


def set_faults(folder: Path, manifest: FrozenSetManifest) -> Iterator[tuple[int, list[ShardFault]]]:
    """The faults of each shard in turn, with its number of scenes."""
    first: FileRecord | None = None
    for record in manifest.shards:
        faults = list(shard_faults(folder, record, manifest.config))
        codes = record.files.get("codes")
        if codes is not None and len(codes.shape) == 2:
            first = first or codes
            if codes.sha256 != first.sha256 and not faults:
                faults.append(ShardFault(codes.path, f"these codes are not those of {first.path}"))
        yield record.scenes, faults


def _file_fault(
    folder: Path, file: FileRecord, shape: tuple[int, ...], dtype: str
) -> ShardFault | None:
    path = folder / file.path
    if (file.shape, file.dtype) != (shape, dtype):
        said = f"{file.dtype} {list(file.shape)} is listed where {dtype} {list(shape)} belongs"
        return ShardFault(file.path, said)
    if not path.is_file():
        return ShardFault(file.path, "the file is missing")
    sha256 = sha256_of(path)
    if sha256 != file.sha256:
        return ShardFault(
            file.path, f"SHA-256 is {sha256[:12]}..., not {file.sha256[:12]}... as listed"
        )
    try:
        found_shape, found_dtype = _read_header(path)
    except (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        return ShardFault(file.path, f"it is no .npy array ({' '.join(str(error).split())[:80]})")
    if (found_shape, found_dtype) != (shape, np.dtype(dtype)):
        kind = found_dtype.name if found_dtype.isnative else found_dtype.str
        said = f"it holds {kind} {list(found_shape)}, not {dtype} {list(shape)}"
        return ShardFault(file.path, said)
    return None


def _read_header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of a `.npy` file, read before anything is mapped by them.

    Raises:
        ValueError: It is no such file, or its length is not that of its array.
    """
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            message = f"format {version[0]}.{version[1]}, not 1.0"
            raise ValueError(message)
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=1024)
        length = file.tell() + math.prod(shape) * dtype.itemsize
    if in_columns or dtype.hasobject or length != path.stat().st_size:
        message = "columns first, objects, or another length than its header says"
        raise ValueError(message)
    return shape, dtype


def content_faults(values: Mapping[str, Tensor], config: SceneConfig) -> list[tuple[str, str]]:
    """Fields with values that no scene of this configuration can have, and the problem."""
    return list(_value_faults(values, config)) or list(_model_faults(values, config))


def _value_faults(values: Mapping[str, Tensor], config: SceneConfig) -> Iterator[tuple[str, str]]:
    """Problems of single fields."""
    most, count = config.data.sources_max, values["count"]
    present = torch.arange(most) < count.unsqueeze(-1)
    unit = (values["codes"].abs() - 1.0).abs() < 1e-5
    rules = {
        "count": (f"counts lie outside 1..{most}", bool(((count >= 1) & (count <= most)).all())),
        "codes": ("codes must have modulus 1", bool(unit.all())),
        "noise_power": ("it must be positive", bool((values["noise_power"] > 0).all())),
        "amplitude": (
            "it must be zero where there is no source",
            bool((values["amplitude"][~present] == 0).all()),
        ),
    }
    for name in _NUMBERS:
        if not bool(values[name].isfinite().all()):
            yield name, "it holds values that are not finite"
    for name, (problem, holds) in rules.items():
        if not holds:
            yield name, problem
    yield from _position_faults(values, config, present)


def _model_faults(values: Mapping[str, Tensor], config: SceneConfig) -> Iterator[tuple[str, str]]:
    """Check that y is H diag(c) A s of the other fields, with noise of its power and SNR."""
    scenes = _scenes_of(values)
    frames, truth = scenes.frames, scenes.truth
    steering = source_steering(panel_of(config.physics), truth)
    clean = received(frames.channel, frames.codes, truth.gains @ steering)
    noise = (frames.y - clean).abs().square().mean((-2, -1)) / truth.noise_power
    # Tails of e^-30 (B. Laurent, P. Massart, Annals of Statistics 28, 2000, lemma 1).
    samples = clean[0].numel()
    low, high = 1.0 - math.sqrt(60.0 / samples), 1.0 + math.sqrt(60.0 / samples) + 30.0 / samples
    if bool(((noise < low) | (noise > high)).any()):
        yield "y", "it is not what channel, codes, sources and noise_power make of it"
    label = 10.0 * (clean.abs().square().mean((-2, -1)) / truth.noise_power).log10()
    if not bool(((label - values["snr_db"]).abs() < 0.01).all()):
        yield "snr_db", "it is not the SNR of the scenes"


def _scenes_of(values: Mapping[str, Tensor]) -> Scenes:
    frames = {name: values[name] for name in FRAME_FIELDS}
    truth = {name: value for name, value in values.items() if name not in FRAME_FIELDS}
    return Scenes(Frames(**frames), Truth(**truth))


def _position_faults(
    values: Mapping[str, Tensor], config: SceneConfig, present: Tensor
) -> Iterator[tuple[str, str]]:
    """Positions that are missing, too many, or out of the field of view: in degrees, say."""
    view, (nearest, farthest) = config.data, config.data.range_m
    phi, theta = (tuple(map(math.radians, limits)) for limits in (view.phi_deg, view.theta_deg))
    bounds = {  # a rounding wider than the configuration
        "phi_rad": (phi[0] - 1e-9, phi[1] + 1e-9),
        "theta_rad": (theta[0] - 1e-9, theta[1] + 1e-9),
        "range_m": (nearest * (1 - 1e-9), farthest * (1 + 1e-9)),
    }
    for name, (low, high) in bounds.items():
        positions = values[name][present]
        if not torch.equal(values[name].isfinite(), present):
            yield name, "it must be finite for sources and NaN elsewhere"
        elif bool(((positions < low) | (positions > high)).any()):
            yield name, f"it leaves [{low:.4g}, {high:.4g}], the range of its configuration"


def _mapped(path: Path) -> Tensor:
    """A copy-on-write map: readable as a tensor, and the file cannot be changed through it."""
    return torch.from_numpy(np.lib.format.open_memmap(path, mode="c"))
