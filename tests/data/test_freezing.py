"""Frozen sets written: the generator's bits, whole or not at all, and no other file touched."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from risexp.data import freezing
from risexp.data.freezing import SHARD_SCENES, freeze, planned_bytes
from risexp.data.manifest import SceneConfig
from risexp.data.scenes import SceneGenerator
from risexp.data.shards import FrozenSet, field_shapes
from tests.support.frozen_sets import (
    SCENES,
    arrays,
    bits,
    contents,
    frozen,
    request_of,
    smoke,
)


def test_a_whole_set_is_its_manifest_and_its_shards_and_left_alone(tmp_path: Path) -> None:
    folder, told = tmp_path / "set", list[tuple[int, int]]()

    def advance(count: int) -> None:
        told.append((count, len(list(folder.glob("shard-?????")))))

    first, before = freeze(folder, request_of(), "cpu", advance), contents(folder)
    again = freeze(folder, request_of(), "cpu", advance)

    assert ((first[0], True), (first[0], False)) == (first, again)
    assert [(0, 0), (4, 1), (4, 2), (2, 3)] == told
    assert before == contents(folder)
    shown = {path.name for path in folder.iterdir() if path.name[0] != "."}
    assert {"manifest.json", "shard-00000", "shard-00001", "shard-00002"} == shown
    assert planned_bytes(request_of()) == sum(map(len, arrays(folder).values()))


def test_the_manifest_has_the_entries_of_the_contract(whole: dict[str, bytes]) -> None:
    said = json.loads(whole["manifest.json"])

    assert [
        *("format", "generator", "config", "config_sha", "split", "seed", "scenes"),
        *("shards", "digest"),
    ] == list(said)
    assert "risexp-scenes-1" == said["format"]
    assert f"scenes-1 torch-{torch.__version__} cpu" == said["generator"]
    assert {"physics", "data"} == set(said["config"])
    assert said["config_sha"] == smoke().sha("physics", "data")
    assert (said["split"], said["seed"], said["scenes"]) == ("test", 0, SCENES)
    assert [4, 4, 2] == [shard["scenes"] for shard in said["shards"]]
    assert [{"scenes", "files"}] * 3 == [set(shard) for shard in said["shards"]]
    records = [record for shard in said["shards"] for record in shard["files"].values()]
    assert [{"path", "shape", "dtype", "sha256"}] * 33 == [set(record) for record in records]


@pytest.mark.parametrize(("symbols", "held"), [("frame", 1), ("snapshot", 16)])
def test_a_set_holds_the_bits_of_the_generator_in_the_shapes_and_types_of_the_contract(
    tmp_path: Path, symbols: str, held: int
) -> None:
    overrides = (f"physics.symbols={symbols}", "data.seed=9")
    config = smoke(*overrides)
    frozen(tmp_path / "set", request_of(*overrides))

    drawn = SceneGenerator(config.physics, config.data).scenes("test", 0, SCENES)
    written = {
        path.stem: np.load(path, allow_pickle=False)
        for path in (tmp_path / "set" / "shard-00000").iterdir()
    }

    assert bits(drawn) == bits(FrozenSet.open(tmp_path / "set").scenes(0, SCENES))
    assert {
        "y": ((4, 16, 8), "<c8"),
        "channel": ((4, 8, 36), "<c8"),
        "codes": ((16, 36), "<c8"),
        "phi_rad": ((4, 3), "<f8"),
        "theta_rad": ((4, 3), "<f8"),
        "range_m": ((4, 3), "<f8"),
        "symbols": ((4, held, 3), "<c8"),
        "amplitude": ((4, 3), "<f4"),
        "count": ((4,), "<i8"),
        "snr_db": ((4,), "<f4"),
        "noise_power": ((4,), "<f4"),
    } == {name: (array.shape, array.dtype.str) for name, array in written.items()}


def test_an_absurd_number_of_scenes_is_planned_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezing, "SHARD_SCENES", SHARD_SCENES)
    calls = iter(range(100))

    def few(config: SceneConfig, scenes: int) -> dict[str, tuple[tuple[int, ...], str]]:
        next(calls)
        return field_shapes(config, scenes)

    monkeypatch.setattr("risexp.data.freezing.field_shapes", few)

    assert planned_bytes(request_of(scenes=10**9)) > 10**12


def test_every_array_is_on_the_disk_before_the_manifest_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    flush = os.fsync

    def noted(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    frozen(tmp_path / "set")

    # Numbers of replaced files are given out again: the last flush under it is the manifest's.
    number = (tmp_path / "set" / "manifest.json").stat().st_ino
    manifest = len(flushed) - 1 - flushed[::-1].index(number)
    files = {path.stat().st_ino for path in (tmp_path / "set").rglob("*.npy")}
    assert 33 == len(files)
    assert files <= set(flushed[:manifest])
