"""Museum 20: additive seeds made validation a shifted copy of training."""

from collections.abc import Iterable, Mapping

import pytest
import torch

from risexp.config.layers import load_config
from risexp.config.measurement import DataConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK, SPLITS, Split

PHYSICS = load_config(preset="smoke").config.physics
BLOCKS = (*range(3), *range(121, 126))
"""The first blocks, and those that a seed of 123 more would fall upon."""
OFFSETS: Mapping[Split, int] = {"train": 0, "validation": 123, "calibration": 246, "test": 369}


def scenes_of(seed: int, device: torch.device) -> dict[Split, list[Scenes]]:
    generator = SceneGenerator(PHYSICS, DataConfig(seed=seed), device)
    return {split: [generator.block(split, block) for block in BLOCKS] for split in SPLITS}


def fingerprints(blocks: Iterable[Scenes]) -> list[bytes]:
    """What every scene is: its measurements and where its sources stand, bit for bit."""
    return [
        y.numpy().tobytes() + range_m.numpy().tobytes()
        for scenes in blocks
        for y, range_m in zip(scenes.frames.y.cpu(), scenes.truth.range_m.cpu(), strict=True)
    ]


def shared_scenes(groups: Iterable[list[Scenes]]) -> int:
    """How many scenes occur more than once, within a group or between two."""
    every = [mark for group in groups for mark in fingerprints(group)]
    return len(every) - len(set(every))


def additive_generator(
    seed: int, split: Split, block: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """The scheme of old: `seed + index`, and validation begins at seed + 123."""
    return torch.Generator(device).manual_seed(seed + OFFSETS[split] + block)


def test_the_overlap_check_catches_additive_seeds(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risexp.data.scenes.block_generator", additive_generator)

    planted = scenes_of(0, device)

    # Training's blocks 123, 124 and 125 are validation's 0, 1 and 2, and so on up the splits.
    assert shared_scenes([planted["train"], planted["validation"]]) == 3 * BLOCK
    assert shared_scenes(planted.values()) == 9 * BLOCK


def test_the_overlap_check_catches_neighbouring_seeds_that_overlap(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risexp.data.scenes.block_generator", additive_generator)

    planted = [scenes_of(seed, device)["train"] for seed in (0, 1)]

    assert shared_scenes(planted) == 6 * BLOCK


@pytest.mark.parametrize("seed", [0, 1, 123, 2**62])
def test_no_scene_is_in_two_splits(device: torch.device, seed: int) -> None:
    drawn = scenes_of(seed, device)

    assert shared_scenes(drawn.values()) == 0


def test_no_scene_is_drawn_under_two_seeds(device: torch.device) -> None:
    drawn = [blocks for seed in (0, 1, 123) for blocks in scenes_of(seed, device).values()]

    assert shared_scenes(drawn) == 0
