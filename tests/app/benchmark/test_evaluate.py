"""What may be changed for an evaluation: the scenes, as far as the network can look at them."""

import json
from dataclasses import replace
from functools import cache

import pytest

from risexp.app.benchmark.evaluate import HELD, compared, scenes_law
from risexp.app.serving.resolve_model import TrainedNetwork, bundle_of
from risexp.config.run import RunConfig, fields
from risexp.data.scenes import SceneGenerator
from risexp.errors import ConfigInvalid
from risexp.inference.predictor import Localiser, Predictor
from risexp.model.observation import Observer
from tests.support.checkpoint_stores import five_epochs
from tests.support.configs import ANOTHER
from tests.support.looping import for_each
from tests.support.networks import awake, network_config

SMALL: dict[str, object] = {"physics.antennas": 9, "physics.pool_h": 5, "physics.pool_v": 6}
OTHER: dict[str, object] = SMALL | {
    path: value
    for path, value in ANOTHER.items()
    if path.startswith(("physics.", "data.")) and path not in {*HELD, *SMALL}
}
"""Other values of what decides the scenes, for the smallest panel."""
NETWORKS = (
    "network.front=pursuit",
    "network.front=image",
    "network.front=aperture",
    "network.front=pursuit sampled.method=per_snapshot",
    "physics.symbols=snapshot network.front=image",
    "physics.symbols=snapshot network.front=aperture",
)


@cache
def network(words: str) -> TrainedNetwork:
    """A network that was never trained, under a configuration as a checkpoint holds it."""
    config = network_config(*words.split(), "localisation.spectrum=pointers").canonical()
    predictor = Predictor(awake(config), Observer.of(config), Localiser.of(config), beta=0.3)
    return TrainedNetwork(replace(bundle_of(five_epochs()[0]), config=config), predictor)


def law(config: RunConfig, path: str, value: object) -> RunConfig:
    return scenes_law(config, [f"{path}={json.dumps(value)}"])


def test_every_field_of_the_scenes_can_be_set_or_is_held() -> None:
    scenes = {path for path in fields() if path.startswith(("physics.", "data."))}

    assert scenes == OTHER.keys() | set(HELD)


@for_each("words", NETWORKS)
def test_a_network_answers_to_other_scenes_or_is_not_asked(words: str) -> None:
    """The first front meets every change by itself, the others all of them at once."""
    asked = network(words)
    alone = words == NETWORKS[0]
    fixed = words.endswith("snapshot network.front=aperture")
    merged = {
        path: value for path, value in OTHER.items() if path != "physics.snapshots" or not fixed
    }
    for changes in [{path: value} for path, value in OTHER.items()] if alone else [merged]:
        changed = scenes_law(
            asked.config, [f"{path}={json.dumps(value)}" for path, value in changes.items()]
        )
        scenes = SceneGenerator(changed.physics, changed.data).scenes("test", 0, 3)

        answer = compared(asked, changed, (), "none")["network"](scenes)

        assert asked.config.law_sha() != changed.law_sha() or "physics.codebook_seed" in changes
        assert 3 == len(answer)
        assert bool((answer.count >= 1).all())
        assert bool(answer.phi_rad[answer.present].isfinite().all())
    if fixed:
        with pytest.raises(ConfigInvalid, match=r"made for physics\.snapshots = 16, and"):
            compared(asked, law(asked.config, "physics.snapshots", 18), (), "none")


@for_each("words", NETWORKS[-2:])
def test_a_network_of_many_snapshots_is_not_shown_one(words: str) -> None:
    asked = network(words)

    with pytest.raises(ConfigInvalid, match=r"leave physics\.snapshots alone"):
        compared(asked, law(asked.config, "physics.snapshots", 1), (), "none")


@for_each("words", NETWORKS[:-2])
def test_a_network_of_one_vector_answers_to_one_snapshot_of_enough_antennas(words: str) -> None:
    asked = network(words)
    changed = scenes_law(asked.config, ["physics.snapshots=1", "physics.antennas=36"])
    scenes = SceneGenerator(changed.physics, changed.data).scenes("test", 0, 3)

    answer = compared(asked, changed, (), "none")["network"](scenes)

    assert bool((answer.count >= 1).all())


def test_what_does_not_decide_the_scenes_is_refused() -> None:
    config = network_config()
    for path in fields():
        if not path.startswith(("physics.", "data.")):
            with pytest.raises(ConfigInvalid) as caught:
                law(config, path, config.flat()[path])
            sentence = str(caught.value)
            assert sentence.startswith(f"{path} cannot be set for an evaluation")
            assert all(held in sentence for held in HELD)
            assert "\n" not in sentence
    with pytest.raises(ConfigInvalid, match="set --snr"):
        law(config, "data.snr_db", [0.0, 0.0])


def test_scenes_of_another_shape_are_refused() -> None:
    asked = network("network.front=aperture")
    base = asked.config.replace({"sampled.method": "per_snapshot"})
    for path, value, sentence in (
        ("physics.elements_h", 8, "was made for physics.elements_h = 6"),
        ("physics.elements_v", 8, "was made for physics.elements_v = 6"),
        ("physics.symbols", "snapshot", "was made for physics.symbols = frame"),
        ("data.sources_max", 2, "counts to 3"),
    ):
        with pytest.raises(ConfigInvalid, match=sentence):
            compared(asked, law(base, path, value), (), "none")
