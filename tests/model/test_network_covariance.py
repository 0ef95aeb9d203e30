"""The covariance of a network: columns, trace and share of the samples."""

from itertools import product

import torch

from risexp.covariance.effective import effective
from tests.support.localisation import scenes_of
from tests.support.networks import (
    FRONTS,
    MAKES,
    answer,
    awake,
    network_config,
    observed,
)
from tests.support.scenes import matrix, worst


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
