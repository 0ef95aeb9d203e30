"""The frozen test scenes of promotions: drawn once, verified at every use, unseen by any run."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from risexp.callbacks.guards import STREAMS, scene_marks, stream_marks
from risexp.config.run import RunConfig
from risexp.core.home import home
from risexp.core.sealed import canonical_sha
from risexp.data.frames import Scenes
from risexp.data.freezing import freeze, scene_request
from risexp.data.manifest import FrozenSetManifest, SceneConfig, read_manifest
from risexp.data.scenes import SceneGenerator
from risexp.data.shards import FrozenSet, set_faults
from risexp.data.streams import BLOCK, Split
from risexp.errors import DataInvalid

Advance = Callable[[int], None]

_TEST: Final[Split] = "test"


@dataclass(frozen=True)
class TestSet:
    """A frozen set whose every byte was verified."""

    folder: Path
    manifest: FrozenSetManifest
    drawn: bool
    """True if this call drew it."""

    def batches(self, size: int = BLOCK) -> Iterator[Scenes]:
        """Its scenes in batches; each file is compared with the manifest once more."""
        for shard in FrozenSet(self.folder, self.manifest).shards():
            for start in range(0, len(shard), size):
                yield shard[start : start + size]


def load_test_set(config: RunConfig, scenes: int, folder: Path | None, advance: Advance) -> TestSet:
    """Load or draw the frozen test scenes of a configuration's law.

    Without a folder it is the home's own set of so many scenes, drawn if there is none yet.
    """
    if folder is not None:
        return _verified(config, folder, advance)
    request = scene_request(config, _TEST, scenes)
    place = sets_home() / f"test-{scenes}-{canonical_sha(request.model_dump(mode='json'))[:12]}"
    return TestSet(place, *freeze(place, request, "cpu", advance))


def sets_home() -> Path:
    """Folder of the home's frozen sets."""
    return home().absolute() / "mlruns" / "sets"


def _verified(config: RunConfig, folder: Path, advance: Advance) -> TestSet:
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
    for count, faults in set_faults(folder, manifest):
        advance(count)
        for fault in faults:
            raise DataInvalid(f"{folder} is damaged: {fault}; put a copy of it back")
    return TestSet(folder, manifest, drawn=False)


def expect_unseen(test_set: TestSet, trained: Mapping[str, RunConfig]) -> None:
    """Check that no scene of a test set trained, validated or calibrated a run.

    Streams are compared, and the scenes themselves: all that validate and calibrate a run, and
    each block of training scenes that has the same counts. (A relabelled set begins where a block
    does.)
    """
    fingerprint = _Fingerprint.of(test_set)
    for name, config in trained.items():
        for split, scenes in scenes_of(config).items():
            shared = fingerprint.shared(config, split, scenes)
            if shared:
                raise DataInvalid(
                    f"{test_set.folder} holds {shared} scenes or streams of the {split} scenes of "
                    f"the {name}, which knows them: leave out --test-set, or give a set that no "
                    "run has seen"
                )


def expect_drawn(test_set: TestSet, config: RunConfig) -> None:
    """Check that a set holds the scenes that its law and seed draw for tests, in their order."""
    generator, start = SceneGenerator(config.physics, config.data), 0
    for scenes in test_set.batches():
        drawn = generator.scenes(_TEST, start, len(scenes))
        if [*scene_marks(scenes)] != [*scene_marks(drawn)]:
            raise DataInvalid(
                f"{test_set.folder} does not hold what the split {_TEST} of its law and seed draws "
                "on this CPU: make it anew with `risexp data generate --split test`, or leave out "
                "--test-set"
            )
        start += len(scenes)


def scenes_of(config: RunConfig) -> dict[Split, int]:
    """Largest number of scenes that a run uses, by split."""
    training = config.training
    each = training.scenes_per_epoch // training.batch * training.batch
    return {
        "train": each if training.repeat else each * training.epochs,
        "validation": config.validation.scenes,
        "calibration": config.validation.calibration_scenes,
    }


@dataclass(frozen=True)
class _Fingerprint:
    """Digests that tell the scenes of a set from others."""

    marks: frozenset[bytes]
    streams: frozenset[bytes]
    counts: frozenset[bytes]
    """The true counts of each block."""
    width: int
    """Number of scenes of a block whose counts are compared."""

    @classmethod
    def of(cls, test_set: TestSet) -> "_Fingerprint":
        manifest = test_set.manifest
        marks, counts = set[bytes](), list[Tensor]()
        for scenes in test_set.batches():
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
        """Number of scenes or streams that the set has in common with a run."""
        streams = self.streams.intersection(stream_marks(config.data.seed, split, scenes))
        generator, same = SceneGenerator(config.physics, config.data), 0
        for block in range(min(-(-scenes // BLOCK), STREAMS)):
            if split == "train":
                counts = generator.counts(split, block)[: self.width]
                if _bytes(counts) not in self.counts:
                    continue
            same += len(self.marks.intersection(scene_marks(generator.block(split, block))))
        return max(len(streams), same)


def _bytes(count: Tensor) -> bytes:
    return count.contiguous().numpy().tobytes()
