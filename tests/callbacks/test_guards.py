"""How guards are read and enforced, and the guards of epochs, plans and leaks."""

import re
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
import torch

from risexp.callbacks.guards import (
    EpochGuard,
    GuardCallback,
    LeakGuard,
    PlanGuard,
    batch_marks,
    scene_marks,
    stream_marks,
)
from risexp.config.layers import load_config
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK
from risexp.training.epoch_checks import Limits
from risexp.training.events import BatchEnded, EpochStarted, Event
from risexp.training.replay import Refusal
from risexp.training.setup import Batches
from tests.support.recorded_runs import (
    ended_of,
    guard_values,
    joint,
    plan_of,
    plans_of,
    reading,
    started_of,
    steps_of,
)
from tests.support.recorded_runs import guard_fault as sentence

STARTED = started_of(joint(1))
EPOCHS = EpochGuard(Limits())
QUIET: tuple[Event, ...] = (STARTED, EpochStarted(plan_of(1)), BatchEnded(1, 0, 4))


def generator(device: torch.device) -> SceneGenerator:
    config = load_config(preset="smoke").config
    return SceneGenerator(config.physics, config.data, device)


def shared(**sets: list[bytes]) -> LeakGuard:
    return LeakGuard({name: partial(list, marks) for name, marks in sets.items()})


def test_a_sound_epoch_has_no_fault_and_a_batch_does_not_change_the_readings() -> None:
    found = guard_values(EPOCHS, ended_of(plan_of(1)))

    counted = ("steps", "refused", "moved", "weights", "average", "loss", "covariance", "plan")
    assert dict.fromkeys(counted, 0) == found
    assert [{}, {}, {}] == [guard_values(EPOCHS, event) for event in QUIET]
    watch = GuardCallback([EPOCHS])
    for event in (ended_of(plan_of(1)), BatchEnded(2, 0, 4)):
        watch(event)
    assert found == watch.values()


def test_refused_steps_are_explained_by_the_first_refusal() -> None:
    refusal = Refusal(2, "value", ("eigengap",), ("backbone.weight",), ())
    steps = replace(steps_of(1), taken=3, refused=(2,))
    ended = replace(ended_of(plan_of(1)), steps=steps, refused=(refusal,))

    fault = sentence(EPOCHS, ended)

    assert "1 of 4 steps were refused, more than 5%" in fault
    assert "batch 2: value in eigengap at backbone.weight; lower training.optimizer.lr" in fault


def test_a_fault_without_advice_is_still_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risexp.callbacks.guards._ADVICE", {})
    ended = replace(ended_of(plan_of(1)), steps=replace(steps_of(1), taken=0))

    assert "epoch 1: 0 of 4 batches" in sentence(EPOCHS, ended)


def test_a_plan_that_changed_is_found_before_its_epoch() -> None:
    plans = plans_of("geometry", "joint")
    guard = PlanGuard(plans)
    events = (EpochStarted(plans[1]), ended_of(plans[1]))
    assert [{"curriculum": 0}] * 2 == [guard_values(guard, event) for event in events]
    assert {} == guard_values(guard, STARTED)

    weights = plan_of(1).weights
    for changed, message in (
        (plan_of(2, weights={**weights, "count": 0.05}), r"weights\.count = 0\.05"),
        (plan_of(2, beta=0.1), r"beta = 0\.1, and the plan made before the run says 0\.0"),
        (plan_of(2, phase="count"), "phase = 'count'"),
        (plan_of(2, weights={**weights, "new": 1.0}), r"weights\.new = 1\.0"),
        (replace(plan_of(2), rates={"backbone": 0.0, "heads": 1.0}), r"rates\.backbone = 0\.0"),
    ):
        fault = sentence(PlanGuard(plans_of("joint", "joint")), EpochStarted(changed))

        assert re.search(message, fault)


def test_a_scene_has_one_mark_and_a_stream_one_per_block_up_to_a_limit(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = generator(device).scenes("train", 0, 40)
    of_scenes, marks = list(scene_marks(scenes)), list(stream_marks(0, "train", 2 * BLOCK + 1))

    assert 40 == len(set(of_scenes))
    assert of_scenes[10:20] == list(scene_marks(scenes[10:20]))
    # Two seeds that differ beyond 32 bits draw the same numbers on CPU.
    one, other = (torch.Generator().manual_seed(seed) for seed in (5, 5 + (7 << 32)))
    assert torch.equal(torch.rand(9, generator=one), torch.rand(9, generator=other))
    assert {4} == {len(mark) for mark in stream_marks(2**62, "test", 4 * BLOCK)}
    assert 3 == len(set(marks))
    assert marks[:2] == list(stream_marks(0, "train", 2 * BLOCK))
    monkeypatch.setattr("risexp.callbacks.guards.STREAMS", 5)
    assert 5 == len(list(stream_marks(0, "train", 100 * BLOCK)))


@dataclass(frozen=True)
class SampledBatches(Batches):
    """Notes which batches are drawn."""

    places: list[tuple[int, int]] = field(default_factory=list)

    def scenes(self, epoch: int, batch: int) -> Scenes:
        self.places.append((epoch, batch))
        return super().scenes(epoch, batch)


def test_batches_are_sampled_from_the_first_to_the_last_of_a_run(device: torch.device) -> None:
    for count, epochs in ((10, 50), (1, 1), (3, 1), (1, 5)):
        batches = SampledBatches(generator(device), size=2, count=count)

        marks = list(batch_marks(batches, epochs))

        sampled = min(count * epochs, 8)
        assert sampled == len({*batches.places}) == len(batches.places)
        assert sorted(batches.places) == batches.places
        assert [(1, 0), (epochs, count - 1)] == [batches.places[0], batches.places[-1]]
        assert 2 * sampled == len(set(marks))


def test_shared_marks_are_counted_over_all_pairs_of_sets_before_the_first_epoch() -> None:
    training = [b"a", b"b", b"c", b"d"]
    for others, count, message in (
        ({"validation": [b"c", b"e", b"d"]}, 2, "2 of 3 marks of the validation occur in the tr"),
        (
            {"validation": [b"v"], "calibration": [b"a", b"x"]},
            1,
            "1 of 2 marks of the calibration occur in the training too",
        ),
        (
            {"validation": [b"v"], "calibration": [b"v", b"x"]},
            1,
            "1 of 2 marks of the calibration occur in the validation too",
        ),
    ):
        seen = reading(shared(training=training, **others), STARTED)

        assert count == seen.value
        assert str(seen.fault).startswith(message)

    seen = reading(shared(training=training, validation=[b"v"], calibration=[b"x"]), STARTED)
    assert (0, None) == (seen.value, seen.fault)
    overlapping = shared(training=training, validation=training)
    assert [] == list(overlapping.look(EpochStarted(plan_of(1))))
