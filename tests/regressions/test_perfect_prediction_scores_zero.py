"""Once: a perfect prediction scored 0.248, because only one side was diagonally loaded."""

import pytest
import torch
from torch import Tensor

from risexp.covariance.effective import effective
from risexp.loss.terms import TERMS
from tests.support.predictions import best_prediction, scored, small_target
from tests.support.scenes import label_covariance, tiny_scenes


def test_a_load_left_out_of_the_label_leaves_its_square_as_the_floor(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strong(snr_db: Tensor, base: float) -> Tensor:
        del base
        return torch.full_like(snr_db, 0.5)

    monkeypatch.setattr("risexp.covariance.effective.alpha", strong)
    scenes = tiny_scenes(32, device=device)
    label, snr_db = label_covariance(scenes), scenes.frames.snr_db
    assert snr_db is not None
    loaded = effective(label, snr_db)

    alike, one_side = loaded.nmse(effective(label, snr_db)), loaded.nmse(label.trace_normalize())

    # Rank one: |R - (R + I) / 2|^2 / |R|^2 = (1 - 1 / N) / 4, the 0.248 of old.
    assert pytest.approx((1 - 1 / 144) / 4, abs=1e-4) == float(one_side.max())
    assert float(alike.abs().max()) <= 1e-9


@pytest.mark.parametrize("name", ["cov", "cov_pred"])
def test_the_terms_of_the_loss_score_labels_zero_and_see_a_load_on_one_side_only(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def floor() -> float:
        target = small_target(device=device)
        return float(scored(TERMS[name], best_prediction(target), target).abs().max())

    ours = floor()
    monkeypatch.setattr("risexp.loss.target.effective", lambda label, *_, **__: label)

    assert ours <= 1e-9
    assert floor() > 1e-7
