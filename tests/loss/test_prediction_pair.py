"""What a guess works out once: which slot answers which source."""

from dataclasses import replace

import torch

from risexp.model.prediction import Prediction
from tests.support.predictions import (
    best_prediction,
    guess_of,
    random_prediction,
    small_target,
    with_slots_reordered,
)


def test_perfect_pointers_are_paired_with_their_own_sources(device: torch.device) -> None:
    target = small_target(device=device)
    own = torch.arange(5, device=device).expand_as(target.present)

    slots = guess_of(best_prediction(target), target).slots

    assert torch.equal(own[target.present], slots[target.present])


def test_slots_in_another_order_are_found_again(device: torch.device) -> None:
    target = small_target(device=device)
    moved = with_slots_reordered(best_prediction(target), seed=2)

    guess = guess_of(moved, target)

    found = guess.of_sources(moved.pointers.phi_rad)
    assert torch.equal(target.phi_rad[target.present], found[target.present])


def test_of_two_slots_at_one_place_the_sure_one_answers(device: torch.device) -> None:
    target = small_target(sources_max=2, device=device)
    first = torch.tensor([True, False], device=device).expand_as(target.present)

    guess = guess_of(_at_one_place(best_prediction(target)), replace(target, present=first))

    assert [1] * len(target) == guess.slots[:, 0].tolist()


def _at_one_place(best: Prediction) -> Prediction:
    """Both slots where the first source is, the second one surer."""
    pointers = best.pointers
    first = {
        name: value[:, :1].expand(-1, 2)
        for name, value in vars(pointers).items()
        if name != "existence"
    }
    existence = torch.tensor([-1.0, 1.0], device=pointers.existence.device)
    sure = existence.expand_as(pointers.existence)
    return replace(best, pointers=replace(pointers, **first, existence=sure))


def test_as_many_slots_are_filled_as_there_are_sources(device: torch.device) -> None:
    target = small_target(device=device)

    guess = guess_of(random_prediction(target), target)

    assert torch.equal(target.count, guess.filled.sum(-1))
    assert torch.equal(target.present, guess.filled.gather(1, guess.slots))


def test_no_gradient_passes_through_the_choice_of_an_order(device: torch.device) -> None:
    target = small_target(device=device)

    assert not guess_of(random_prediction(target), target).slots.requires_grad


def test_what_is_worked_out_is_worked_out_once(device: torch.device) -> None:
    target = small_target(device=device)
    guess = guess_of(random_prediction(target), target)

    assert guess.slots is guess.slots
    assert guess.predicted is guess.predicted
    assert guess.spectrum is guess.spectrum
