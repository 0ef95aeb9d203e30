"""Random streams that cannot meet, and scenes whose bits depend on their place only."""

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from risexp.config.measurement import DataConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK, SPLITS, Split, block_generator, stream_key
from tests.support.frozen_sets import bits
from tests.support.scenes import SMALL, any_device

LOW = (1 << 32) - 1
LAST_BLOCK = (1 << 30) - 1

blocks = st.tuples(st.sampled_from(SPLITS), st.integers(0, LAST_BLOCK))
seeds = st.integers(0, 2**63 - 1)


def test_no_two_blocks_of_a_seed_share_the_half_that_counts() -> None:
    """A generator on the CPU ignores the high half; hashes into the low one would collide."""
    ranges = (range(15_000), range(LAST_BLOCK - 9, LAST_BLOCK + 1))
    keys = {
        stream_key(0, split, block) & LOW for split in SPLITS for part in ranges for block in part
    }

    assert ("train", "validation", "calibration", "test") == SPLITS
    assert 4 * 15_010 == len(keys)


@given(seeds, seeds, blocks, blocks)
def test_any_two_blocks_and_any_two_seeds_have_streams_of_their_own(
    seed: int, another: int, one: tuple[Split, int], two: tuple[Split, int]
) -> None:
    key = stream_key(seed, *one)

    assert (one == two) == (key & LOW == stream_key(seed, *two) & LOW)
    assert (seed == another) == (key == stream_key(another, *one))


def test_neighbouring_seeds_are_no_shifted_copies_of_each_other() -> None:
    keys = [
        stream_key(seed, split, block) & LOW
        for seed in range(8)
        for split in SPLITS
        for block in range(250)
    ]

    assert len(keys) == len(set(keys))


def test_a_key_fits_a_generator_and_a_block_without_a_stream_is_refused(
    device: torch.device,
) -> None:
    draws = [
        torch.randint(
            0,
            2**62,
            (4,),
            generator=block_generator(2**63 - 1, "test", LAST_BLOCK, device),
            device=device,
        ).tolist()
        for _ in range(2)
    ]

    assert 0 <= stream_key(2**63 - 1, "calibration", LAST_BLOCK) < 1 << 64
    assert draws[0] == draws[1]
    for block in (-1, LAST_BLOCK + 1):
        with pytest.raises(ValueError, match=f"block {block} lies outside 0..{LAST_BLOCK}"):
            stream_key(0, "test", block)


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
