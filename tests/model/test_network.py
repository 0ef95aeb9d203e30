"""The network as a whole: batches, precision, weights, temperature, and its covariance."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from risexp.covariance.effective import effective
from risexp.model.network import Network, part_of
from risexp.model.observation import Observer
from risexp.model.prediction import Prediction
from tests.support.localisation import scenes_of
from tests.support.networks import (
    FRONTS,
    KINDS,
    MAKES,
    answer,
    awake,
    finite,
    network_config,
    observed,
    outputs,
    untrained,
)
from tests.support.scenes import matrix, worst

PRECISIONS = ["fp32", "bf16"]
HALF = {"fp32": 1e-4, "bf16": 3e-2}


def differences(one: Prediction, other: Prediction) -> dict[str, float]:
    """How far two answers are apart, tensor by tensor."""
    theirs = outputs(other)
    return {name: worst(mine, theirs[name].to(mine)) for name, mine in outputs(one).items()}


def test_a_scene_is_answered_alike_alone_and_in_any_company(device: torch.device) -> None:
    for precision, (front, kind) in product(PRECISIONS, MAKES):
        config = network_config(
            f"factors.kind={kind}", f"training.precision={precision}", front=front
        )
        frames = scenes_of(config, 16, device).frames
        order = torch.arange(16, device=device).flip(0)

        whole, other = answer(config, frames, 0.3), answer(config, frames[order], 0.3)

        alone = answer(config, frames[5:6], 0.3)
        for name, value in outputs(whole).items():
            assert worst(value[order], outputs(other)[name]) < HALF[precision], precision
            assert worst(value[5:6], outputs(alone)[name]) < HALF[precision], precision


def test_every_device_gives_the_same_answer(device: torch.device) -> None:
    for front, kind in MAKES:
        config = network_config(f"factors.kind={kind}", front=front)
        frames = scenes_of(config, 8).frames

        here, there = answer(config, frames, 0.3), answer(config, frames.to(device), 0.3)

        assert max(differences(here, there).values()) < 1e-3, (front, kind)


def test_every_scene_is_answered_by_its_own_snr() -> None:
    """Museum 19: the first sample's SNR was used for the batch."""
    for front in FRONTS:
        config = network_config(front=front)
        frames = scenes_of(config, 4).frames
        assert frames.snr_db is not None, front
        quieter = frames.snr_db.clone()
        quieter[0] -= 10.0

        one, two = (
            answer(config, replace(frames, snr_db=each)) for each in (frames.snr_db, quieter)
        )

        assert worst(one.count_logits[1:], two.count_logits[1:]) < 1e-6, front
        assert worst(one.count_logits[:1], two.count_logits[:1]) > 1e-4, front
        assert float(two.effective.diagonal[0]) > 1.2 * float(one.effective.diagonal[0]), front


def test_features_are_left_out_in_training_only() -> None:
    for front in FRONTS:
        config = network_config("network.dropout=0.5", front=front)
        observation, network = observed(config), awake(config)

        with torch.no_grad():
            trained = [network.train()(observation, 0.0) for _ in range(2)]
            served = [network.eval()(observation, 0.0) for _ in range(2)]

        assert max(differences(*trained).values()) > 1e-3, front
        assert 0.0 == max(differences(*served).values()), front


def test_half_precision_stays_inside_the_front() -> None:
    for front, kind in MAKES:
        config = network_config(f"factors.kind={kind}", "training.precision=bf16", front=front)
        single = network_config(f"factors.kind={kind}", front=front)
        frames = scenes_of(config, 4).frames

        said, exact = answer(config, frames, 0.3), answer(single, frames, 0.3)

        assert finite(said), (front, kind)
        for name, value in outputs(said).items():
            assert outputs(exact)[name].dtype == value.dtype, (front, kind)
        assert torch.complex64 == said.effective.factor.dtype, (front, kind)
        assert worst(exact.count_logits, said.count_logits) < 0.1, (front, kind)
        assert 0.0 < worst(exact.pointers.existence, said.pointers.existence), (front, kind)


def test_a_network_that_will_be_compiled_has_the_same_weights_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its trunk is compiled in place, not wrapped in a module of another name."""
    compiled: list[torch.nn.Module] = []

    def noted(module: torch.nn.Module) -> None:
        compiled.append(module)

    monkeypatch.setattr(torch.nn.Module, "compile", noted)
    for front in FRONTS:
        plain, other = (
            Network(network_config(f"training.compile={each}", front=front))
            for each in ("false", "true")
        )

        assert other.front.trunk is compiled.pop(), front
        assert [] == compiled, front
        assert list(plain.state_dict()) == list(other.state_dict()), front


def test_a_network_is_a_backbone_and_heads() -> None:
    for front in FRONTS:
        names = [name for name, _ in untrained(network_config(front=front)).named_parameters()]

        parts = {name.split(".")[0]: part_of(name) for name in names}

        assert {
            "front": "backbone",
            "factors": "heads",
            "found": "heads",
            "count": "heads",
        } == parts, front


def test_a_calibrated_network_says_the_same_logits_and_reads_them_otherwise() -> None:
    for kind in KINDS:
        config = network_config(f"count.kind={kind}")
        observation, network = observed(config), awake(config)

        with torch.no_grad():
            before = network(observation, 0.0)
            network.set_temperature(4.0)
            after = network(observation, 0.0)

        assert torch.equal(before.count_logits, after.count_logits), kind
        expected = before.count_law.probabilities(before.count_logits.double() / 4.0)
        assert worst(expected, after.count_probabilities) < 1e-9, kind
        assert worst(before.count_probabilities, after.count_probabilities) > 1e-2, kind


def test_a_threshold_that_is_configured_is_the_one_that_counts() -> None:
    config = network_config("count.threshold=0.9")

    assert 0.9 == answer(config, scenes_of(config, 2).frames).count_law.threshold


def test_the_front_follows_the_law_of_the_symbols() -> None:
    names = {
        symbols: type(untrained(network_config(f"physics.symbols={symbols}")).front).__name__
        for symbols in ("frame", "snapshot")
    }

    assert {"frame": "PursuitFront", "snapshot": "ImageFront"} == names


def test_no_scene_is_answered_with_no_estimate() -> None:
    for front, kind in MAKES:
        config = network_config(f"factors.kind={kind}", front=front)

        prediction = awake(config)(Observer.of(config)(scenes_of(config, 2).frames[:0]), 0.3)

        assert 0 == len(prediction), (front, kind)
        assert (0, 3) == tuple(prediction.count_probabilities.shape), (front, kind)


def test_covariances_have_two_columns_a_slot_and_those_of_the_samples() -> None:
    cases: list[tuple[tuple[str, ...], float, int]] = [
        ((), 0.0, 6),
        ((), 0.3, 7),
        (("sampled.method=per_snapshot",), 0.3, 22),
        (("physics.symbols=snapshot",), 0.3, 22),
    ]
    for (overrides, beta, columns), front in product(cases, FRONTS):
        if front == "pursuit" and "physics.symbols=snapshot" in overrides:
            continue
        config = network_config(
            *overrides, "physics.elements_h=4", "physics.elements_v=9", front=front
        )

        prediction = answer(config, scenes_of(config, 3).frames, beta)

        assert (3, 36, columns) == tuple(prediction.effective.factor.shape), overrides
        assert (3, 36, 6) == tuple(prediction.predicted.factor.shape), (
            overrides,
            beta,
            columns,
            front,
        )
        assert worst(torch.full((3,), 36.0), prediction.effective.trace()) < 1e-5, overrides
        assert 3 == len(prediction), (overrides, beta, columns, front)


def test_what_is_decomposed_is_the_effective_covariance_of_what_is_predicted() -> None:
    """Museum 12: one matrix in training, validation and inference."""
    for beta, (front, kind) in product([0.0, 0.3, 1.0], MAKES):
        config = network_config(f"factors.kind={kind}", "covariance.alpha_base=0.02", front=front)
        observation = observed(config)

        with torch.no_grad():
            prediction = awake(config)(observation, beta)

        expected = effective(
            prediction.predicted, observation.snr_db, observation.sampled, beta, alpha_base=0.02
        )
        assert worst(matrix(expected), matrix(prediction.effective)) < 1e-5, (beta, front, kind)
        unregularised = effective(prediction.predicted, observation.snr_db, alpha_base=0.0)
        assert worst(matrix(unregularised), matrix(prediction.effective)) > 1e-4, (
            beta,
            front,
            kind,
        )


def test_without_a_blend_nobody_looks_at_the_samples() -> None:
    for beta in [0.0, 0.3]:
        config = network_config()
        observation = observed(config)

        awake(config)(observation, beta)

        assert (beta > 0.0) == ("sampled" in vars(observation)), beta
