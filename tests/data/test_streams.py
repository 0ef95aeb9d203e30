"""Random streams that cannot meet."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from risexp.data.streams import BLOCK, SPLITS, Split, block_generator, stream_key

LOW = (1 << 32) - 1
LAST_BLOCK = (1 << 30) - 1

blocks = st.tuples(st.sampled_from(SPLITS), st.integers(0, LAST_BLOCK))
seeds = st.integers(0, 2**63 - 1)


def first_draws(generator: torch.Generator) -> list[int]:
    return torch.randint(0, 2**62, (4,), generator=generator, device=generator.device).tolist()


def test_the_splits_are_the_four_that_are_named() -> None:
    assert SPLITS == ("train", "validation", "calibration", "test")


def test_a_cpu_generator_ignores_the_high_half_of_its_seed() -> None:
    """Why the low half has to be a bijection: names hashed into seeds would collide by chance."""
    one = torch.Generator().manual_seed(12345)
    other = torch.Generator().manual_seed(12345 + (77 << 32))
    next_ = torch.Generator().manual_seed(12346)

    drawn = first_draws(one)

    assert drawn == first_draws(other)
    assert drawn != first_draws(next_)


def test_no_two_blocks_of_a_seed_share_the_half_that_counts() -> None:
    """Hashes of 240 000 names into 32 bits would collide about seven times."""
    keys = {stream_key(0, split, block) & LOW for split in SPLITS for block in range(60_000)}

    assert len(keys) == 4 * 60_000


@given(seeds, blocks, blocks)
def test_any_two_blocks_of_any_seed_have_streams_of_their_own(
    seed: int, one: tuple[Split, int], two: tuple[Split, int]
) -> None:
    same = one == two

    assert same == (stream_key(seed, *one) & LOW == stream_key(seed, *two) & LOW)


@given(seeds, st.integers(0, LAST_BLOCK - 1))
def test_the_last_blocks_of_a_split_do_not_run_into_the_next(seed: int, block: int) -> None:
    edges = [(split, at) for split in SPLITS for at in (0, block, LAST_BLOCK)]

    keys = {stream_key(seed, *edge) & LOW for edge in edges}

    assert len(set(edges)) == len(keys)


@given(seeds, seeds, blocks)
def test_another_seed_names_another_stream(one: int, two: int, block: tuple[Split, int]) -> None:
    assert (one == two) == (stream_key(one, *block) == stream_key(two, *block))


def test_neighbouring_seeds_are_no_shifted_copies_of_each_other() -> None:
    streams = {seed: set(keys_of(seed)) for seed in range(8)}

    shared = {
        (one, two)
        for one in streams
        for two in streams
        if one < two and streams[one] & streams[two]
    }
    assert set() == shared


def keys_of(seed: int) -> Iterator[int]:
    for split in SPLITS:
        for block in range(250):
            yield stream_key(seed, split, block) & LOW


@pytest.mark.parametrize("block", [-1, LAST_BLOCK + 1, 1 << 40])
def test_a_block_that_has_no_stream_is_refused(block: int) -> None:
    with pytest.raises(ValueError, match=f"block {block} lies outside 0..{LAST_BLOCK}"):
        stream_key(0, "test", block)


def test_a_key_fits_a_generator_and_is_the_same_every_time(device: torch.device) -> None:
    key = stream_key(2**63 - 1, "calibration", LAST_BLOCK)

    assert 0 <= key < 1 << 64
    one = block_generator(2**63 - 1, "calibration", LAST_BLOCK, device)
    two = block_generator(2**63 - 1, "calibration", LAST_BLOCK, device)
    assert first_draws(one) == first_draws(two)


def test_frozen_sets_of_yesterday_are_drawn_again_tomorrow() -> None:
    """Another key needs another generator name, for sets on disk say which one drew them."""
    assert 2115791543933604651 == stream_key(0, "train", 0)
    assert 2115791548140029359 == stream_key(0, "test", 0)
    assert BLOCK == 256
