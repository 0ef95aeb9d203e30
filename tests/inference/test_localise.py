"""From predictions to positions: whose count it is, and where the sources are found."""

from dataclasses import replace

import pytest
import torch

from risexp.config.learning import CountKind, FactorKind, Front
from risexp.config.training import LocalisationSpectrum
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.nomp import Nomp
from risexp.inference.predictor import Localiser, pointed
from risexp.model.observation import Observer
from tests.support.localisation import (
    NOISELESS,
    SEPARATED,
    at_snr,
    config_of,
    missed_scenes,
    scenes_of,
    sound,
)
from tests.support.looping import for_each
from tests.support.networks import (
    KINDS,
    MAKES,
    awake,
    localised,
    network_config,
    saying,
    truthful,
)
from tests.support.scenes import gaussian, worst

SPECTRA: tuple[LocalisationSpectrum, ...] = ("music", "mvdr", "pointers")
SMALL = config_of(preset="smoke")
UNSURE = torch.zeros(1)


@for_each("symbols", ["frame", "snapshot"])
@for_each("spectrum", SPECTRA)
def test_a_perfect_prediction_is_located_exactly(
    spectrum: LocalisationSpectrum, symbols: str
) -> None:
    config = config_of(*SEPARATED, NOISELESS, f"physics.symbols={symbols}")
    scenes = scenes_of(config, 16)

    found = localised(config, truthful(config, scenes), scenes.frames, spectrum)

    assert [] == missed_scenes(found, scenes.truth)
    assert sound(found)


@for_each("kind", KINDS)
@for_each("spectrum", SPECTRA)
def test_the_count_is_the_head_s_whatever_is_seen(
    spectrum: LocalisationSpectrum, kind: CountKind
) -> None:
    """Museum 41: nobody else is asked, however unsure the head is."""
    scenes = scenes_of(SMALL, 24)
    said = truthful(SMALL, scenes, kind)
    guessed = saying(said, 2.0 * gaussian(*said.count_logits.shape, seed=3).real.float())

    found = localised(SMALL, guessed, scenes.frames, spectrum)

    assert guessed.count.tolist() == found.count.tolist()
    assert torch.equal(guessed.count_probabilities, found.count_probabilities)
    assert found.count.tolist() != scenes.truth.count.tolist()
    assert sound(found)


def test_a_fallback_counts_only_where_the_head_is_unsure() -> None:
    scenes = scenes_of(SMALL, 32)
    probabilities = torch.tensor([[0.2, 0.45, 0.35], [0.1, 0.2, 0.7]]).log().repeat(16, 1)
    said = saying(truthful(SMALL, scenes, "softmax"), probabilities)

    found = Localiser(ReceiverModel.of(SMALL), "pointers", fallback="bic")(said, scenes.frames)

    bic = Nomp(ReceiverModel.of(SMALL), "bic")(scenes.frames).count
    assert bic[::2].tolist() == found.count[::2].tolist()
    assert [3] * 16 == found.count[1::2].tolist()
    assert [2] * 16 != bic[::2].tolist()
    assert bic[1::2].tolist() != [3] * 16
    assert sound(found)


def test_a_head_is_unsure_of_the_count_it_answers_not_of_another() -> None:
    """A step that must be all but certain: two are answered where three are probable."""
    scenes = scenes_of(SMALL, 16)
    said = saying(truthful(SMALL, scenes), torch.tensor([0.95, 0.8]).logit().expand(16, 2))
    careful = replace(said, count_law=replace(said.count_law, threshold=0.9))

    found = Localiser(ReceiverModel.of(SMALL), "pointers", fallback="bic")(careful, scenes.frames)

    assert [2] * 16 == careful.count.tolist()
    assert (
        Nomp(ReceiverModel.of(SMALL), "bic")(scenes.frames).count.tolist() == found.count.tolist()
    )


def test_slots_that_likely_hold_a_source_are_taken_first_equal_ones_in_their_order() -> None:
    said = truthful(SMALL, scenes_of(SMALL, 4))
    existence = torch.tensor([[0.0, 3.0, 2.0]] * 3 + [[0.0, 0.0, 0.0]])
    ranked = replace(said, pointers=replace(said.pointers, existence=existence))

    found = pointed(ranked, torch.tensor([1, 2, 3, 3]))

    order = torch.tensor([[1, 2, 0]] * 3 + [[0, 1, 2]])
    assert [1, 2, 3, 3] == found.present.sum(-1).tolist()
    for name in ("phi_rad", "theta_rad"):
        expected = getattr(said.pointers, name).double().gather(1, order)[found.present]
        assert worst(expected, getattr(found, name)[found.present]) < 1e-6


@pytest.mark.parametrize("spectrum", SPECTRA)
@for_each(("front", "factors"), MAKES)
def test_every_network_is_located_soundly(
    device: torch.device, front: Front, factors: FactorKind, spectrum: LocalisationSpectrum
) -> None:
    config = network_config(
        f"factors.kind={factors}", f"localisation.spectrum={spectrum}", front=front
    )
    frames = scenes_of(config, 6, device).frames
    prediction = awake(config, device)(Observer.of(config)(frames), 0.3)

    found = Localiser.of(config)(prediction, frames)

    assert sound(found)
    assert (6, 3) == tuple(found.phi_rad.shape)
    assert not found.phi_rad.requires_grad
    assert not found.count_probabilities.requires_grad


def test_a_localiser_is_what_its_configuration_asks_for() -> None:
    config = network_config(
        "localisation.spectrum=mvdr",
        "localisation.refine=measurement",
        "localisation.fallback=bic",
    )

    expected = Localiser(ReceiverModel.of(config), "mvdr", "measurement", "bic")
    assert expected == Localiser.of(config)
    assert Localiser(ReceiverModel.of(config)) == Localiser.of(network_config())


@for_each("spectrum", SPECTRA)
def test_a_scene_is_located_alike_alone_and_in_any_company(spectrum: LocalisationSpectrum) -> None:
    config = network_config(*SEPARATED, at_snr(20.0))
    scenes = scenes_of(config, 6)
    frames, order = scenes.frames, torch.arange(6).flip(0)
    localiser = Localiser(ReceiverModel.of(config), spectrum, "measurement")

    whole = localiser(truthful(config, scenes), frames)

    each = [scenes[place : place + 1] for place in order.tolist()]
    alone = [localiser(truthful(config, scene), scene.frames) for scene in each]
    turned = torch.cat([found.theta_rad for found in alone])
    assert worst(whole.theta_rad[order].nan_to_num(), turned.nan_to_num()) < 1e-3
