"""From a configuration to a trainer: every value arrives, and a warm start is no suggestion."""

import pytest
import torch

from risexp.config.run import RunConfig
from risexp.errors import CheckpointRefused
from risexp.training.epoch_checks import Limits
from risexp.training.setup import recipe_of
from risexp.training.trainer import Recipe
from tests.support.trainers import epochs_of, same, small_config, small_network, small_trainer

COUNT = {"curriculum__phase": "count", "curriculum__warm_start": "some-run"}


def test_the_recipe_is_the_configurations() -> None:
    config = small_config(training__seed=7, training__accumulation=4, training__selection="success")

    assert Recipe(seed=7, pieces=4, selection="success", limits=Limits()) == recipe_of(config)


@pytest.mark.parametrize(
    ("changes", "fixed"),
    [
        ({}, True),
        ({"loss__balance": "uncertainty"}, False),
        ({"loss__structure_share": 0.1}, False),
    ],
)
def test_weights_are_checked_where_nothing_else_scales_them(
    changes: dict[str, object], fixed: bool
) -> None:
    assert fixed == recipe_of(small_config(**changes)).limits.fixed_weights


def test_a_warm_start_that_was_not_loaded_is_an_error() -> None:
    with pytest.raises(CheckpointRefused, match="'some-run' was not loaded"):
        small_trainer(small_config(**COUNT))


def test_a_warm_start_begins_with_the_averaged_weights_of_another_run() -> None:
    earlier = small_trainer()
    epochs_of(earlier)
    state = earlier.state()

    trainer = small_trainer(small_config(**COUNT), warm=state)

    assert same(state.averaged, trainer.state().weights)
    assert same(state.averaged, trainer.state().averaged)
    assert 0 == trainer.progress.epoch


def test_a_resumed_run_needs_no_warm_start() -> None:
    warm = small_trainer().state()
    config = small_config(**COUNT)
    trainer = small_trainer(config, warm=warm)
    epochs_of(trainer)

    resumed = small_trainer(config, resumed=trainer.state())

    assert [] == epochs_of(resumed)


def test_a_warm_start_of_another_network_is_an_error() -> None:
    warm = small_trainer().state()
    wider = small_network()
    wider.heads = torch.nn.Linear(8, 20)

    with pytest.raises(CheckpointRefused, match=r"\[\d+, 8\] in the checkpoint and float32 \[20"):
        small_trainer(small_config(**COUNT), warm=warm, network=wider)


def test_rates_and_decay_are_the_configurations() -> None:
    config: RunConfig = small_config(
        training__epochs=1,
        training__optimizer__lr=0.01,
        training__optimizer__head_factor=4.0,
        training__optimizer__warmup_share=0.0,
        training__optimizer__final_share=0.5,
    )

    (epoch,) = epochs_of(small_trainer(config))

    assert {"backbone": 0.005, "heads": 0.02} == pytest.approx(epoch.steps.lr)


def test_nothing_is_averaged_without_a_decay() -> None:
    epochs = epochs_of(small_trainer(small_config(training__ema_decay=None)))

    assert {None} == {each.steps.average_distance for each in epochs}
