"""Once: seeds were added up, and the scenes that judged a run were those it had learned from."""

from functools import partial

import pytest
import torch

from risexp.data.scenes import SceneGenerator
from risexp.data.streams import Split
from risexp.tracking.leak import Leak, Marks, scene_marks, stream_marks
from tests.runs_followed import followed, guarded, joint
from tests.runs_of_training import small_config

CONFIG = small_config()


def marks(device: torch.device, split: Split, start: int, count: int) -> Marks:
    generator = SceneGenerator(CONFIG.physics, CONFIG.data, device)
    return lambda: scene_marks(generator.scenes(split, start, count))


def additive_generator(
    seed: int, split: Split, block: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Plant the fault: the streams of the validation are those of training, a little further on."""
    return torch.Generator(device).manual_seed(seed + block + (2 if split == "validation" else 0))


def test_validation_scenes_that_were_trained_on_end_the_run_before_it_begins(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risexp.data.scenes.block_generator", additive_generator)
    trainer = joint(3)

    outcome = guarded(
        trainer, Leak(marks(device, "train", 0, 1024), marks(device, "validation", 0, 300))
    )

    assert ("leak", 4) == (outcome.reason, outcome.exit_code)
    assert outcome.sentence.startswith("300 of 300 marks of the validation occur in training")
    assert 0 == trainer.progress.epoch


def test_one_shared_scene_is_enough(device: torch.device) -> None:
    guard = Leak(marks(device, "train", 0, 300), marks(device, "train", 299, 300))

    assert guarded(joint(3), guard).sentence.startswith("1 of 300 marks")


def test_splits_of_their_own_share_nothing(device: torch.device) -> None:
    guard = Leak(marks(device, "train", 0, 1024), marks(device, "validation", 0, 1024))

    assert "finished" == guarded(joint(3), guard).reason


def test_no_stream_of_a_whole_long_run_is_one_of_the_validations() -> None:
    of_training = partial(stream_marks, 0, "train", 200 * 16_384)

    assert (
        "finished"
        == guarded(joint(3), Leak(of_training, partial(stream_marks, 0, "validation", 4096))).reason
    )
    assert (
        "leak"
        == guarded(joint(3), Leak(of_training, partial(stream_marks, 0, "train", 4096))).reason
    )


def test_a_run_without_the_guard_would_not_have_noticed() -> None:
    assert "finished" == followed(joint(3)).reason
