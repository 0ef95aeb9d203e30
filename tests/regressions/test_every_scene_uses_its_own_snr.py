"""Once: the first sample's SNR decided the shrinkage of the whole batch."""

import pytest
import torch
from torch import Tensor

from risexp.covariance.effective import alpha, effective
from tests.support.scenes import label_covariance, matrix, tiny_scenes, worst


def check_scene_by_scene(device: torch.device) -> None:
    """A scene in a batch is regularised as it is alone."""
    label = label_covariance(tiny_scenes(4, device=device))
    snr_db = torch.tensor([-5.0, 0.0, 10.0, 20.0], device=device)
    together = effective(label, snr_db, alpha_base=0.05)
    alone = [
        effective(label[k : k + 1], snr_db[k : k + 1], alpha_base=0.05).diagonal for k in range(4)
    ]
    assert worst(torch.cat(alone), together.diagonal) < 1e-6, "SNR of another scene"
    assert (
        worst(matrix(effective(label[:1], snr_db[:1])), matrix(effective(label, snr_db))[:1]) < 1e-6
    )


def first(snr_db: Tensor, base: float) -> Tensor:
    return alpha(snr_db[:1], base).expand_as(snr_db)


def mean(snr_db: Tensor, base: float) -> Tensor:
    return alpha(snr_db.mean(), base).expand_as(snr_db)


def test_every_scene_is_regularised_by_its_own_snr(device: torch.device) -> None:
    check_scene_by_scene(device)


@pytest.mark.parametrize("fault", [first, mean])
def test_one_snr_for_the_whole_batch_is_reported(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, fault: object
) -> None:
    monkeypatch.setattr("risexp.covariance.effective.alpha", fault)

    with pytest.raises(AssertionError, match="SNR of another scene"):
        check_scene_by_scene(device)
