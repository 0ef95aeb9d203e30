"""The promise that a scene's bits depend on its place only."""

from functools import cache

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from risexp.config.measurement import DataConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK
from tests.support.frozen_sets import bits
from tests.support.scenes import SMALL, any_device


@settings(any_device, max_examples=10)
@given(start=st.integers(0, 700), count=st.integers(1, 600))
def test_scenes_have_the_same_bits_wherever_a_request_or_a_walk_begins(
    device: torch.device, start: int, count: int
) -> None:
    whole, generator = small_walk(device), SceneGenerator(SMALL, DataConfig(), device)

    asked = generator.scenes("validation", start, count)

    assert bits(whole[start : start + count]) == bits(asked)
    walk = generator.batches("validation", count, start // 2)
    for first in range(start // 2, 5 * BLOCK - count, count):
        assert bits(whole[first : first + count]) == bits(next(walk))


@cache
def small_walk(device: torch.device) -> Scenes:
    """The first blocks of a split, one after the other."""
    generator = SceneGenerator(SMALL, DataConfig(), device)
    return generator.scenes("validation", 0, 6 * BLOCK)


def test_bits_do_not_depend_on_what_else_was_drawn(device: torch.device) -> None:
    alone = SceneGenerator(SMALL, DataConfig(), device).block("test", 1)

    generator = SceneGenerator(SMALL, DataConfig(), device)
    generator.block("train", 1)
    torch.manual_seed(99)

    assert bits(alone) == bits(generator.block("test", 1))
