"""Once: the count phase began from random weights, its backbone frozen, and a warning said so."""

import pytest
import torch

from risexp.errors import CheckpointRefused
from tests.support.configs import refusal
from tests.support.trainers import epochs_of, same, small_config, small_network, small_trainer

COUNT = small_config(curriculum__phase="count", curriculum__warm_start="geometry-run")


def test_a_frozen_backbone_that_learned_nothing_is_refused_by_the_configuration() -> None:
    said = refusal({"curriculum.phase": "count"})

    assert "freezes a backbone that has learned nothing: name a warm_start" in said


def test_a_warm_start_that_is_missing_or_of_another_shape_is_an_error(device: torch.device) -> None:
    wider = small_network(device)
    wider.backbone = torch.nn.Linear(256, 9).to(device)

    with pytest.raises(CheckpointRefused, match="would start from random weights"):
        small_trainer(COUNT, device=device)
    with pytest.raises(CheckpointRefused, match=r"'backbone\.weight' are float32 \[8, "):
        small_trainer(COUNT, warm=small_trainer(device=device).state(), network=wider)


def test_the_count_phase_keeps_the_backbone_it_was_given(device: torch.device) -> None:
    geometry = small_trainer(small_config(curriculum__phase="geometry"), device=device)
    epochs_of(geometry)
    warm = geometry.state()
    trainer = small_trainer(COUNT, warm=warm, device=device)

    epochs = epochs_of(trainer)
    weights = trainer.state().weights
    backbone = {name for name in weights if name.startswith("backbone")}

    assert same(
        {name: warm.averaged[name] for name in backbone}, {name: weights[name] for name in backbone}
    )
    assert {0.0} == {each.steps.moved["backbone"] for each in epochs}
    assert all(each.steps.moved["heads"] > 0.0 for each in epochs)
