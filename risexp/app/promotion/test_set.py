"""The frozen scenes that models are judged on: made once, verified at every use, shown to none."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from risexp.app.data.verify import verify_set
from risexp.callbacks.guards import STREAMS, scene_marks, stream_marks
from risexp.config.run import RunConfig
from risexp.core.home import home
from risexp.core.sealed import canonical_sha
from risexp.data.frames import Scenes
from risexp.data.freezing import freeze, scene_request
from risexp.data.manifest import FrozenSetManifest, SceneConfig, read_manifest
from risexp.data.scenes import SceneGenerator
from risexp.data.shards import FrozenSet
from risexp.data.streams import BLOCK, Split
from risexp.errors import DataInvalid

Advance = Callable[[int], None]

_TEST: Final[Split] = "test"


@dataclass(frozen=True)
class TestSet:
    """A frozen set whose every byte was verified."""

    folder: Path
    manifest: FrozenSetManifest
    made: bool
    """Whether it was drawn by this call."""

    def batches(self, size: int = BLOCK) -> Iterator[Scenes]:
        """Its scenes, some at a time, their files compared with the manifest once more."""
        for shard in FrozenSet(self.folder, self.manifest).shards():
            for start in range(0, len(shard), size):
                yield shard[start : start + size]


def frozen_scenes(config: RunConfig, scenes: int, folder: Path | None, advance: Advance) -> TestSet:
    """The frozen test scenes of a configuration's own law.

    Args:
        config: Of the candidate.
        scenes: How many, where no set is given.
        folder: A set to use; None: the home's own, drawn where it is not yet there.
        advance: Told of scenes as they are drawn or verified.

    Raises:
        DataInvalid: A set is damaged, of another split, or of another law.
        EnvironmentFailed: The disk is full or forbidden, or another process draws it.
    """
    if folder is not None:
        return _given(config, folder, advance)
    request = scene_request(config, _TEST, scenes)
    place = sets_home() / f"test-{scenes}-{canonical_sha(request.model_dump(mode='json'))[:12]}"
    manifest, made = freeze(place, request, "cpu", advance)
    return TestSet(place, manifest, made)


def sets_home() -> Path:
    """Where frozen sets of this home lie."""
    return home().absolute() / "mlruns" / "sets"


def _given(config: RunConfig, folder: Path, advance: Advance) -> TestSet:
    manifest = read_manifest(folder)
    if manifest.split != _TEST:
        raise DataInvalid(
            f"{folder} holds scenes of the split {manifest.split}: models are judged on scenes of "
            f"the split {_TEST}, which no run learns from"
        )
    law = config.canonical()
    if manifest.config != SceneConfig(physics=law.physics, data=law.data):
        raise DataInvalid(
            f"{folder} holds scenes of another law than the candidate's: make a set with the "
            "run's own configuration, or leave out --test-set"
        )
    for fault in verify_set(folder, advance).faults:
        raise DataInvalid(f"{folder} is damaged: {fault}; put a copy of it back")
    return TestSet(folder, manifest, made=False)


def expect_unseen(sealed: TestSet, taught: Mapping[str, RunConfig]) -> None:
    """Check that no scene of a set taught, judged or calibrated a run.

    Streams are compared, and the scenes themselves: all that validate and calibrate a run, and of
    those that train it every block that holds the same counts. (A set that was relabelled begins
    where a block does.)

    Args:
        sealed: The set.
        taught: Configurations of runs, by what each is called.

    Raises:
        DataInvalid: One did.
    """
    looked = _Looked.of(sealed)
    for name, config in taught.items():
        for split, scenes in scenes_of(config).items():
            shared = looked.shared(config, split, scenes)
            if shared:
                raise DataInvalid(
                    f"{sealed.folder} holds {shared} scenes or streams of the {split} scenes of "
                    f"the {name}: it would be judged by what it knows; leave out --test-set, or "
                    "give a set that no run has seen"
                )


def expect_drawn(sealed: TestSet, config: RunConfig) -> None:
    """Check that a set holds the scenes that its law and seed draw for tests, in their order.

    Raises:
        DataInvalid: It holds others, whatever its manifest says, or they were drawn elsewhere.
    """
    generator, start = SceneGenerator(config.physics, config.data), 0
    for scenes in sealed.batches():
        drawn = generator.scenes(_TEST, start, len(scenes))
        if [*scene_marks(scenes)] != [*scene_marks(drawn)]:
            raise DataInvalid(
                f"{sealed.folder} does not hold what the split {_TEST} of its law and seed draws "
                "on this CPU: make it anew with `risexp data generate --split test`, or leave out "
                "--test-set"
            )
        start += len(scenes)


def scenes_of(config: RunConfig) -> dict[Split, int]:
    """How many scenes of each stream a run uses at most."""
    training = config.training
    each = training.scenes_per_epoch // training.batch * training.batch
    return {
        "train": each if training.repeat else each * training.epochs,
        "validation": config.validation.scenes,
        "calibration": config.validation.calibration_scenes,
    }


@dataclass(frozen=True)
class _Looked:
    """What tells the scenes of a set from others."""

    marks: frozenset[bytes]
    """Digests of its scenes."""
    streams: frozenset[bytes]
    counts: frozenset[bytes]
    """The true counts of each of its blocks, one after another."""
    width: int
    """Scenes of a block whose counts are compared."""

    @classmethod
    def of(cls, sealed: TestSet) -> "_Looked":
        manifest = sealed.manifest
        marks, counts = set[bytes](), list[Tensor]()
        for scenes in sealed.batches():
            marks.update(scene_marks(scenes))
            counts.append(scenes.truth.count)
        width = min(BLOCK, manifest.scenes)
        whole = torch.cat(counts)
        blocks = [whole[at : at + width] for at in range(0, len(whole) - width + 1, BLOCK)]
        return cls(
            marks=frozenset(marks),
            streams=frozenset(stream_marks(manifest.seed, manifest.split, manifest.scenes)),
            counts=frozenset(_bytes(block) for block in blocks),
            width=width,
        )

    def shared(self, config: RunConfig, split: Split, scenes: int) -> int:
        """How many scenes or streams of a run's it has too."""
        streams = self.streams.intersection(stream_marks(config.data.seed, split, scenes))
        generator = SceneGenerator(config.physics, config.data)
        blocks: Iterator[int] = iter(range(min(-(-scenes // BLOCK), STREAMS)))
        if split == "train":
            blocks = (block for block in blocks if self._alike(config, block))
        found = 0
        for block in blocks:
            found += len(self.marks.intersection(scene_marks(generator.block(split, block))))
        return max(len(streams), found)

    def _alike(self, config: RunConfig, block: int) -> bool:
        """Whether a block of training scenes has the counts of one of the set's."""
        generator = SceneGenerator(config.physics, config.data)
        return _bytes(generator.counts("train", block)[: self.width]) in self.counts


def _bytes(count: Tensor) -> bytes:
    return count.contiguous().numpy().tobytes()
