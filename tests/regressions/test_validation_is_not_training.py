"""Museum 20: seeds were added up, and a run was judged by the scenes it had learned from."""

from collections.abc import Callable, Mapping

import pytest
import torch

from risexp.callbacks.guards import LeakGuard, Marks, scene_marks
from risexp.config.measurement import DataConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK, SPLITS, Split
from tests.support.recorded_runs import guarded, joint
from tests.support.short_runs import short_run
from tests.support.trainers import small_config

CONFIG = small_config()
OFFSETS: Mapping[Split, int] = {"train": 0, "validation": 2, "calibration": 2000, "test": 4000}
"""Blocks from the first of training to the first of each split, as the fault has it."""


def additive(offsets: Mapping[Split, int]) -> Callable[..., torch.Generator]:
    """Plant the fault: the streams of each split are those of training, further on."""

    def block_generator(
        seed: int, split: Split, block: int, device: torch.device | str = "cpu"
    ) -> torch.Generator:
        return torch.Generator(device).manual_seed(seed + offsets[split] + block)

    return block_generator


def planted(monkeypatch: pytest.MonkeyPatch, offsets: Mapping[Split, int] = OFFSETS) -> None:
    for user in ("data.scenes", "callbacks.guards"):
        monkeypatch.setattr(f"risexp.{user}.block_generator", additive(offsets))


def shared_scenes(device: torch.device, *seeds: int) -> int:
    """How many scenes of the first blocks of all splits occur more than once."""
    marks = [
        mark
        for seed in seeds
        for split in SPLITS
        for block in range(3)
        for mark in scene_marks(
            SceneGenerator(CONFIG.physics, DataConfig(seed=seed), device).block(split, block)
        )
    ]
    return len(marks) - len(set(marks))


def test_no_scene_is_in_two_splits_or_under_two_seeds(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 0 == shared_scenes(device, 0, 1, 123, 2**62)

    planted(monkeypatch)

    # Training's last block is validation's first; the splits of neighbouring seeds overlap.
    assert [BLOCK, 10 * BLOCK] == [shared_scenes(device, 0), shared_scenes(device, 0, 1)]


def test_validation_scenes_that_were_trained_on_end_the_run_before_it_begins(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def marks(split: Split, count: int) -> Marks:
        generator = SceneGenerator(CONFIG.physics, CONFIG.data, device)
        return lambda: scene_marks(generator.scenes(split, 0, count))

    trainer = joint(3)
    guard = LeakGuard({"training": marks("train", 1024), "validation": marks("validation", 300)})
    assert "finished" == guarded(joint(3), guard).reason

    planted(monkeypatch)
    outcome = guarded(trainer, guard)

    assert ("leak", 4) == (outcome.reason, outcome.exit_code)
    assert outcome.sentence.startswith("300 of 300 marks of the validation occur in the training")
    assert 0 == trainer.progress.epoch


@pytest.mark.parametrize(
    ("offsets", "said"),
    [
        ({"validation": 31}, "validation occur in the training"),
        ({"validation": 2000}, "calibration occur in the validation"),
    ],
)
@pytest.mark.usefixtures("own_home")
def test_a_run_whose_streams_meet_in_any_of_its_epochs_is_ended(
    monkeypatch: pytest.MonkeyPatch, offsets: Mapping[Split, int], said: str
) -> None:
    """In an epoch of which no scene is looked at."""
    planted(monkeypatch, {**OFFSETS, **offsets})
    blocks = ("training.scenes_per_epoch", "training.batch")

    ended = short_run({"training.epochs": 40, **dict.fromkeys(blocks, BLOCK)}).outcome

    assert ("aborted", "leak", 4) == (ended.status, ended.reason, ended.exit_code)
    assert said in ended.sentence


@pytest.mark.parametrize("copied", ["validation", "calibration"])
@pytest.mark.usefixtures("own_home")
def test_a_run_that_draws_from_a_split_that_is_not_its_own_is_ended(
    monkeypatch: pytest.MonkeyPatch, copied: str
) -> None:
    """The streams are sound, and training is drawn from those of another split."""
    honest = SceneGenerator.block

    def block(generator: SceneGenerator, split: Split, block: int) -> Scenes:
        return honest(generator, "train" if split == copied else split, block)

    monkeypatch.setattr(SceneGenerator, "block", block)

    ended = short_run().outcome

    assert ("leak", 4) == (ended.reason, ended.exit_code)
    assert f"{copied} occur in" in ended.sentence
