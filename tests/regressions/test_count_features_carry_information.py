"""Museum 14: K stood at one class for months, at a loss of ln 5: the features told nothing of it.

Two shapes of the fault: a head that is given the same whatever the scene, and one that is given
what belongs to other scenes. Nothing but answers to scenes can tell; the loss looks busy in both.
"""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from risexp.config.run import RunConfig
from risexp.diagnostics.k_head import Amount, probe_k_head
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.model.network import Network
from risexp.model.observation import Observation
from risexp.model.prediction import Prediction
from tests.diagnostics.reports import failed, table
from tests.support.references import smoke


class Uninformed(Network):
    """The head is given features of no scene: zeros."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.guess = nn.Linear(4, self.law.width)

    def forward(self, observation: Observation, beta: float) -> Prediction:
        answer = super().forward(observation, beta)
        features = answer.count_logits.new_zeros(len(answer), 4)
        return replace(answer, count_logits=self.guess(features))


class Misfiled(Network):
    """The head is given features of the batch in an order of their own."""

    def forward(self, observation: Observation, beta: float) -> Prediction:
        answer = super().forward(observation, beta)
        return replace(answer, count_logits=answer.count_logits[torch.randperm(len(answer))])


@pytest.mark.parametrize("network", [Uninformed, Misfiled])
def test_features_that_tell_nothing_fail_by_heart_and_on_fresh_scenes(
    network: type[Network],
) -> None:
    config = smoke("frame", "count.kind=softmax", "network.width=16")
    amount = Amount(scenes=24, epochs=8, fresh=512, judged=256)

    report = probe_k_head(config, amount, trainer=ProbeTrainer(network))

    assert {
        "K accuracy of scenes known by heart",
        "lower 99 % bound of the K accuracy of fresh scenes",
    } <= set(failed(report))
    assert "belongs to its scene" in report.advice[0]
    assert any("shows nothing of the count" in said for said in report.advice)
    if network is Uninformed:
        # It is stuck at one class, and at the loss of the frequencies.
        (_, loss, _) = table(report, "by heart").rows[-1]
        assert "different counts answered to fresh scenes" in failed(report)
        assert any("Only 1 different counts are answered" in said for said in report.advice)
        assert float(str(loss)) > 0.8 * math.log(3)
