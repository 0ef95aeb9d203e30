from dataclasses import dataclass, field
from functools import partial

import pytest
import torch

from risexp.callbacks.leak_guard import LeakGuard, batch_marks, scene_marks, stream_marks
from risexp.config.layers import load_config
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK
from risexp.training.batches import Batches
from risexp.training.events import EpochStarted
from tests.support.recorded_runs import joint, plan_of, reading, started_of

STARTED = started_of(joint(1))


def generator(device: torch.device) -> SceneGenerator:
    config = load_config(preset="smoke").config
    return SceneGenerator(config.physics, config.data, device)


def shared(**sets: list[bytes]) -> LeakGuard:
    return LeakGuard({name: partial(list, marks) for name, marks in sets.items()})


def test_every_scene_has_a_mark_of_its_own(device: torch.device) -> None:
    scenes = generator(device).scenes("train", 0, 40)

    marks = list(scene_marks(scenes))

    assert 40 == len(set(marks))
    assert marks[10:20] == list(scene_marks(scenes[10:20]))


def test_a_stream_has_a_mark_for_each_block_it_is_drawn_from() -> None:
    marks = list(stream_marks(0, "train", 2 * BLOCK + 1))

    assert 3 == len(set(marks))
    assert marks[:2] == list(stream_marks(0, "train", 2 * BLOCK))


def test_the_mark_of_a_stream_is_what_a_generator_keeps_of_its_seed() -> None:
    """Two seeds that differ beyond 32 bits draw the same numbers on CPU."""
    one, other = (torch.Generator().manual_seed(seed) for seed in (5, 5 + (7 << 32)))
    assert torch.equal(torch.rand(9, generator=one), torch.rand(9, generator=other))

    assert {4} == {len(mark) for mark in stream_marks(2**62, "test", 4 * BLOCK)}


def test_no_more_streams_are_looked_at_than_a_second_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("risexp.callbacks.leak_guard.STREAMS", 5)

    assert 5 == len(list(stream_marks(0, "train", 100 * BLOCK)))


@dataclass(frozen=True)
class Asked(Batches):
    """Notes which batches are drawn."""

    places: list[tuple[int, int]] = field(default_factory=list)

    def scenes(self, epoch: int, batch: int) -> Scenes:
        self.places.append((epoch, batch))
        return super().scenes(epoch, batch)


def test_batches_are_sampled_from_the_first_of_a_run_to_the_last(device: torch.device) -> None:
    batches = Asked(generator(device), size=2, count=10)

    marks = list(batch_marks(batches, epochs=50))

    assert 8 == len(batches.places)
    assert [(1, 0), (50, 9)] == [batches.places[0], batches.places[-1]]
    assert sorted(batches.places) == batches.places
    assert 16 == len(set(marks))


@pytest.mark.parametrize(("count", "epochs"), [(1, 1), (3, 1), (1, 5)])
def test_a_short_run_is_looked_at_whole(device: torch.device, count: int, epochs: int) -> None:
    batches = Asked(generator(device), size=2, count=count)

    marks = list(batch_marks(batches, epochs))

    every = [(epoch, batch) for epoch in range(1, epochs + 1) for batch in range(count)]
    assert every == batches.places
    assert 2 * count * epochs == len(set(marks))


def test_what_is_shared_is_counted() -> None:
    guard = shared(training=[b"a", b"b", b"c", b"d"], validation=[b"c", b"e", b"d"])

    found = reading(guard, STARTED)

    assert 2 == found.value
    assert found.fault is not None
    assert "2 of 3 marks of the validation occur in the training too" in found.fault


@pytest.mark.parametrize(
    ("calibration", "said"),
    [
        ([b"a", b"x"], "1 of 2 marks of the calibration occur in the training too"),
        ([b"v", b"x"], "1 of 2 marks of the calibration occur in the validation too"),
    ],
)
def test_scenes_that_calibrate_are_compared_with_both(calibration: list[bytes], said: str) -> None:
    found = reading(shared(training=[b"a"], validation=[b"v"], calibration=calibration), STARTED)

    assert 1 == found.value
    assert found.fault is not None
    assert found.fault.startswith(said)


def test_sets_that_share_nothing_are_sound() -> None:
    found = reading(shared(training=[b"a"], validation=[b"v"], calibration=[b"c"]), STARTED)

    assert (0, None) == (found.value, found.fault)


def test_a_run_is_looked_at_before_its_first_epoch_only() -> None:
    guard = shared(training=[b"a"], validation=[b"a"])

    assert [] == list(guard.look(EpochStarted(plan_of(1))))
