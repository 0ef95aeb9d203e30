"""From a configuration to a trainer: every value arrives, and a warm start is no suggestion."""

import pytest

from risexp.config.run import RunConfig
from risexp.training.epoch_checks import Limits
from risexp.training.setup import recipe_of
from risexp.training.trainer import Recipe
from tests.support.trainers import epochs_of, same, small_config, small_trainer

COUNT = {"curriculum__phase": "count", "curriculum__warm_start": "some-run"}


def test_the_recipe_is_the_configurations() -> None:
    config = small_config(training__seed=7, training__accumulation=4, training__selection="success")

    assert Recipe(seed=7, pieces=4, selection="success", limits=Limits()) == recipe_of(config)
    # Weights are checked where nothing else scales them.
    for change in ({"loss__balance": "uncertainty"}, {"loss__structure_share": 0.1}):
        assert not recipe_of(small_config(**change)).limits.fixed_weights


def test_a_warm_start_begins_with_the_averaged_weights_of_another_run() -> None:
    earlier, config = small_trainer(), small_config(**COUNT)
    epochs_of(earlier)
    state = earlier.state()

    trainer = small_trainer(config, warm=state)

    assert same(state.averaged, trainer.state().weights)
    assert same(state.averaged, trainer.state().averaged)
    assert 0 == trainer.progress.epoch
    epochs_of(trainer)
    assert [] == epochs_of(small_trainer(config, resumed=trainer.state()))


def test_rates_and_decay_are_the_configurations() -> None:
    config: RunConfig = small_config(
        training__epochs=1,
        training__ema_decay=None,
        training__optimizer__lr=0.01,
        training__optimizer__head_factor=4.0,
        training__optimizer__warmup_share=0.0,
        training__optimizer__final_share=0.5,
    )

    (epoch,) = epochs_of(small_trainer(config))

    assert {"backbone": 0.005, "heads": 0.02} == pytest.approx(epoch.steps.lr)
    assert epoch.steps.average_distance is None
