"""Once: the worst epoch was kept as best, 0.0 became a default, a failed validation scored 0."""

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from torch import nn

from risexp.config.training import Selection
from risexp.errors import TrainingAborted
from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore, best
from risexp.training.events import EpochEnded
from risexp.training.plan import Plan
from risexp.training.trainer import Trainer
from tests.support.trainers import checkpoint_of, ended, epochs_of, small_config, small_trainer

VALUES = (0.7, 0.0, -0.4, 0.9, 0.2)


def scoring(*values: float, selection: Selection = "k_loc") -> Trainer:
    """A run whose epochs score as told, under every name a selection may look at."""

    def validate(_: nn.Module, plan: Plan) -> Mapping[str, float]:
        value = values[plan.epoch - 1]
        return {"k_loc": value, "success_rate": value, "loss": value}

    config = small_config(training__epochs=len(values), training__selection=selection)
    return small_trainer(config, validate=validate)


@pytest.mark.parametrize(("selection", "expected"), [("k_loc", 3), ("loss", 3), ("success", 4)])
def test_the_best_is_the_best_in_the_stated_direction(selection: Selection, expected: int) -> None:
    last = epochs_of(scoring(*VALUES, selection=selection))[-1]

    assert last.best is not None
    assert (expected, VALUES[expected - 1]) == (last.best.epoch, last.best.value)


def test_zero_is_a_value_like_any_other() -> None:
    last = epochs_of(scoring(0.3, 0.0, 0.2))[-1]

    assert last.best is not None
    assert (2, 0.0) == (last.best.epoch, last.best.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_failed_validation_ends_the_run_and_is_never_best(value: float) -> None:
    trainer = scoring(0.7, value, 0.5)
    told: list[EpochEnded] = []

    with pytest.raises(TrainingAborted, match="epoch 2: the validation gave k_loc") as caught:
        told.extend(ended(trainer.run()))

    assert "validation" == caught.value.guard
    assert [1] == [each.plan.epoch for each in told]
    assert trainer.progress.best is not None
    assert 1 == trainer.progress.best.epoch


def test_an_epoch_before_the_ramps_end_is_never_best() -> None:
    config = small_config(training__epochs=5, curriculum__count_ramp=3)
    trainer = scoring(*VALUES)
    trainer.plans = small_trainer(config).plans

    bests = [each.best.epoch if each.best else None for each in epochs_of(trainer)]

    assert [None, None, 3, 3, 3] == bests


def test_patience_counts_from_the_best() -> None:
    assert [0, 0, 0, 1, 2] == [each.since_best for each in epochs_of(scoring(*VALUES))]


@pytest.mark.parametrize(("selection", "expected"), [("k_loc", 3), ("success", 4)])
def test_what_is_kept_as_the_best_is_that_epoch(
    tmp_path: Path, selection: Selection, expected: int
) -> None:
    trainer = scoring(*VALUES, selection=selection)
    vault = CheckpointStore(tmp_path, CheckpointOwner("run-1", small_config().sha()))
    for each in ended(trainer.run()):
        vault.save(checkpoint_of(trainer, each))

    kept = best([tmp_path]).checkpoint

    assert (expected, VALUES[expected - 1]) == (kept.epoch, kept.scores["loss"])
