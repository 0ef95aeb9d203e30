"""Museum 14: K stood at one class for months, at a loss of ln 5: the features told nothing of it.

Two shapes of the fault: a head that is given the same whatever the scene, and one that is given
what belongs to other scenes. Nothing but answers to scenes can tell; the loss looks busy in both.
"""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.diagnostics.k_head import Amount, probe_k_head
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.diagnostics.report import Cell, Report, Table
from risexp.model.network import Network
from risexp.model.observation import Observation
from risexp.model.prediction import Prediction

AMOUNT = Amount(scenes=24, epochs=40, fresh=1536, judged=256)
CONFIG = load_config(preset="smoke", overrides=("count.kind=softmax", "network.width=32")).config


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


def table(report: Report, part: str) -> Table:
    (found,) = (each for each in report.evidence if isinstance(each, Table) and part in each.label)
    return found


def failed(report: Report) -> set[Cell]:
    return {row[0] for row in table(report, "checks").rows if row[-1] == "FAIL"}


def test_features_that_tell_the_count_pass() -> None:
    report = probe_k_head(CONFIG, AMOUNT)

    assert "pass" == report.verdict


@pytest.mark.parametrize("network", [Uninformed, Misfiled])
def test_features_that_tell_nothing_fail_by_heart_and_on_fresh_scenes(
    network: type[Network],
) -> None:
    report = probe_k_head(
        CONFIG, replace(AMOUNT, epochs=8, fresh=512), trainer=ProbeTrainer(network)
    )

    assert {
        "K accuracy of scenes known by heart",
        "lower 99 % bound of the K accuracy of fresh scenes",
    } <= failed(report)
    assert "belongs to its scene" in report.advice[0]
    assert any("shows nothing of the count" in said for said in report.advice)


def test_a_head_without_features_is_stuck_at_one_class_and_at_the_loss_of_the_frequencies() -> None:
    report = probe_k_head(
        CONFIG, replace(AMOUNT, epochs=8, fresh=512), trainer=ProbeTrainer(Uninformed)
    )

    (_, loss, _) = table(report, "by heart").rows[-1]
    assert "different counts answered to fresh scenes" in failed(report)
    assert any("Only 1 different counts are answered" in said for said in report.advice)
    assert float(str(loss)) > 0.8 * math.log(3)
