"""Whether a scene that judges a run was also one that taught it.

Scenes are told apart by marks: a digest of each scene's measurements, or, for all that a generator
would ever draw, the keys of the random streams.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator

from risexp.data.frames import Scenes
from risexp.data.streams import BLOCK, Split, stream_key
from risexp.tracking.watch import Reading
from risexp.training.events import Event, RunStarted

Marks = Callable[[], Iterable[bytes]]


def scene_marks(scenes: Scenes) -> Iterator[bytes]:
    """A digest of each scene's measurements, bit for bit."""
    for y in scenes.frames.y.cpu().contiguous():
        yield hashlib.sha256(y.numpy().tobytes()).digest()


def stream_marks(seed: int, split: Split, scenes: int) -> Iterator[bytes]:
    """The key of every stream that the first scenes of a split are drawn from."""
    for block in range(-(-scenes // BLOCK)):
        yield stream_key(seed, split, block).to_bytes(8, "little")


class Leak:
    """Ends a run before its first step where training and validation share something."""

    def __init__(self, training: Marks, validation: Marks) -> None:
        """Compare the marks of both."""
        self._training = training
        self._validation = validation

    def look(self, event: Event) -> Iterator[Reading]:
        """How many of the validation's marks are also the training's."""
        if not isinstance(event, RunStarted):
            return
        judges = frozenset(self._validation())
        shared = len(judges.intersection(self._training()))
        fault = None
        if shared:
            fault = (
                f"{shared} of {len(judges)} marks of the validation occur in training too; its "
                "scores would be those of memory: draw it from a split of its own"
            )
        yield Reading("leak", shared, fault)
