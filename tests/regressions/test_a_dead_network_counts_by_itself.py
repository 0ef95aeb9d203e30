"""Museum 41: a fallback inside validation gave a dead network the criterion's K accuracy."""

from dataclasses import replace

import torch

from risexp.app.benchmark.methods import network_methods
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.evaluation.scene_scores import score_scenes
from risexp.evaluation.scores import summarise
from risexp.evaluation.validation import Validator
from risexp.inference.predictor import Localiser, Predictor
from risexp.model.network import Network
from risexp.model.observation import Observation, Observer
from risexp.model.prediction import Prediction
from tests.support.localisation import config_of, scenes_of

UNSURE = 0.15
"""K accuracy above the commonest count's that a network without knowledge does not reach."""


def helped() -> RunConfig:
    """A configuration that asks for the fallback; a dead softmax finds all counts as likely."""
    asked = ("localisation.fallback=bic", "count.kind=softmax", "network.width=16")
    return config_of(*asked, preset="smoke")


def judged(config: RunConfig, device: torch.device) -> Validator:
    return Validator.of(config, scenes_of(config, 128, device))


def dead(config: RunConfig, device: torch.device) -> Network:
    """All weights zero: every scene has the same, unsure answer."""
    network = Network(config).to(device)
    for weight in network.parameters():
        torch.nn.init.zeros_(weight)
    return network


def nothing(answer: Prediction, _seen: Observation, _scenes: Scenes) -> torch.Tensor:
    return 0.0 * answer.count_logits.double().mean()


def test_a_dead_network_looks_dead_though_a_fallback_is_configured(device: torch.device) -> None:
    config = helped()
    validator, network = judged(config, device), dead(config, device)
    planted = replace(validator, localise=Localiser.of(config))

    ours, theirs = (each(network, 0.0, nothing) for each in (validator, planted))

    assert ours["k_acc"] < ours["k_majority"] + UNSURE < theirs["k_acc"]


def test_in_a_table_the_fallback_is_a_row_of_its_own(device: torch.device) -> None:
    config = helped()
    scenes = scenes_of(config, 128, device)
    network = dead(config, device)
    predictor = Predictor(network, Observer.of(config), Localiser.of(config), beta=0.0)
    methods = network_methods(predictor)

    accuracy = {
        name: summarise(score_scenes(methods[name](scenes), scenes.truth)).k_acc
        for name in ("network", "network+measurement", "network+bic")
    }

    assert accuracy["network"] == accuracy["network+measurement"]
    assert accuracy["network+bic"] > accuracy["network"] + UNSURE
