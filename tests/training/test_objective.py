"""The loss of an answer: its terms, its labels, its balance, and its gradient."""

import math
from dataclasses import replace

import pytest
import torch

from risexp.errors import TrainingAborted
from risexp.model.network import Network
from risexp.model.observation import Observation
from risexp.model.prediction import Prediction
from risexp.training.curriculum import curriculum
from risexp.training.objective import Objective
from tests.support.host_syncs import Waits, looks
from tests.support.localisation import scenes_of
from tests.support.networks import network_config, untrained

BLENDED = ("beta.start=0.3", "beta.final=0.3")


def test_a_loss_has_the_terms_that_its_plan_weighs(device: torch.device) -> None:
    config = network_config("loss.subspace=0.5", "loss.cov_pred=0")
    plan = curriculum(config)[0]

    loss = Objective.of(config)(untrained(config, device), scenes_of(config, 40, device), plan)

    assert plan.active.keys() == loss.terms.keys()
    assert {"cov", "count", "pointers", "existence", "found", "subspace"} == set(plan.active)
    weighed = sum(weight * float(loss.terms[name]) for name, weight in plan.active.items())
    assert math.isclose(weighed, float(loss.total.detach()), rel_tol=1e-6)


def test_compressed_labels_are_other_labels(device: torch.device) -> None:
    config = network_config()
    compressed = config.replace({"loss.label_power": "compressed"})
    scenes, network = scenes_of(config, 40, device), untrained(config, device)
    plan = curriculum(config)[0]

    one, other = (Objective.of(each)(network, scenes, plan).terms for each in (config, compressed))

    assert abs(float(one["cov"] - other["cov"])) > 1e-3
    assert torch.equal(one["count"], other["count"])


def test_learned_balances_are_part_of_what_is_taught(device: torch.device) -> None:
    config = network_config("loss.balance=uncertainty")
    objective = Objective.of(config, device)

    loss = objective(
        untrained(config, device), scenes_of(config, 40, device), curriculum(config)[0]
    )

    slopes = torch.autograd.grad(loss.total, list(objective.balance.parameters()))
    assert 6 == len(slopes)
    assert all(bool(slope != 0.0) for slope in slopes)


class Detached(Network):
    """Its covariance is a constant, while all other answers have their gradient."""

    def forward(self, observation: Observation, beta: float) -> Prediction:
        answer = super().forward(observation, beta)
        return replace(answer, effective=answer.effective.detach())


def test_a_covariance_without_a_gradient_is_refused_where_something_is_learned() -> None:
    config = network_config(*BLENDED)
    objective, scenes, plan = Objective.of(config), scenes_of(config, 40), curriculum(config)[0]

    with pytest.raises(TrainingAborted, match="epoch 1: the effective covariance has no") as caught:
        objective(Detached(config), scenes, plan)
    with torch.no_grad():
        loss = objective(untrained(config), scenes, plan)

    assert "blend" == caught.value.guard
    assert not loss.total.requires_grad
    sampled = network_config("beta.start=1", "beta.final=1", "loss.cov_pred=0.1")
    (plan, *_), network = curriculum(sampled), untrained(sampled)
    assert 1.0 == plan.beta
    assert Objective.of(sampled)(network, scenes, plan).total.requires_grad


def test_the_host_never_waits_while_an_answer_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    config = network_config(*BLENDED, "localisation.backend=torch")
    objective, scenes, plan = Objective.of(config), scenes_of(config, 40), curriculum(config)[0]
    network = untrained(config)
    objective(network, scenes, plan)

    with looks(monkeypatch) as seen, Waits() as waits:
        objective(network, scenes, plan)

    assert [] == seen
    assert [] == waits.names
