"""What a prediction says of itself: its covariance, its count, its law."""

import pytest
import torch

from risexp.config.learning import CountKind
from risexp.model.prediction import predicted
from tests.support.localisation import label, scenes_of
from tests.support.networks import KINDS, network_config, truthful
from tests.support.scenes import gaussian, matrix, worst

CONFIG = network_config()


def test_the_predicted_covariance_is_the_sum_of_both_factors() -> None:
    angle, ranged = (gaussian(2, 6, 3, seed=each).to(torch.complex64) for each in (1, 2))

    said = predicted(angle, ranged, 0.3)

    expected = angle @ angle.mH + 0.3 * (ranged @ ranged.mH)
    assert worst(expected.to(torch.complex128), matrix(said)) < 1e-6
    assert [0.0, 0.0] == said.diagonal.tolist()


def test_a_second_factor_of_weight_zero_is_not_there() -> None:
    angle, ranged = (gaussian(2, 6, 3, seed=each).to(torch.complex64) for each in (1, 2))

    assert torch.equal(angle @ angle.mH, predicted(angle, ranged, 0.0).factor[..., :3] @ angle.mH)
    assert 0.0 == float(predicted(angle, ranged, 0.0).factor[..., 3:].abs().max())


@pytest.mark.parametrize("kind", KINDS)
def test_who_knows_the_truth_counts_it(kind: CountKind) -> None:
    scenes = scenes_of(CONFIG, 32)

    said = truthful(CONFIG, scenes, kind)

    assert 32 == len(said)
    assert scenes.truth.count.tolist() == said.count.tolist()
    right = said.count_probabilities.gather(-1, scenes.truth.count[:, None] - 1)
    assert worst(torch.ones(32, 1), right.float()) < 1e-6


def test_who_knows_the_truth_predicts_its_covariance() -> None:
    scenes = scenes_of(CONFIG, 32)

    said = truthful(CONFIG, scenes)

    assert float(said.effective.nmse(label(CONFIG, scenes)).max()) < 1e-10
