"""The one covariance of a network: its columns, its trace, its share of the samples."""

import pytest
import torch

from risexp.config.learning import FactorKind, Front
from risexp.covariance.effective import alpha, effective
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

PRECISIONS = ["fp32", "bf16"]
HALF = {"fp32": 1e-4, "bf16": 3e-2}


@pytest.mark.parametrize(
    ("overrides", "beta", "columns"),
    [
        ((), 0.0, 6),
        ((), 0.3, 7),
        (("sampled.method=per_snapshot",), 0.3, 22),
        (("physics.symbols=snapshot",), 0.3, 22),
    ],
)
@pytest.mark.parametrize("front", FRONTS)
def test_covariances_have_two_columns_a_slot_and_those_of_the_samples(
    front: Front, overrides: tuple[str], beta: float, columns: int
) -> None:
    if front == "pursuit" and "physics.symbols=snapshot" in overrides:
        front = "image"
    config = network_config(*overrides, "physics.elements_h=4", "physics.elements_v=9", front=front)

    said = answer(config, scenes_of(config, 3).frames, beta)

    assert (3, 36, columns) == tuple(said.effective.factor.shape)
    assert (3, 36, 6) == tuple(said.predicted.factor.shape)
    assert worst(torch.full((3,), 36.0), said.effective.trace()) < 1e-5
    assert 3 == len(said)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("front", "kind"), MAKES)
def test_what_is_decomposed_is_the_effective_covariance_of_what_is_predicted(
    front: Front, kind: FactorKind, beta: float
) -> None:
    """Museum 12: one matrix in training, validation and inference."""
    config = network_config(f"factors.kind={kind}", "covariance.alpha_base=0.02", front=front)
    observation = observed(config)

    with torch.no_grad():
        said = awake(config)(observation, beta)

    expected = effective(
        said.predicted, observation.snr_db, observation.sampled, beta, alpha_base=0.02
    )
    assert worst(matrix(expected), matrix(said.effective)) < 1e-5
    unregularised = effective(said.predicted, observation.snr_db, alpha_base=0.0)
    assert worst(matrix(unregularised), matrix(said.effective)) > 1e-4


@pytest.mark.parametrize("beta", [0.01, 0.3, 1.0])
def test_a_blend_moves_the_covariance_by_its_share_of_the_samples(beta: float) -> None:
    """Museum 8: (1 - alpha) beta (sampled - predicted), and not nothing."""
    config = network_config()
    observation, network = observed(config), awake(config)

    with torch.no_grad():
        alone, blended = network(observation, 0.0), network(observation, beta)

    said, sampled = (
        matrix(each.trace_normalize()) for each in (alone.predicted, observation.sampled)
    )
    kept = (1.0 - alpha(observation.snr_db, 1e-3)).double()[:, None, None]
    moved = matrix(blended.effective) - matrix(alone.effective)
    assert worst(kept * beta * (sampled - said), moved) < 1e-4
    assert float(moved.abs().square().sum((-2, -1)).sqrt().min()) > beta


@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_without_a_blend_nobody_looks_at_the_samples(beta: float) -> None:
    config = network_config()
    observation = observed(config)

    awake(config)(observation, beta)

    assert (beta > 0.0) == ("sampled" in vars(observation))
