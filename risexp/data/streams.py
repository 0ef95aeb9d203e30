"""Random streams that cannot meet: one for every block of scenes of every split.

A block's stream is named by (seed, split, block). On CPU a torch generator keeps only the low 32
bits of its seed, so hashing names into seeds would let blocks collide by chance. Here the low 32
bits are a bijection of (split, block), keyed by the seed: within one seed no two blocks share a
stream, and another seed's streams are no shifted copy of them.
"""

import hashlib
from typing import Final, Literal, get_args

import torch

Split = Literal["train", "validation", "calibration", "test"]
SPLITS: Final[tuple[Split, ...]] = get_args(Split)
BLOCK: Final = 256
"""Scenes drawn and computed at once; the bits of a scene depend on its place in its block."""

_BLOCK_BITS: Final = 30
_WORD: Final = 1 << 32


def block_generator(
    seed: int, split: Split, block: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A fresh generator for one block of one split."""
    return torch.Generator(device=device).manual_seed(stream_key(seed, split, block))


def stream_key(seed: int, split: Split, block: int) -> int:
    """64 bits that name a stream: the high half belongs to the seed, the low half to the block."""
    if not 0 <= block < 1 << _BLOCK_BITS:
        message = f"block {block} lies outside 0..{(1 << _BLOCK_BITS) - 1}"
        raise ValueError(message)
    key = hashlib.sha256(f"risexp scenes {seed}".encode()).digest()
    words = [int.from_bytes(key[at : at + 4], "little") for at in range(0, 32, 4)]
    low = SPLITS.index(split) << _BLOCK_BITS | block
    for add, multiply in zip(words[0:6:2], words[1:6:2], strict=True):
        # Adding, multiplying by an odd number and xor-shifting right are each invertible mod 2^32.
        low = (low + add) * (multiply | 1) % _WORD
        low ^= low >> 16
    return words[7] << 32 | low
