"""Once: a loss that compared slot by slot kept angles at a flat 18 deg: sources have no order."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.config.learning import CountKind
from risexp.loss.prediction_pair import PredictionPair, position_error
from risexp.loss.terms import TERMS, Term
from tests.support.predictions import (
    SETTINGS,
    pair_of,
    random_prediction,
    reordered,
    small_scenes,
    target_of,
    with_slots_reordered,
)
from tests.support.scenes import any_device

Move = Callable[[PredictionPair, int], PredictionPair]
SCENES = small_scenes(16)


def slot_by_slot(pair: PredictionPair) -> Tensor:
    """Source k against slot k, as it once was."""
    pointers = pair.prediction.pointers
    pointed = (pointers.phi_rad, pointers.theta_rad, pointers.rho)
    off = position_error(pointed, pair.target.points, pair.settings.rho_unit)
    return pair.target.over_sources(off)


def drawn(device: torch.device, seed: int, kind: CountKind = "ordinal") -> PredictionPair:
    target = target_of(SCENES.to(device))
    return pair_of(random_prediction(target, kind, seed), target)


def sources_moved(pair: PredictionPair, seed: int) -> PredictionPair:
    device = pair.target.count.device
    moved = replace(SCENES, truth=reordered(SCENES.truth, seed)).to(device)
    return pair_of(pair.prediction, target_of(moved))


def slots_moved(pair: PredictionPair, seed: int) -> PredictionPair:
    return pair_of(with_slots_reordered(pair.prediction, seed), pair.target, SETTINGS)


def change(term: Term, pair: PredictionPair, moved: PredictionPair) -> float:
    """Largest change of a scene's error, relative to the largest error."""
    one, other = term(pair).detach(), term(moved).detach()
    return float((one - other).abs().max() / one.abs().max())


@given(seed=st.integers(0, 1000))
@any_device
@pytest.mark.parametrize("move", [sources_moved, slots_moved])
@pytest.mark.parametrize("name", TERMS)
def test_no_term_depends_on_how_sources_or_slots_are_listed(
    device: torch.device, name: str, move: Move, seed: int
) -> None:
    pair = drawn(device, seed)

    assert change(TERMS[name], pair, move(pair, seed)) < 1e-4


@given(seed=st.integers(0, 1000))
@any_device
@pytest.mark.parametrize("move", [sources_moved, slots_moved])
def test_nor_does_the_count_of_slots(device: torch.device, move: Move, seed: int) -> None:
    pair = drawn(device, seed, "slots")

    assert change(TERMS["count"], pair, move(pair, seed)) < 1e-4


@pytest.mark.parametrize("move", [sources_moved, slots_moved])
def test_a_loss_that_goes_slot_by_slot_would_be_seen(device: torch.device, move: Move) -> None:
    pair = drawn(device, 3)

    assert change(slot_by_slot, pair, move(pair, 3)) > 0.1
