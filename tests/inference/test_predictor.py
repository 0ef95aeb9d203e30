"""A network put to use."""

import pytest
import torch

from risexp.app.benchmark.methods import network_methods
from risexp.config.run import RunConfig
from risexp.errors import DataInvalid
from risexp.inference.predictor import Localiser, Predictor
from risexp.model.network import Network
from risexp.model.observation import Observer
from tests.support.localisation import config_of, scenes_of, with_frames
from tests.support.networks import awake

METHODS = {"network", "network:pointers", "network+measurement", "network+bic", "network:true-k"}


def small() -> RunConfig:
    return config_of("network.width=16", "network.depth=1", preset="smoke")


def predictor(config: RunConfig, device: torch.device) -> Predictor:
    torch.manual_seed(2)
    network = Network(config).to(device)
    return Predictor(network, Observer.of(config), Localiser.of(config), beta=0.0)


def test_every_way_to_use_a_network_gives_the_count_of_its_head(device: torch.device) -> None:
    config = small()
    scenes = scenes_of(config, 40, device)
    methods = network_methods(predictor(config, device))

    counts = {name: method(scenes).count for name, method in methods.items()}

    assert METHODS == set(counts)
    assert torch.equal(counts["network"], counts["network+measurement"])
    assert torch.equal(counts["network"], counts["network:pointers"])
    assert torch.equal(scenes.truth.count, counts["network:true-k"])


def test_only_those_told_look_beyond_the_frames(device: torch.device) -> None:
    config = small()
    scenes = scenes_of(config, 12, device)
    methods = network_methods(predictor(config, device))
    lied = type(scenes)(scenes.frames, scenes_of(config, 24, device)[12:].truth)

    for name in METHODS - {"network:true-k"}:
        one, other = methods[name](scenes), methods[name](lied)
        assert torch.equal(one.count, other.count)
        assert torch.equal(one.phi_rad.nan_to_num(), other.phi_rad.nan_to_num())


@pytest.mark.parametrize(("block", "blocks"), [(9, [9, 9, 6]), (23, [23, 1])])
def test_answers_are_the_same_however_scenes_are_cut(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, block: int, blocks: list[int]
) -> None:
    config = small()
    frames = scenes_of(config, 24, device).frames
    answers = Predictor(
        awake(config, device, seed=2), Observer.of(config), Localiser.of(config), beta=0.3
    )
    together = answers(frames)
    seen: list[int] = []
    answers.network.register_forward_hook(lambda _network, given, _said: seen.append(len(given[0])))

    monkeypatch.setattr("risexp.inference.predictor._SCENES", block)
    apart = answers(frames)

    assert blocks == seen
    assert torch.equal(together.count, apart.count)
    assert len(set(apart.count.tolist())) > 1
    for name in ("count_probabilities", "phi_rad", "theta_rad", "range_m"):
        torch.testing.assert_close(
            getattr(together, name), getattr(apart, name), rtol=1e-4, atol=1e-5, equal_nan=True
        )


def test_no_scene_is_answered_with_none(device: torch.device) -> None:
    config = small()

    found = predictor(config, device)(scenes_of(config, 3, device).frames[:0])

    assert (0, 3) == found.phi_rad.shape


def test_a_value_that_is_no_number_is_refused(device: torch.device) -> None:
    config = small()
    scenes = scenes_of(config, 3, device)
    y = scenes.frames.y.clone()
    y[1, 0, 0] = torch.nan

    with pytest.raises(DataInvalid, match="scene 1"):
        predictor(config, device)(with_frames(scenes, y=y).frames)
