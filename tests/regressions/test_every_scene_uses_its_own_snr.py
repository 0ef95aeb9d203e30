"""Museum 19: the first sample's SNR decided the shrinkage of the whole batch."""

import pytest
import torch
from torch import Tensor

from risexp.covariance.effective import alpha, effective
from tests.support.scenes import label_covariance, tiny_scenes, worst


def misfit(device: torch.device) -> float:
    """How far scenes are regularised in a batch from how they are alone."""
    label = label_covariance(tiny_scenes(4, device=device))
    snr_db = torch.tensor([-5.0, 0.0, 10.0, 20.0], device=device)
    together = effective(label, snr_db, alpha_base=0.05).diagonal
    alone = [
        effective(label[k : k + 1], snr_db[k : k + 1], alpha_base=0.05).diagonal for k in range(4)
    ]
    return worst(torch.cat(alone), together)


def first(snr_db: Tensor, base: float) -> Tensor:
    return alpha(snr_db[:1], base).expand_as(snr_db)


def mean(snr_db: Tensor, base: float) -> Tensor:
    return alpha(snr_db.mean(), base).expand_as(snr_db)


@pytest.mark.parametrize("fault", [first, mean])
def test_every_scene_is_regularised_by_its_own_snr_and_another_would_be_seen(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, fault: object
) -> None:
    ours = misfit(device)
    monkeypatch.setattr("risexp.covariance.effective.alpha", fault)

    assert ours < 1e-6
    assert misfit(device) > 1e-2
