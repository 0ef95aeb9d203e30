"""The references of whole sets: alike however the set is cut, and rising with the SNR."""

import math

import pytest
import torch

from risexp.data.frames import Scenes
from risexp.evaluation.references import References
from risexp.physics.signals import Symbols
from tests.support.looping import for_each
from tests.support.references import LAWS, at_snr, refer, smoke
from tests.support.scenes import tiny_scenes


def referred(symbols: Symbols, snr_db: float, count: int = 150) -> References:
    config = at_snr(symbols, snr_db)
    return refer(config, tiny_scenes(count, physics=config.physics, data=config.data), draws=100)


def assert_same(expected: References, actual: References) -> None:
    for name, value in vars(expected).items():
        torch.testing.assert_close(getattr(actual, name), value, equal_nan=True, msg=name)


@for_each("symbols", LAWS)
def test_a_scene_has_the_references_it_has_in_any_set(
    device: torch.device, symbols: Symbols
) -> None:
    config = smoke(symbols)
    scenes = tiny_scenes(40, physics=config.physics, data=config.data, device=device)
    pieces = [scenes[:3], scenes[3:21], scenes[21:]]
    whole = refer(config, scenes)

    cut = [refer(config, piece) for piece in pieces]

    joined = (torch.cat([getattr(part, name) for part in cut]) for name in vars(whole))
    assert_same(whole, References(*joined))


def test_codes_of_their_own_and_shared_ones_refer_alike() -> None:
    config = smoke()
    scenes = tiny_scenes(20, physics=config.physics, data=config.data)
    frames = scenes.frames
    own = type(frames)(
        frames.y, frames.channel, frames.codes.expand(20, -1, -1).clone(), frames.snr_db
    )

    assert_same(refer(config, scenes), refer(config, Scenes(own, scenes.truth)))


@for_each("symbols", LAWS)
def test_nothing_stands_in_the_way_of_a_scene_without_noise_to_speak_of(
    device: torch.device, symbols: Symbols
) -> None:
    config = at_snr(symbols, 100.0)
    scenes = tiny_scenes(64, physics=config.physics, data=config.data, device=device)

    means = refer(config, scenes).means()

    assert {1.0} == set(vars(means).values())


@for_each("symbols", LAWS)
def test_references_rise_with_the_snr_and_keep_their_order(symbols: Symbols) -> None:
    levels = [referred(symbols, snr_db).means() for snr_db in (-4.0, 6.0, 16.0)]

    for name in vars(levels[0]):
        values = [getattr(means, name) for means in levels]
        assert values == sorted(values)
        assert values[-1] - values[0] > 0.1
    for means in levels:
        assert means.k_reference < means.k_bound
        assert means.success_reference < min(means.k_reference, means.success_true_count)
        assert means.success_strict_reference < means.success_reference
        assert means.success_strict_true_count < means.success_true_count


def test_success_needs_a_detectable_scene() -> None:
    found = referred("frame", 0.0)

    assert torch.equal(found.success_true_count[found.detectable], found.success[found.detectable])
    assert not bool(found.success[~found.detectable].any())
    assert bool(found.success_true_count[~found.detectable].any())
    assert bool((found.success_strict <= found.success).all())


def test_means_of_a_group_are_those_of_its_scenes() -> None:
    found = referred("frame", 5.0)
    chosen = found.detectable & found.count_bound

    means = found.means(chosen)

    assert (1.0, 1.0) == (means.k_reference, means.k_bound)
    assert pytest.approx(float(found.success_true_count[chosen].mean())) == means.success_reference
    assert pytest.approx(float(found.detectable.double().mean())) == found.means().k_reference


def test_no_scenes_have_no_references_and_no_means() -> None:
    config = smoke()
    scenes = tiny_scenes(4, physics=config.physics, data=config.data)

    found = refer(config, scenes[:0])

    assert 0 == len(found)
    assert all(math.isnan(value) for value in vars(found.means()).values())
    assert (0, config.data.sources_max, 3) == tuple(found.deviation.shape)
