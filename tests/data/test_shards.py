"""Frozen sets read: a damaged file is named, and no scene of its shard is used."""

import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from risexp.config.layers import load_config
from risexp.core.sealed import sha256_of
from risexp.data import freezing
from risexp.data.scenes import SceneGenerator
from risexp.data.shards import FrozenSet, set_faults
from risexp.errors import DataInvalid
from tests.support.frozen_sets import (
    FEW,
    Json,
    bits,
    edited,
    emptied,
    faults,
    frozen_few,
    sealed,
    truncated,
)


def test_a_sound_set_has_no_faults_and_its_own_configuration(folder: Path) -> None:
    opened, config = FrozenSet.open(folder), load_config(preset="smoke").config

    assert FEW == opened.manifest.scenes
    assert [(4, []), (2, [])] == list(set_faults(folder, opened.manifest))
    assert (config.canonical().physics, config.data) == (
        opened.physics,
        opened.manifest.config.data,
    )


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x01
    path.write_bytes(bytes(data))


def swollen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\x00")


def test_a_damaged_file_is_named_with_its_checksum(folder: Path) -> None:
    for damage in (flipped, truncated, emptied, swollen):
        for field in ("y", "count"):
            path = folder / "shard-00001" / f"{field}.npy"
            sound, listed = path.read_bytes(), sha256_of(path)
            damage(path)

            (fault,) = faults(folder)
            path.write_bytes(sound)

            assert fault.startswith(f"shard-00001/{field}.npy: SHA-256 is "), damage
            assert fault.endswith(f"not {listed[:12]}... as listed")


@pytest.mark.parametrize("damage", [Path.unlink, flipped])
def test_no_scene_of_a_damaged_shard_is_used(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder / "shard-00001" / "y.npy")
    opened = FrozenSet.open(folder)

    sound = opened.scenes(0, 4)

    assert 4 == len(sound)
    with pytest.raises(DataInvalid, match=r"shard-00001/y\.npy"):
        opened.scenes(3, 2)
    with pytest.raises(DataInvalid, match=r"shard-00001/y\.npy"):
        list(opened.shards())


def test_missing_files_are_named_and_another_folder_is_no_set(tmp_path: Path, folder: Path) -> None:
    (folder / "shard-00000" / "range_m.npy").unlink()
    (folder / "shard-00001" / "codes.npy").unlink()
    (tmp_path / "file").write_text("words", encoding="utf-8")
    (tmp_path / "empty").mkdir()

    missing = [f"shard-0000{name}.npy: the file is missing" for name in ("0/range_m", "1/codes")]
    assert missing == faults(folder)
    with pytest.raises(DataInvalid, match=rf"damaged: {re.escape(missing[0])}"):
        frozen_few(folder)
    for name, message in (("none", "no folder"), ("file", "no folder"), ("empty", "holds no man")):
        with pytest.raises(DataInvalid, match=message):
            FrozenSet.open(tmp_path / name)


def test_scenes_a_set_does_not_hold_are_refused(folder: Path) -> None:
    opened = FrozenSet.open(folder)

    for start, count in ((-1, 2), (0, 0), (0, 7), (5, 2), (6, 1), (3, -1)):
        with pytest.raises(DataInvalid, match=r"holds scenes 0\.\.5"):
            opened.scenes(start, count)


def test_any_part_of_a_set_is_that_part_of_its_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(preset="smoke").config
    drawn = SceneGenerator(config.physics, config.data).scenes("test", 0, FEW)
    for shard in (1, 4, 5, 7):
        monkeypatch.setattr(freezing, "SHARD_SCENES", shard)
        opened = FrozenSet.open(frozen_few(tmp_path / str(shard)))

        for start, stop in combinations(range(FEW + 1), 2):
            read = opened.scenes(start, stop - start)
            assert bits(drawn[start:stop]) == bits(read), (shard, start, stop)


def test_writing_into_what_was_read_does_not_change_the_file(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.npy")}
    scenes = FrozenSet.open(folder).shard(0)

    for _, value in [*scenes.frames.items(), *scenes.truth.items()]:
        value.fill_(7)

    assert 7.0 == float(scenes.frames.y.real.min())
    assert before == {path: path.read_bytes() for path in folder.rglob("*.npy")}
    assert [] == faults(folder)


def test_codes_of_their_own_for_every_scene_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freezing, "SHARD_SCENES", FEW)
    folder = frozen_few(tmp_path / "set")
    path = folder / "shard-00000" / "codes.npy"
    np.save(path, np.repeat(np.load(path)[None], FEW, axis=0))

    def listed(said: Json) -> None:
        record = said["shards"][0]["files"]["codes"]
        record |= {"sha256": sha256_of(path), "shape": [FEW, *record["shape"]]}
        said["digest"] = sealed(said)

    edited(folder, listed)

    assert [] == faults(folder)
    assert (2, 16, 36) == FrozenSet.open(folder).scenes(1, 2).frames.codes.shape
