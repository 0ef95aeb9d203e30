import torch

from risexp.config.layers import load_config
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK
from risexp.tracking.leak import Leak, scene_marks, stream_marks
from risexp.training.events import EpochStarted
from tests.runs_followed import joint, plan_of, reading, started_of

STARTED = started_of(joint(1))


def generator(device: torch.device) -> SceneGenerator:
    config = load_config(preset="smoke").config
    return SceneGenerator(config.physics, config.data, device)


def test_every_scene_has_a_mark_of_its_own(device: torch.device) -> None:
    scenes = generator(device).scenes("train", 0, 40)

    marks = list(scene_marks(scenes))

    assert 40 == len(set(marks))
    assert marks[10:20] == list(scene_marks(scenes[10:20]))


def test_a_stream_has_a_mark_for_each_block_it_is_drawn_from() -> None:
    marks = list(stream_marks(0, "train", 2 * BLOCK + 1))

    assert 3 == len(set(marks))
    assert marks[:2] == list(stream_marks(0, "train", 2 * BLOCK))


def test_what_is_shared_is_counted() -> None:
    guard = Leak(lambda: [b"a", b"b", b"c", b"d"], lambda: [b"c", b"e", b"d"])

    found = reading(guard, STARTED)

    assert 2 == found.value
    assert found.fault is not None
    assert "2 of 3 marks of the validation occur in training" in found.fault


def test_a_run_is_looked_at_before_its_first_epoch_only() -> None:
    guard = Leak(lambda: [b"a"], lambda: [b"a"])

    assert [] == list(guard.look(EpochStarted(plan_of(1))))
