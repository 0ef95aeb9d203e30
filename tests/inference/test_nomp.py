"""The greedy search as a whole: its fits, its answers, its cost."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from risexp.data.frames import Scenes
from risexp.estimation.count_rule import CountRule, counted
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference import nomp
from risexp.inference.nomp import Nomp
from tests.support.localisation import (
    apart,
    at_snr,
    config_of,
    plain_misfit,
    points_of,
    scenes_of,
    sound,
    with_frames,
)
from tests.support.pursuits import pursued

RULES: tuple[CountRule, ...] = ("evidence", "bic", "aic")
SMOKE = config_of(preset="smoke")
DEFAULT = ReceiverModel.of(config_of())


def test_every_rule_answers_the_positions_of_the_fit_it_counted(device: torch.device) -> None:
    config = config_of()
    frames = scenes_of(config, 32, device).frames
    law, pursuit, ranges = pursued(config, frames)
    told = []
    for rule in RULES:
        count, probabilities = counted(rule, pursuit, law, ranges)

        found = Nomp(replace(law.receiver, backend="torch"), rule)(frames)

        told.append(found.count.tolist())
        assert count.tolist() == told[-1]
        assert torch.allclose(probabilities, found.count_probabilities, atol=1e-6)
        for scene, sources in enumerate(told[-1]):
            v = pursuit.fits[sources].points[scene, :, 1].double()
            assert torch.allclose(v.asin(), found.theta_rad[scene, :sources], atol=1e-3)
    assert told[0] != told[1] != told[2] != told[0]


def test_fits_hold_one_source_more_each_and_explain_more_and_no_less_than_the_truth(
    device: torch.device,
) -> None:
    """A search that does worse than the truth has stopped at a wrong peak."""
    config = config_of("physics.power=equal", "data.separation_deg=20", at_snr(10.0))
    scenes = scenes_of(config, 48, device)

    _, pursuit, _ = pursued(config, scenes.frames)

    assert [0, 1, 2, 3, 4, 5] == [fit.count for fit in pursuit.fits]
    assert (48, 5) == tuple(pursuit.hidden.shape)
    misfits = torch.stack(
        [plain_misfit(config, scenes.frames, fit.points) for fit in pursuit.fits[1:]]
    )
    assert bool((misfits.diff(dim=0) <= 1e-5 * misfits[0]).all())
    for count in range(1, 6):
        here = scenes.truth.count == count
        points = points_of(scenes.truth)[:, :count].nan_to_num(0.5)
        true = plain_misfit(config, scenes.frames, points)[here]
        assert bool((misfits[count - 1][here] <= true * (1.0 + 1e-5)).all())


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), rule=st.sampled_from(RULES))
def test_every_answer_is_sound(seed: int, rule: CountRule) -> None:
    config = config_of(f"data.seed={seed % 7}", preset="smoke")
    scenes = scenes_of(config, 200)[seed % 190 : seed % 190 + 8]

    found = Nomp(ReceiverModel.of(config), rule)(scenes.frames)

    assert sound(found)
    assert (8, 3) == tuple(found.phi_rad.shape)


def test_more_scenes_than_are_searched_at_once_are_answered_alike(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = scenes_of(SMOKE, 40, device).frames
    localise = Nomp(ReceiverModel.of(SMOKE), "bic")
    whole = localise(frames)

    monkeypatch.setattr(nomp, "_SCENES", 13)
    parts = localise(frames)

    assert 40 == len(parts)
    assert whole.count.tolist() == parts.count.tolist()
    assert apart(whole, parts)[0] < 1e-3


def test_scenes_with_a_mix_of_snrs_are_each_answered_by_their_own(device: torch.device) -> None:
    """The same frames with another scene's SNR are counted otherwise."""
    scenes, localise = scenes_of(config_of(at_snr(5.0)), 48, device), Nomp(DEFAULT)
    lifted = told(scenes).clone()
    lifted[::2] -= 15.0

    before, after = (
        localise(each.frames).count for each in (scenes, with_frames(scenes, snr_db=lifted))
    )

    assert before[1::2].tolist() == after[1::2].tolist()
    assert float(after[::2].double().mean()) < float(before[::2].double().mean()) - 0.5


def test_an_snr_that_promises_too_much_is_not_believed(device: torch.device) -> None:
    """What even the most sources leave is then taken for noise, and not for more sources."""
    scenes = scenes_of(config_of(at_snr(5.0)), 48, device)
    boasting = with_frames(scenes, snr_db=told(scenes) + 20.0)

    honest, boasted = (
        Nomp(DEFAULT)(each.frames).count.double().mean() for each in (scenes, boasting)
    )

    assert pytest.approx(float(honest), abs=0.3) == float(boasted)


def told(scenes: Scenes) -> Tensor:
    assert scenes.frames.snr_db is not None
    return scenes.frames.snr_db
