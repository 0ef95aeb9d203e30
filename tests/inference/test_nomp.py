"""The greedy search as a whole: its fits, its answers, its cost."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from risexp.estimation.count_rule import CountRule
from risexp.estimation.grid import search_grid
from risexp.estimation.held_symbols import HeldSymbols
from risexp.estimation.pursuit import pursue
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.estimate import Estimate
from risexp.inference.nomp import Nomp
from tests.support.localisation import (
    at_snr,
    config_of,
    plain_misfit,
    points_of,
    scenes_of,
    sound,
)
from tests.support.looping import for_each

RULES: tuple[CountRule, ...] = ("evidence", "bic", "aic")
SMOKE = config_of(preset="smoke")


@for_each("rule", RULES)
def test_every_rule_answers_the_positions_of_the_fit_it_counted(
    device: torch.device, rule: CountRule
) -> None:
    config = config_of()
    frames = scenes_of(config, 16, device).frames
    receiver = ReceiverModel.of(config)
    law = HeldSymbols.of(receiver, frames)
    pursuit = pursue(law, search_grid(receiver.panel, receiver.view, device), 5)

    found = Nomp(receiver, rule)(frames)

    for scene, count in enumerate(found.count.tolist()):
        points = pursuit.fits[count].points[scene].double()
        assert torch.allclose(points[:, 1].asin(), found.theta_rad[scene, :count], atol=1e-3)


def test_rules_differ() -> None:
    frames = scenes_of(config_of(), 64).frames

    counts = {
        tuple(Nomp(ReceiverModel.of(config_of()), rule)(frames).count.tolist()) for rule in RULES
    }

    assert 3 == len(counts)


def test_fits_hold_one_source_more_each_and_explain_more(device: torch.device) -> None:
    config = config_of()
    frames = scenes_of(config, 32, device).frames
    receiver = ReceiverModel.of(config)
    grid = search_grid(receiver.panel, receiver.view, device)

    pursuit = pursue(HeldSymbols.of(receiver, frames), grid, 5)

    assert [0, 1, 2, 3, 4, 5] == [fit.count for fit in pursuit.fits]
    assert (32, 5) == tuple(pursuit.hidden.shape)
    misfits = torch.stack([plain_misfit(config, frames, fit.points) for fit in pursuit.fits[1:]])
    assert bool((misfits.diff(dim=0) <= 1e-5 * misfits[0]).all())


def test_a_fit_of_the_true_count_explains_no_less_than_the_truth(device: torch.device) -> None:
    """A search that does worse than the truth has stopped at a wrong peak."""
    config = config_of("physics.power=equal", "data.separation_deg=20", at_snr(10.0))
    scenes = scenes_of(config, 64, device)
    receiver = ReceiverModel.of(config)
    grid = search_grid(receiver.panel, receiver.view, device)
    pursuit = pursue(HeldSymbols.of(receiver, scenes.frames), grid, 5)

    for count in range(1, 6):
        here = scenes.truth.count == count
        fitted = plain_misfit(config, scenes.frames, pursuit.fits[count].points)[here]
        points = points_of(scenes.truth)[:, :count].nan_to_num(0.5)
        true = plain_misfit(config, scenes.frames, points)[here]
        assert bool((fitted <= true * (1.0 + 1e-5)).all())


@given(seed=st.integers(0, 10_000), rule=st.sampled_from(RULES))
def test_every_answer_is_sound(seed: int, rule: CountRule) -> None:
    config = config_of(f"data.seed={seed % 7}", preset="smoke")
    scenes = scenes_of(config, 200)[seed % 190 : seed % 190 + 8]

    found = Nomp(ReceiverModel.of(config), rule)(scenes.frames)

    assert sound(found)
    assert (8, 3) == tuple(found.phi_rad.shape)


@for_each("count", [127, 129, 256])
def test_more_scenes_than_are_searched_at_once_are_answered_alike(
    device: torch.device, count: int
) -> None:
    frames = scenes_of(SMOKE, 256, device).frames[:count]
    localise = Nomp(ReceiverModel.of(SMOKE), "bic")

    whole = localise(frames)

    assert count == len(whole)
    parts = Estimate.join([localise(frames[:100]), localise(frames[100:])])
    assert whole.count.tolist() == parts.count.tolist()


def test_scenes_with_a_mix_of_snrs_are_each_answered_by_their_own(device: torch.device) -> None:
    """The same frames with another scene's SNR are counted otherwise."""
    scenes = scenes_of(config_of(at_snr(5.0)), 64, device)
    localise = Nomp(ReceiverModel.of(config_of()))
    assert scenes.frames.snr_db is not None
    lifted = scenes.frames.snr_db.clone()
    lifted[::2] -= 15.0
    frames = type(scenes.frames)(
        scenes.frames.y, scenes.frames.channel, scenes.frames.codes, lifted
    )

    before, after = localise(scenes.frames), localise(frames)

    assert before.count[1::2].tolist() == after.count[1::2].tolist()
    assert float(after.count[::2].double().mean()) < float(before.count[::2].double().mean()) - 0.5


def test_an_snr_that_promises_too_much_is_not_believed(device: torch.device) -> None:
    """What even the most sources leave is then taken for noise, and not for more sources."""
    scenes = scenes_of(config_of(at_snr(5.0)), 64, device)
    localise = Nomp(ReceiverModel.of(config_of()))
    assert scenes.frames.snr_db is not None
    boasting = type(scenes.frames)(
        scenes.frames.y, scenes.frames.channel, scenes.frames.codes, scenes.frames.snr_db + 20.0
    )

    honest, boasted = (
        localise(frames).count.double().mean() for frames in (scenes.frames, boasting)
    )

    assert pytest.approx(float(honest), abs=0.3) == float(boasted)
