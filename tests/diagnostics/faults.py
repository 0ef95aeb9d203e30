"""Faulty objectives, networks and trainers, which the probes must notice."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, fields, replace

import torch

from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.weighting import Loss, weighted_loss
from risexp.model.network import Network
from risexp.model.observation import Observation
from risexp.model.prediction import Prediction
from risexp.training.events import BatchEnded
from risexp.training.meters import LossMeter
from risexp.training.objective import Objective
from risexp.training.plan import Plan
from risexp.training.setup import TrainSetup, build_trainer
from risexp.training.trainer import KeyedBatches, Trainer


class OneSided(Objective):
    """Compares a regularised prediction with a label that is not regularised."""

    def mark(
        self, answer: Prediction, observation: Observation, scenes: Scenes, plan: Plan
    ) -> Loss:
        target = self.target(observation, scenes)
        bare = replace(target, effective=target.covariance)
        return weighted_loss(
            PredictionPair(answer, bare, self.settings), plan.weights, self.balance
        )


class IndexWise(Objective):
    """Compares the first slot with the first source, the second with the second."""

    def mark(
        self, answer: Prediction, observation: Observation, scenes: Scenes, plan: Plan
    ) -> Loss:
        pair = PredictionPair(answer, self.target(observation, scenes), self.settings)
        most = answer.count_law.sources_max
        pair.__dict__["slots"] = torch.arange(most).expand(len(answer), most)
        return weighted_loss(pair, plan.weights, self.balance)


class Undefined(Objective):
    """Has the undefined slope of a square root at zero in one of the terms."""

    def mark(
        self, answer: Prediction, observation: Observation, scenes: Scenes, plan: Plan
    ) -> Loss:
        loss = super().mark(answer, observation, scenes, plan)
        if "pointers" not in plan.active:
            return loss
        return replace(loss, total=loss.total + (0.0 * answer.pointers.rho.sum()).sqrt())


class Uphill(Objective):
    """Has the wrong sign of the total."""

    def mark(
        self, answer: Prediction, observation: Observation, scenes: Scenes, plan: Plan
    ) -> Loss:
        loss = super().mark(answer, observation, scenes, plan)
        weighted = {name: -part for name, part in loss.weighted.items()}
        return replace(loss, total=-loss.total, weighted=weighted)


class Backwards(Objective):
    """Has the right total and the wrong sign of its gradient, which no guard sees."""

    def mark(
        self, answer: Prediction, observation: Observation, scenes: Scenes, plan: Plan
    ) -> Loss:
        loss = super().mark(answer, observation, scenes, plan)
        return replace(loss, total=2.0 * loss.total.detach() - loss.total)


class Detached(Objective):
    """Has a total without a way to the network."""

    def mark(
        self, answer: Prediction, observation: Observation, scenes: Scenes, plan: Plan
    ) -> Loss:
        loss = super().mark(answer, observation, scenes, plan)
        return replace(loss, total=loss.total.detach().requires_grad_())


@dataclass(frozen=True)
class ShuffledLabels:
    """Batches in which each scene has the labels of its neighbour."""

    sound: KeyedBatches

    def __len__(self) -> int:
        return len(self.sound)

    def epoch(self, epoch: int) -> Iterator[Scenes]:
        """The batches of an epoch."""
        return map(_shuffled, self.sound.epoch(epoch))

    def scenes(self, epoch: int, batch: int) -> Scenes:
        """One batch of an epoch."""
        return _shuffled(self.sound.scenes(epoch, batch))


def _shuffled(scenes: Scenes) -> Scenes:
    return Scenes(scenes.frames, scenes.truth[torch.arange(len(scenes)).roll(1)])


def with_shuffled_labels(
    config: RunConfig, setup: TrainSetup, generator: SceneGenerator
) -> Trainer:
    """The right trainer with wrong labels."""
    trainer = build_trainer(config, setup, generator)
    trainer.batches = ShuffledLabels(trainer.batches)
    return trainer


class WithoutHeads(Network):
    """Takes the count logits from the pointers, so that the count head has no effect."""

    def forward(self, observation: Observation, beta: float) -> Prediction:
        answer = super().forward(observation, beta)
        guessed = answer.pointers.existence[:, : answer.count_logits.shape[1]]
        return replace(answer, count_logits=guessed)


class OutsideTheLoop(Trainer):
    """Takes one step an epoch, as if the step stood outside the loop."""

    def _train(self, plan: Plan) -> Generator[BatchEnded, None, LossMeter]:
        means = LossMeter(plan.active, self.stepper.device)
        self.network.train()
        batches = list(self.batches.epoch(plan.epoch))
        for batch in range(len(batches)):
            yield BatchEnded(plan.epoch, batch, len(batches))
        values = self._gradients(plan, len(batches) - 1, batches[-1], means)
        taken = self.stepper.step(values[0], len(batches) - 1)
        means.add(values, len(batches[-1]), taken)
        return means


class WithoutSteps(Trainer):
    """Computes gradients and takes no step."""

    def _train(self, plan: Plan) -> Generator[BatchEnded, None, LossMeter]:
        means = LossMeter(plan.active, self.stepper.device)
        for batch, scenes in enumerate(self.batches.epoch(plan.epoch)):
            values = self._gradients(plan, batch, scenes, means)
            means.add(values, len(scenes), torch.tensor(True))
            yield BatchEnded(plan.epoch, batch, len(self.batches))
        return means


def trained_by(kind: type[Trainer]) -> Callable[[RunConfig, TrainSetup, SceneGenerator], Trainer]:
    """Build trainers of another class from the parts of the right one."""

    def build(config: RunConfig, setup: TrainSetup, generator: SceneGenerator) -> Trainer:
        sound = build_trainer(config, setup, generator)
        given = {field.name: getattr(sound, field.name) for field in fields(sound) if field.init}
        return kind(**given)

    return build
