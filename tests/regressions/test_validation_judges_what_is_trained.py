"""Museum 12: validation scored another matrix than training did, and was told the true count."""

from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor

from risexp.covariance.effective import effective
from risexp.data.frames import Frames, Scenes
from risexp.evaluation.validation import Criterion, Validator
from risexp.inference.predictor import Localiser
from risexp.model.network import Network
from risexp.model.observation import Observation
from risexp.model.prediction import Prediction
from risexp.training.curriculum import curriculum
from risexp.training.objective import Objective, ValidationLoss
from tests.support.localisation import scenes_of
from tests.support.networks import network_config

CONFIG = network_config("beta.start=0.3", "beta.final=0.3")
PLAN = curriculum(CONFIG)[0]


def newborn(device: torch.device, kind: type[Network] = Network) -> Network:
    torch.manual_seed(3)
    return kind(CONFIG).to(device)


def apart(network: Network, device: torch.device, criterion: Criterion | None = None) -> float:
    """How far the loss of a validation is from that of training on the same scenes, relatively."""
    scenes, teacher = scenes_of(CONFIG, 96, device), Objective.of(CONFIG, device)
    taught = float(teacher(network.train(), scenes, PLAN).total.detach())
    judge = Validator.of(CONFIG, scenes)
    judged = judge(network, PLAN.beta, criterion or ValidationLoss(teacher, PLAN))["loss"]
    return abs(judged / taught - 1.0)


def unblended(answer: Prediction, seen: Observation, scenes: Scenes) -> Tensor:
    """Plant the fault: the matrix that is scored holds no samples."""
    alone = effective(answer.predicted, seen.snr_db, alpha_base=CONFIG.covariance.alpha_base)
    teacher = Objective.of(CONFIG, scenes.frames.y.device)
    return teacher.mark(replace(answer, effective=alone), seen, scenes, PLAN).total


class TwoPaths(Network):
    """Plant the fault: in evaluation mode the covariance is built by a copy that forgot beta."""

    def forward(self, observation: Observation, beta: float) -> Prediction:
        return super().forward(observation, beta if self.training else 0.0)


@dataclass(frozen=True)
class Told(Localiser):
    """Plant the fault: the true count decides how many peaks are taken."""

    count: Tensor = field(default_factory=lambda: torch.zeros(0))

    def _count(self, prediction: Prediction, frames: Frames) -> Tensor:
        del prediction, frames
        return self.count


def test_training_and_validation_find_the_same_loss_of_the_same_matrix(
    device: torch.device,
) -> None:
    assert PLAN.beta > 0.0
    assert apart(newborn(device), device) < 1e-5
    assert apart(newborn(device), device, unblended) > 1e-3
    assert apart(newborn(device, TwoPaths), device) > 1e-3


def k_acc(device: torch.device, localise: Localiser | None = None) -> tuple[float, float]:
    """What a validation gives for it, and the share of scenes that the head itself counts right."""
    scenes, network = scenes_of(CONFIG, 96, device), newborn(device)
    validator = Validator.of(CONFIG, scenes)
    if localise is not None:
        validator = replace(validator, localise=localise)
    (group,) = validator.groups
    with torch.no_grad():
        right = network.eval()(group.observation, PLAN.beta).count == scenes.truth.count
    marking = ValidationLoss(Objective.of(CONFIG, device), PLAN)
    return validator(network, PLAN.beta, marking)["k_acc"], float(right.double().mean())


def test_the_count_of_a_validation_is_the_heads_and_the_true_one_would_be_seen(
    device: torch.device,
) -> None:
    plain = Localiser.of(CONFIG)
    told = Told(plain.receiver, plain.spectrum, count=scenes_of(CONFIG, 96, device).truth.count)

    judged, counted = k_acc(device)

    assert judged == pytest.approx(counted)
    assert counted < 0.8
    assert (1.0, counted) == k_acc(device, told)
