"""Ideal data, on which an information criterion must count right."""

import pytest
import torch

from risexp.config.layers import load_config
from risexp.diagnostics.order_counts import (
    effective_rank,
    far_power,
    ideal_eigenvalues,
    orthogonal_beams,
)
from tests.support.references import smoke

COUNT = torch.tensor([1, 2, 3, 3])


def test_beams_are_orthonormal_and_as_many_as_are_counted() -> None:
    beams = orthogonal_beams(smoke(), COUNT)

    gram = beams @ beams.mH
    wanted = torch.diag_embed((torch.arange(3) < COUNT.unsqueeze(-1)).to(gram.dtype))
    assert (4, 3, 36) == beams.shape
    torch.testing.assert_close(gram, wanted, atol=1e-5, rtol=0.0)


def test_eigenvalues_are_the_powers_of_the_sources_and_of_the_noise_and_equal_ones_count() -> None:
    beams = orthogonal_beams(smoke(), COUNT)

    values = ideal_eigenvalues(beams, power=2.0, snapshots=20_000)

    equal = torch.tensor([[4.0, 4.0, 4.0, 0.0], [7.0, 0.0, 0.0, 0.0], [0.0] * 4])
    assert pytest.approx([3.0, 1.0, 0.0]) == effective_rank(equal).tolist()
    for scene, count in enumerate(COUNT.tolist()):
        assert pytest.approx([2.0] * count, rel=0.1) == values[scene, :count].tolist()
        assert pytest.approx(2.0 * 0.1 / 36, rel=0.02) == float(values[scene, count:].mean())


def test_ideal_data_are_as_quiet_as_the_farthest_source() -> None:
    config = load_config().config
    equal = config.replace({"physics.power": "equal"})

    assert pytest.approx((0.3 / (4 * torch.pi * 10.0)) ** 2, rel=1e-5) == far_power(config)
    assert 1.0 == far_power(equal)
