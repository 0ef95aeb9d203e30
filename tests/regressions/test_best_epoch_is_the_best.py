"""Once: the worst epoch was kept as best, 0.0 became a default, a failed validation scored 0."""

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from torch import nn

from risexp.config.training import Selection
from risexp.errors import TrainingAborted
from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore, best
from risexp.training.plan import Plan
from risexp.training.trainer import Trainer
from tests.support.trainers import checkpoint_of, ended, epochs_of, small_config, small_trainer


def scoring(*values: float, selection: Selection = "k_loc") -> Trainer:
    """A run whose epochs score as told, under every name a selection may look at."""

    def validate(_: nn.Module, plan: Plan) -> Mapping[str, float]:
        value = values[plan.epoch - 1]
        return {"k_loc": value, "success_rate": value, "loss": value}

    config = small_config(training__epochs=len(values), training__selection=selection)
    return small_trainer(config, validate=validate)


@pytest.mark.parametrize(("selection", "expected"), [("k_loc", 3), ("loss", 3), ("success", 4)])
def test_what_is_kept_as_the_best_is_that_epoch_though_its_score_be_zero(
    tmp_path: Path, selection: Selection, expected: int
) -> None:
    values = (0.7, 0.3, 0.0, 0.9, 0.2)
    trainer = scoring(*values, selection=selection)
    store = CheckpointStore(tmp_path, CheckpointOwner("run-1", small_config().sha()))
    for each in ended(trainer.run()):
        store.save(checkpoint_of(trainer, each))

    kept = best([tmp_path]).checkpoint

    assert each.best is not None
    assert (expected, values[expected - 1]) == (each.best.epoch, each.best.value)
    assert (expected, values[expected - 1]) == (kept.epoch, kept.scores["loss"])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_failed_validation_ends_the_run_and_is_never_best(value: float) -> None:
    trainer = scoring(0.7, value, 0.5)

    with pytest.raises(TrainingAborted, match="epoch 2: the validation gave k_loc") as caught:
        epochs_of(trainer)

    assert "validation" == caught.value.guard
    assert trainer.progress.best is not None
    assert (1, 1) == (trainer.progress.epoch, trainer.progress.best.epoch)
