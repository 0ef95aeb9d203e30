"""The promise that a scene's bits depend on its place only."""

from functools import cache

import torch
from hypothesis import given
from hypothesis import strategies as st

from risexp.config.measurement import DataConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK, SPLITS
from tests.support.frozen_sets import bits
from tests.support.scenes import SMALL, any_device


@any_device
@given(start=st.integers(0, 700), count=st.integers(1, 600))
def test_scenes_have_the_same_bits_wherever_a_request_begins(
    device: torch.device, start: int, count: int
) -> None:
    whole = small_walk(device)

    asked = SceneGenerator(SMALL, DataConfig(), device).scenes("validation", start, count)

    assert bits(whole[start : start + count]) == bits(asked)


@any_device
@given(size=st.integers(1, 600), start=st.integers(0, 300))
def test_batches_of_any_size_walk_over_the_same_scenes(
    device: torch.device, size: int, start: int
) -> None:
    whole = small_walk(device)
    walk = SceneGenerator(SMALL, DataConfig(), device).batches("validation", size, start)

    for first in range(start, 5 * BLOCK - size, size):
        assert bits(whole[first : first + size]) == bits(next(walk))


@cache
def small_walk(device: torch.device) -> Scenes:
    """The first blocks of a split, one after the other."""
    generator = SceneGenerator(SMALL, DataConfig(), device)
    return generator.scenes("validation", 0, 6 * BLOCK)


def test_two_generators_of_one_configuration_draw_the_same_bits(device: torch.device) -> None:
    one = SceneGenerator(SMALL, DataConfig(seed=5), device).scenes("test", 250, 20)
    two = SceneGenerator(SMALL, DataConfig(seed=5), device).scenes("test", 250, 20)

    assert bits(one) == bits(two)


def test_bits_do_not_depend_on_what_else_was_drawn(device: torch.device) -> None:
    alone = SceneGenerator(SMALL, DataConfig(), device).block("test", 1)

    generator = SceneGenerator(SMALL, DataConfig(), device)
    generator.block("train", 1)
    torch.manual_seed(99)

    assert bits(alone) == bits(generator.block("test", 1))


def test_seeds_splits_and_blocks_give_different_scenes(device: torch.device) -> None:
    drawn_from = {
        (seed, split, block): SceneGenerator(SMALL, DataConfig(seed=seed), device).block(
            split, block
        )
        for seed in (0, 1, 2**40)
        for split in SPLITS
        for block in (0, 1)
    }

    different = {bits(scenes)["range_m"] for scenes in drawn_from.values()}

    assert len(drawn_from) == len(different)
