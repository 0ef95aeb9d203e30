import math
from dataclasses import replace
from typing import get_args

import torch

from risexp.config.learning import CountKind
from risexp.inference.calibration import Calibration, calibration_error, nll
from risexp.model.prediction import CountLaw
from tests.support.looping import for_each
from tests.support.scenes import uniform

KINDS: tuple[CountKind, ...] = get_args(CountKind)


def sampled(law: CountLaw, scenes: int = 10_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and counts drawn from what a law of temperature one says of them."""
    logits = uniform(-3.0, 3.0, scenes, law.width, seed=3)
    if law.kind == "ordinal":
        logits = logits.sort(dim=-1, descending=True).values
    chosen = torch.multinomial(
        law.probabilities(logits), 1, generator=torch.Generator().manual_seed(1)
    )
    return logits, chosen.squeeze(-1) + 1


@for_each("kind", KINDS)
@for_each("times", [1.0, 2.5])
def test_the_temperature_that_was_taken_away_is_found_again(kind: CountKind, times: float) -> None:
    law = CountLaw(kind, sources_max=5)
    logits, count = sampled(law)

    found = Calibration.of(law, times * logits, count)

    assert math.isclose(times, found.temperature, rel_tol=0.06)
    assert found.nll_after <= found.nll_before + 1e-4  # where nothing was wrong, chance decides
    assert found.ece_after < 0.02
    assert (times > 1.0) == (found.ece_before > 0.02)
    assert (times > 1.0) == (found.nll_before - found.nll_after > 1e-3)
    assert len(count) == found.scenes


def test_what_a_temperature_changes_is_measured_on_other_scenes() -> None:
    """Once: "after" was measured on the scenes of the fit, where it can only be better."""
    law = CountLaw("softmax", sources_max=3)
    logits = torch.tensor([[2.0, 0.0, 0.0]]).repeat(8, 1)
    # The even scenes are all right, the odd ones all wrong: each half misleads the other.
    count = torch.tensor([1, 2] * 4)

    measured = Calibration.of(law, logits, count)
    alone = Calibration.of(law, logits[:1], count[:1])

    cold, hot = (replace(law, temperature=temperature) for temperature in (0.05, 20.0))
    expected = 0.5 * (nll(hot, logits[:1], count[:1]) + nll(cold, logits[1:2], count[1:2]))
    assert math.isclose(expected, measured.nll_after, rel_tol=1e-5)
    assert (
        measured.nll_after
        > measured.nll_before
        > nll(replace(law, temperature=measured.temperature), logits, count)
    )
    assert (alone.nll_before, alone.ece_before) == (alone.nll_after, alone.ece_after)


def test_the_error_is_the_gap_between_confidence_and_hits() -> None:
    sure = torch.tensor([[0.9, 0.1]]).repeat(10, 1)
    count = torch.tensor([1] * 6 + [2] * 4)

    assert math.isclose(0.3, calibration_error(sure, count), abs_tol=1e-6)


def test_the_likelihood_of_a_sure_and_right_head_is_perfect() -> None:
    law = CountLaw("softmax", sources_max=3)
    logits = 50.0 * torch.eye(3)

    assert nll(law, logits, torch.tensor([1, 2, 3])) < 1e-6
    assert nll(law, logits, torch.tensor([2, 3, 1])) > 20.0
