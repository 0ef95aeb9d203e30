"""The scenes of probes."""

from dataclasses import replace

import pytest
import torch

from risexp.config.measurement import DataConfig
from risexp.data.scenes import panel_of, source_steering
from risexp.diagnostics.probe_data import (
    configured_levels,
    drawn,
    known_snr_db,
    label_covariance,
    label_estimate,
    noiseless,
    scenes_at,
)
from risexp.errors import DataInvalid
from risexp.physics.signals import received
from tests.support.references import LAWS, smoke
from tests.support.scenes import matrix, worst


def test_levels_are_each_five_db_of_the_configured_law() -> None:
    cases: list[tuple[tuple[float, float], tuple[float, ...]]] = [
        ((-5.0, 20.0), (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0)),
        ((1.0, 8.0), (1.0, 6.0)),
        ((40.0, 40.0), (40.0,)),
    ]
    for snr_db, levels in cases:
        assert levels == configured_levels(DataConfig(snr_db=snr_db)), (snr_db, levels)


def test_scenes_of_two_levels_differ_in_their_noise_alone() -> None:
    for symbols in LAWS:
        low, high = (scenes_at(smoke(symbols), level, 20) for level in (-5.0, 20.0))

        torch.testing.assert_close(low.truth.range_m, high.truth.range_m, equal_nan=True)
        assert torch.equal(low.frames.channel, high.frames.channel), symbols
        ratio = low.truth.noise_power / high.truth.noise_power
        assert pytest.approx([10.0**2.5] * 20, rel=1e-4) == ratio.tolist(), symbols


def test_without_noise_the_very_scenes_are_heard_and_their_snr_must_be_known() -> None:
    for symbols in LAWS:
        config = smoke(symbols)

        clean, noisy = noiseless(config, 20), scenes_at(config, 100.0, 20)

        assert worst(noisy.frames.y, clean.frames.y) < 1e-3, symbols
        field = clean.truth.gains @ source_steering(panel_of(config.physics), clean.truth)
        echo = received(clean.frames.channel, clean.frames.codes, field)
        assert torch.equal(echo, clean.frames.y), symbols
        assert clean.frames.snr_db is known_snr_db(clean.frames)
        with pytest.raises(DataInvalid, match="snr_db"):
            known_snr_db(replace(clean.frames, snr_db=None))


def test_a_label_is_the_sum_of_its_sources_and_an_estimate_the_truth() -> None:
    config = smoke()
    truth = drawn(config, 8).truth

    label, estimate = label_covariance(config.physics, truth), label_estimate(truth)

    steering = source_steering(panel_of(config.physics), truth).to(torch.complex128)
    weighted = truth.powers.double().unsqueeze(-1) * steering
    assert worst(torch.einsum("bkn,bkm->bnm", weighted, steering.conj()), matrix(label)) < 1e-6
    assert truth.count.tolist() == (estimate.count_probabilities.argmax(-1) + 1).tolist()
    assert [1.0] * 8 == estimate.confidence.tolist()
    torch.testing.assert_close(estimate.phi_rad, truth.phi_rad, equal_nan=True)
