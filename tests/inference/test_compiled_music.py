"""Compiled MUSIC: it spans what torch spans, whatever the panel and whoever is located beside."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Scenes
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.estimate import Estimate
from risexp.inference.spectral import Spectral
from risexp.model.observation import Observer
from risexp.physics.geometry import Wavefront, direction_cosines
from risexp.physics.steering import steering_vector
from tests.support.localisation import WAVEFRONTS, at_snr, config_of, scenes_of
from tests.support.looping import for_each

SCENES = 96


def receivers(config: RunConfig) -> tuple[ReceiverModel, ReceiverModel]:
    fast = ReceiverModel.of(config.replace({"localisation.backend": "compiled"}))
    return fast, replace(fast, backend="torch")


def sampled(config: RunConfig, scenes: Scenes) -> FactoredCovariance:
    return Observer.of(config)(scenes.frames).sampled.regularise(0.01)


def left_over(receiver: ReceiverModel, covariance: FactoredCovariance, found: Estimate) -> Tensor:
    """Share of each scene's signal subspace that its found sources do not span, (B,)."""
    subspace = covariance.signal_subspace(found.count)
    left = []
    for scene, count in enumerate(found.count.tolist()):
        phi, theta, range_m = (
            value[scene, :count] for value in (found.phi_rad, found.theta_rad, found.range_m)
        )
        u, v = direction_cosines(phi, theta)
        waves = steering_vector(receiver.panel, u, v, range_m.reciprocal()).mT.to(subspace.dtype)
        span, _ = torch.linalg.qr(waves)
        inside = (span.mH @ subspace[scene]).abs().square().sum()
        left.append(1.0 - inside / subspace[scene].abs().square().sum())
    return torch.stack(left)


@for_each("wavefront", WAVEFRONTS)
def test_it_spans_as_much_of_a_subspace_as_torch_does(wavefront: Wavefront) -> None:
    config = config_of(f"physics.wavefront={wavefront}", "physics.elements_h=9", at_snr(15.0))
    scenes = scenes_of(config, SCENES)
    fast, slow = receivers(config)
    covariance, count = sampled(config, scenes), scenes.truth.count

    found, expected = (Spectral(each).locate(covariance, count) for each in (fast, slow))

    assert torch.equal(found.range_m.isnan(), expected.range_m.isnan())
    worse = left_over(fast, covariance, found) - left_over(fast, covariance, expected)
    assert float(worse.median().abs()) < 1e-6
    assert abs(float(worse.mean())) < 0.01
    assert float((worse > 0.05).double().mean()) < 0.04


def test_sources_that_span_a_subspace_exactly_are_found() -> None:
    config = config_of("data.sources_max=3")
    scenes = scenes_of(config, SCENES)
    fast, _ = receivers(config)
    truth = scenes.truth
    u, v = direction_cosines(truth.phi_rad, truth.theta_rad)
    rho = truth.range_m.reciprocal()
    waves = steering_vector(fast.panel, *(x.nan_to_num(0.1) for x in (u, v, rho)))
    powers = (torch.arange(3) < truth.count.unsqueeze(-1)).double()
    covariance = FactoredCovariance.from_sources(waves.to(torch.complex128), powers)

    found = Spectral(fast).locate(covariance, truth.count)

    assert float(left_over(fast, covariance, found).quantile(0.9)) < 1e-6


def test_no_position_depends_on_the_scenes_beside_it() -> None:
    config = config_of()
    scenes = scenes_of(config, 19)
    fast, _ = receivers(config)
    covariance, count = sampled(config, scenes), scenes.truth.count

    together = Spectral(fast).locate(covariance, count)
    alone = Estimate.join(
        [Spectral(fast).locate(covariance[n : n + 1], count[n : n + 1]) for n in range(19)]
    )

    for name in ("phi_rad", "theta_rad", "range_m"):
        assert torch.equal(
            getattr(together, name).nan_to_num(-1.0), getattr(alone, name).nan_to_num(-1.0)
        )


def test_a_covariance_without_a_signal_ends_all_the_same() -> None:
    config = config_of()
    fast, _ = receivers(config)
    nothing = FactoredCovariance.from_factor(torch.zeros(2, fast.panel.elements, 3) + 0j)

    found = Spectral(fast).locate(nothing, torch.tensor([1, 4]))

    assert found.phi_rad.isfinite().sum(-1).tolist() == [1, 4]
    low, high = fast.view.range_m
    ranges = found.range_m[found.range_m == found.range_m]
    assert bool(((ranges > 0.99 * low) & (ranges < 1.01 * high)).all())


def test_more_sources_than_there_is_room_for_are_refused() -> None:
    config = config_of("data.sources_max=2")
    scenes = scenes_of(config, 2)
    fast, _ = receivers(config)

    with pytest.raises(ValueError, match="counts must be 0 to 2"):
        Spectral(fast).locate(sampled(config, scenes), torch.tensor([1, 3]))
