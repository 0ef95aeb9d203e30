"""Batches by name: the same from any side, none twice, all of the training stream."""

import pytest
import torch

from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.training.setup import Batches, RepeatedBatches, batches_of
from tests.support.trainers import small_config


def generator(device: torch.device) -> SceneGenerator:
    config = small_config()
    return SceneGenerator(config.physics, config.data, device)


def equal(one: Scenes, other: Scenes) -> bool:
    return torch.equal(one.frames.y, other.frames.y) and torch.equal(
        one.truth.count, other.truth.count
    )


@pytest.mark.parametrize("size", [7, 100, 256, 300])
def test_the_walk_and_the_name_give_the_same_bits(device: torch.device, size: int) -> None:
    batches = Batches(generator(device), size, 3)

    for epoch in (1, 2, 5):
        walked = list(batches.epoch(epoch))
        assert 3 == len(walked) == len(batches)
        for batch, scenes in enumerate(walked):
            assert equal(batches.scenes(epoch, batch), scenes)


def test_epochs_follow_one_another_in_the_training_stream(device: torch.device) -> None:
    source = generator(device)
    batches = Batches(source, 50, 4)

    walked = Scenes.join([scenes for epoch in (1, 2, 3) for scenes in batches.epoch(epoch)])

    assert equal(source.scenes("train", 0, 600), walked)
    assert equal(source.scenes("train", 400, 200), Scenes.join(list(batches.epoch(3))))


def test_a_configuration_makes_its_batches_and_repeated_epochs_are_the_first(
    device: torch.device,
) -> None:
    training = small_config(training__scenes_per_epoch=70).training
    repeat = small_config(training__scenes_per_epoch=70, training__repeat=True).training
    fresh = Batches(generator(device), 16, 4)

    repeated = batches_of(repeat, generator(device))

    assert fresh == batches_of(training, generator(device))
    assert isinstance(repeated, RepeatedBatches)
    for one, other in zip(repeated.epoch(9), fresh.epoch(1), strict=True):
        assert equal(one, other)
    assert equal(fresh.scenes(1, 2), repeated.scenes(9, 2))
    assert 4 == len(repeated)
