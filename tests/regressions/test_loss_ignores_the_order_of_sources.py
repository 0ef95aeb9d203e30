"""Once: a loss that compared slot by slot kept angles at a flat 18 deg: sources have no order."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.config.learning import CountKind
from risexp.loss.positions import position_error
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.terms import TERMS, Term
from tests.support.predictions import (
    SETTINGS,
    guess_of,
    random_prediction,
    reordered,
    small_scenes,
    target_of,
    with_slots_reordered,
)
from tests.support.scenes import any_device

Move = Callable[[PredictionPair, int], PredictionPair]
SCENES = small_scenes(16)


def slot_by_slot(guess: PredictionPair) -> Tensor:
    """Source k against slot k, as it once was."""
    pointers = guess.prediction.pointers
    pointed = (pointers.phi_rad, pointers.theta_rad, pointers.rho)
    off = position_error(pointed, guess.target.points, guess.settings.rho_unit)
    return guess.target.over_sources(off)


def drawn(device: torch.device, seed: int, kind: CountKind = "ordinal") -> PredictionPair:
    target = target_of(SCENES.to(device))
    return guess_of(random_prediction(target, kind, seed), target)


def sources_moved(guess: PredictionPair, seed: int) -> PredictionPair:
    device = guess.target.count.device
    moved = replace(SCENES, truth=reordered(SCENES.truth, seed)).to(device)
    return guess_of(guess.prediction, target_of(moved))


def slots_moved(guess: PredictionPair, seed: int) -> PredictionPair:
    return guess_of(with_slots_reordered(guess.prediction, seed), guess.target, SETTINGS)


def change(term: Term, guess: PredictionPair, moved: PredictionPair) -> float:
    """Largest change of a scene's error, relative to the largest error."""
    one, other = term(guess).detach(), term(moved).detach()
    return float((one - other).abs().max() / one.abs().max())


@given(seed=st.integers(0, 1000))
@any_device
@pytest.mark.parametrize("move", [sources_moved, slots_moved])
@pytest.mark.parametrize("name", TERMS)
def test_no_term_depends_on_how_sources_or_slots_are_listed(
    device: torch.device, name: str, move: Move, seed: int
) -> None:
    guess = drawn(device, seed)

    assert change(TERMS[name], guess, move(guess, seed)) < 1e-4


@given(seed=st.integers(0, 1000))
@any_device
@pytest.mark.parametrize("move", [sources_moved, slots_moved])
def test_nor_does_the_count_of_slots(device: torch.device, move: Move, seed: int) -> None:
    guess = drawn(device, seed, "slots")

    assert change(TERMS["count"], guess, move(guess, seed)) < 1e-4


@pytest.mark.parametrize("move", [sources_moved, slots_moved])
def test_a_loss_that_goes_slot_by_slot_would_be_seen(device: torch.device, move: Move) -> None:
    guess = drawn(device, 3)

    assert change(slot_by_slot, guess, move(guess, 3)) > 0.1
