"""Once: the main weight was never set on one path, and the total loss was exactly 0."""

import pytest
import torch

from risexp.config.layers import load_config
from risexp.errors import ConfigInvalid, VerificationFailed
from risexp.loss import weighted
from risexp.loss.balance import Fixed
from risexp.loss.self_test import expect_sound
from risexp.loss.terms import TERMS
from risexp.loss.weighted import weighted_loss
from tests.predictions import guess_of, random_prediction, small_target

MAIN = ("cov", "cov_pred", "count", "pointers")


@pytest.mark.parametrize("section", ["loss", "curriculum.geometry", "curriculum.count"])
def test_a_configuration_without_a_main_weight_is_refused(section: str) -> None:
    overrides = [f"{section}.{name}=0" for name in MAIN]

    with pytest.raises(ConfigInvalid, match="no main term has a weight"):
        load_config(overrides=[*overrides, f"{section}.subspace=0.5"])


def test_weights_that_were_lost_on_the_way_are_refused(device: torch.device) -> None:
    target = small_target(device=device)
    guess = guess_of(random_prediction(target), target)

    with pytest.raises(ConfigInvalid, match="no term of the loss has a weight"):
        weighted_loss(guess, {"count": 0.0, "cov": 0.0}, Fixed())


def test_a_total_of_zero_is_reported(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    target = small_target(device=device)
    guess = guess_of(random_prediction(target), target)
    nothing = torch.zeros(len(target), device=device)
    monkeypatch.setattr(weighted, "TERMS", {**TERMS, "count": lambda _: nothing})

    total = float(weighted_loss(guess, {"count": 1.0}, Fixed()).total)

    with pytest.raises(VerificationFailed, match="the total loss is 0"):
        expect_sound(total, {"count": 0.0})
