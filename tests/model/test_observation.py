"""The observation: what a network receives of a scene."""

from dataclasses import replace

import torch

from risexp.covariance.sampled import sampled_covariance
from risexp.model.observation import Observer
from tests.support.localisation import scenes_of, with_frames
from tests.support.networks import FRONTS, network_config, observed
from tests.support.scenes import worst


def test_only_the_front_that_judges_a_search_makes_one() -> None:
    for front in FRONTS:
        observation = observed(network_config(front=front))

        assert (front == "pursuit") == (observation.pursuit is not None), front
        assert 4 == len(observation), front


def test_frames_are_seen_at_unit_rms_and_their_level_apart(device: torch.device) -> None:
    config = network_config()
    scenes = scenes_of(config, 4, device)
    louder = with_frames(scenes, y=scenes.frames.y * 1000.0)

    one, two = (Observer.of(config)(each.frames) for each in (scenes, louder))

    rms = one.frames.y.abs().square().mean((-2, -1)).sqrt()
    assert worst(torch.ones_like(rms), rms) < 1e-6
    assert worst(one.frames.y, two.frames.y) < 1e-6
    assert worst(one.log_rms + 3.0, two.log_rms) < 1e-6


def test_samples_are_those_of_the_frames_at_trace_n(device: torch.device) -> None:
    for method in ["joint", "per_snapshot"]:
        config = network_config(f"sampled.method={method}", "sampled.ridge=0.01")
        observation = observed(config, 4, device)

        sampled = observation.sampled

        seen = scenes_of(config, 4, device).frames
        expected = sampled_covariance(
            observation.method, seen.y, seen.channel, seen.codes, 0.01
        ).trace_normalize()
        assert method == observation.method, method
        assert worst(expected.dense(), sampled.dense()) < 1e-4, method
        assert worst(torch.full_like(sampled.diagonal, 36.0), sampled.trace()) < 1e-5, method


def test_samples_are_computed_when_looked_at_and_once() -> None:
    observation = observed(network_config())
    unseen = "sampled" in vars(observation)

    first = observation.sampled

    assert not unseen
    assert first is observation.sampled


def test_an_observation_is_a_constant_in_single_precision() -> None:
    for front in FRONTS:
        config = network_config(front=front)
        frames = scenes_of(config, 4).frames

        assert frames.snr_db is not None
        doubled = {
            name: getattr(frames, name).to(torch.complex128) for name in ("y", "channel", "codes")
        }
        other = replace(frames, **doubled, snr_db=frames.snr_db.double())

        plain, wide = (Observer.of(config)(each) for each in (frames, other))

        assert torch.complex64 == wide.sampled.factor.dtype, front
        assert not wide.sampled.factor.requires_grad, front
        for name in ("snr_db", "log_rms"):
            assert torch.float32 == getattr(wide, name).dtype, front
            assert worst(getattr(plain, name), getattr(wide, name)) < 1e-5, front
        assert worst(plain.sampled.dense(), wide.sampled.dense()) < 1e-3, front


def test_an_snr_that_is_not_given_is_measured(device: torch.device) -> None:
    config = network_config()
    scenes = scenes_of(config, 16, device)

    measured = Observer.of(config)(with_frames(scenes, snr_db=None).frames).snr_db

    given = scenes.frames.snr_db
    assert given is not None
    loud = given > 5.0
    assert torch.float32 == measured.dtype
    assert int(loud.sum()) > 4
    assert float((measured - given)[loud].abs().max()) < 1.5


def test_a_silent_frame_has_finite_numbers() -> None:
    for front in FRONTS:
        config = network_config(front=front)
        scenes = scenes_of(config, 2)
        silent = with_frames(scenes, y=torch.zeros_like(scenes.frames.y))

        seen = Observer.of(config)(silent.frames)

        assert [-30.0, -30.0] == seen.log_rms.tolist(), front
        assert bool(seen.sampled.dense().isfinite().all()), front
        if seen.pursuit is not None:
            found = [
                value for value in vars(seen.pursuit).values() if isinstance(value, torch.Tensor)
            ]
            assert all(bool(value.isfinite().all()) for value in found), front
