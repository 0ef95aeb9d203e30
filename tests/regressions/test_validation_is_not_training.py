"""Once: seeds were added up, and the scenes that judged a run were those it had learned from."""

import io
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
import torch
from rich.console import Console

from risexp.app.run.machine import Machine
from risexp.app.run.train import train
from risexp.callbacks.guards import LeakGuard, Marks, scene_marks, stream_marks
from risexp.config.layers import load_config
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK, Split
from risexp.runs.outcome import Outcome
from tests.support.recorded_runs import followed, guarded, joint
from tests.support.trainers import small_config

CONFIG = small_config()
OFFSETS: Mapping[Split, int] = {"train": 0, "validation": 2, "calibration": 2000, "test": 4000}
"""Blocks from the first of training to the first of each split, as the fault has it."""


def marks(device: torch.device, split: Split, start: int, count: int) -> Marks:
    generator = SceneGenerator(CONFIG.physics, CONFIG.data, device)
    return lambda: scene_marks(generator.scenes(split, start, count))


def additive(offsets: Mapping[Split, int]) -> Callable[..., torch.Generator]:
    """Plant the fault: the streams of each split are those of training, further on."""

    def block_generator(
        seed: int, split: Split, block: int, device: torch.device | str = "cpu"
    ) -> torch.Generator:
        return torch.Generator(device).manual_seed(seed + offsets[split] + block)

    return block_generator


def planted(monkeypatch: pytest.MonkeyPatch, offsets: Mapping[Split, int]) -> None:
    for user in ("data.scenes", "callbacks.guards"):
        monkeypatch.setattr(f"risexp.{user}.block_generator", additive(offsets))


def test_validation_scenes_that_were_trained_on_end_the_run_before_it_begins(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(monkeypatch, OFFSETS)
    trainer = joint(3)
    training, validation = marks(device, "train", 0, 1024), marks(device, "validation", 0, 300)

    outcome = guarded(trainer, LeakGuard({"training": training, "validation": validation}))

    assert ("leak", 4) == (outcome.reason, outcome.exit_code)
    assert outcome.sentence.startswith("300 of 300 marks of the validation occur in the training")
    assert 0 == trainer.progress.epoch


def test_one_shared_scene_is_enough(device: torch.device) -> None:
    training, validation = marks(device, "train", 0, 300), marks(device, "train", 299, 300)
    guard = LeakGuard({"training": training, "validation": validation})

    assert guarded(joint(3), guard).sentence.startswith("1 of 300 marks")


def test_splits_of_their_own_share_nothing(device: torch.device) -> None:
    training, validation = marks(device, "train", 0, 1024), marks(device, "validation", 0, 1024)
    guard = LeakGuard({"training": training, "validation": validation})

    assert "finished" == guarded(joint(3), guard).reason


@pytest.fixture
def outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Outcome]:
    """How a whole run ends: 40 epochs of one block each, with whatever is planted by then."""
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    tiny = {
        "training.epochs": 40,
        "training.scenes_per_epoch": BLOCK,
        "training.batch": BLOCK,
        "validation.scenes": 16,
        "validation.calibration_scenes": 16,
    }
    config = load_config(preset="smoke").config.replace(tiny)
    machine = Machine(torch.device("cpu"), threads=1, time_limit_s=0.0)
    return lambda: train(config, machine, Console(file=io.StringIO())).outcome


@pytest.mark.parametrize(
    ("offsets", "said"),
    [
        ({"validation": 31}, "validation occur in the training"),
        ({"calibration": 31}, "calibration occur in the training"),
        ({"validation": 2000}, "calibration occur in the validation"),
    ],
)
def test_a_run_whose_streams_meet_in_any_of_its_epochs_is_ended(
    outcome: Callable[[], Outcome],
    monkeypatch: pytest.MonkeyPatch,
    offsets: Mapping[Split, int],
    said: str,
) -> None:
    """In an epoch of which no scene is looked at."""
    planted(monkeypatch, {**OFFSETS, "validation": 3000, **offsets})

    ended = outcome()

    assert ("aborted", "leak", 4) == (ended.status, ended.reason, ended.exit_code)
    assert said in ended.sentence


@pytest.mark.parametrize(
    ("copied", "said"),
    [("validation", "validation occur in the training"), ("calibration", "calibration occur in")],
)
def test_a_run_that_draws_from_a_split_that_is_not_its_own_is_ended(
    outcome: Callable[[], Outcome], monkeypatch: pytest.MonkeyPatch, copied: str, said: str
) -> None:
    """The streams are sound, and training is drawn from those of another split."""
    honest = SceneGenerator.block

    def block(generator: SceneGenerator, split: Split, block: int) -> Scenes:
        return honest(generator, "train" if split == copied else split, block)

    monkeypatch.setattr(SceneGenerator, "block", block)

    ended = outcome()

    assert ("leak", 4) == (ended.reason, ended.exit_code)
    assert said in ended.sentence


def test_a_run_with_streams_of_its_own_is_not_ended(outcome: Callable[[], Outcome]) -> None:
    assert "time-limit" == outcome().reason


def test_no_stream_of_a_whole_long_run_is_one_of_the_validations() -> None:
    training = partial(stream_marks, 0, "train", 200 * 16_384)
    own, copied = (partial(stream_marks, 0, split, 4096) for split in ("validation", "train"))

    ends = [guarded(joint(3), LeakGuard({"training": training, "it": it})) for it in (own, copied)]

    assert ["finished", "leak"] == [each.reason for each in ends]


def test_a_run_without_the_guard_would_not_have_noticed() -> None:
    assert "finished" == followed(joint(3)).reason
