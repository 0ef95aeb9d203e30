"""Once: a loss that compared slot by slot kept angles at a flat 18 deg: sources have no order."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from risexp.config.learning import CountKind
from risexp.loss.prediction_pair import PredictionPair, position_error
from risexp.loss.terms import TERMS, Term
from tests.support.predictions import (
    pair_of,
    random_prediction,
    reordered,
    small_scenes,
    target_of,
    with_slots_reordered,
)

Move = Callable[[PredictionPair, int], PredictionPair]
SCENES = small_scenes(32)


def slot_by_slot(pair: PredictionPair) -> Tensor:
    """Source k against slot k, as it once was."""
    pointers = pair.prediction.pointers
    pointed = (pointers.phi_rad, pointers.theta_rad, pointers.rho)
    off = position_error(pointed, pair.target.points, pair.settings.rho_unit)
    return pair.target.over_sources(off)


def sources_moved(pair: PredictionPair, seed: int) -> PredictionPair:
    moved = replace(SCENES, truth=reordered(SCENES.truth, seed)).to(pair.target.count.device)
    return pair_of(pair.prediction, target_of(moved))


def slots_moved(pair: PredictionPair, seed: int) -> PredictionPair:
    return pair_of(with_slots_reordered(pair.prediction, seed), pair.target)


def change(
    term: Term, move: Move, seed: int, device: torch.device, kind: CountKind = "ordinal"
) -> float:
    """Largest change of a scene's error by a move, relative to the largest error."""
    target = target_of(SCENES.to(device))
    pair = pair_of(random_prediction(target, kind, seed), target)
    one, other = term(pair).detach(), term(move(pair, seed)).detach()
    return float((one - other).abs().max() / one.abs().max())


@pytest.mark.parametrize("move", [sources_moved, slots_moved])
def test_no_term_depends_on_how_sources_or_slots_are_listed(
    device: torch.device, move: Move
) -> None:
    for seed in range(3):
        for name, term in TERMS.items():
            assert change(term, move, seed, device) < 1e-4, (name, seed)
        assert change(TERMS["count"], move, seed, device, "slots") < 1e-4, seed
    assert change(slot_by_slot, move, 3, device) > 0.1
