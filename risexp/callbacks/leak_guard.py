"""Whether a scene that judges a run, or calibrates it, was also one that taught it.

Scenes are told apart by marks of two kinds. The random streams they are drawn from name all scenes
of a whole run, and cost no scene. A digest of a scene's measurements says what really was drawn,
and is taken of some. Marks of the two kinds are never equal.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations

from risexp.callbacks.guard import Reading
from risexp.data.frames import Scenes
from risexp.data.streams import BLOCK, Split, block_generator
from risexp.training.batches import KeyedBatches
from risexp.training.events import Event, RunStarted

Marks = Callable[[], Iterable[bytes]]

STREAMS = 1 << 16
"""Blocks of a split whose streams are looked at, in about a second: 16 million scenes."""
_SAMPLED = 8
"""Batches of a run whose scenes are looked at."""


def scene_marks(scenes: Scenes) -> Iterator[bytes]:
    """A digest of each scene's measurements, bit for bit."""
    for y in scenes.frames.y.cpu().contiguous():
        yield hashlib.sha256(y.numpy().tobytes()).digest()


def stream_marks(seed: int, split: Split, scenes: int) -> Iterator[bytes]:
    """The streams that the first scenes of a split are drawn from, as a generator is seeded."""
    for block in range(min(-(-scenes // BLOCK), STREAMS)):
        key = block_generator(seed, split, block).initial_seed()
        # On CPU a generator keeps no more of its seed than this.
        yield (key & 0xFFFF_FFFF).to_bytes(4, "little")


def batch_marks(batches: KeyedBatches, epochs: int) -> Iterator[bytes]:
    """Digests of the scenes of a few batches, from the first of a run to the last."""
    last = epochs * len(batches) - 1
    places = {round(part * last / (_SAMPLED - 1)) for part in range(_SAMPLED)}
    for place in sorted(places):
        epoch, batch = divmod(place, len(batches))
        yield from scene_marks(batches.scenes(epoch + 1, batch))


class LeakGuard:
    """Ends a run before its first step where two sets that have to be apart share something."""

    def __init__(self, sets: Mapping[str, Marks]) -> None:
        """Compare each with each.

        Args:
            sets: The marks of every set by its name, those that teach first.
        """
        self._sets = sets

    def look(self, event: Event) -> Iterator[Reading]:
        """How many marks two of the sets have in common, over all pairs of sets."""
        if not isinstance(event, RunStarted):
            return
        found = {name: frozenset(marks()) for name, marks in self._sets.items()}
        shared = {pair: len(found[pair[0]] & found[pair[1]]) for pair in combinations(found, 2)}
        fault = None
        for (first, second), count in shared.items():
            if count and fault is None:
                fault = (
                    f"{count} of {len(found[second])} marks of the {second} occur in the {first} "
                    "too; its numbers would be those of memory: draw it from a split of its own"
                )
        yield Reading("leak", sum(shared.values()), fault)
