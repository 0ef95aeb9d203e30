"""The loop: plans in, events out. It writes nothing and can be left at any time."""

import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import Module

from risexp.config.training import Selection
from risexp.data.frames import Scenes
from risexp.errors import CheckpointRefused, TrainingAborted
from risexp.training.checkpoint import State, copied, restore
from risexp.training.epoch_checks import Limits
from risexp.training.events import BatchEnded, EpochEnded, EpochStarted, Event
from risexp.training.meters import HasLoss, LossMeter
from risexp.training.plan import Plan
from risexp.training.progress import CRITERIA, Progress
from risexp.training.replay import UNDECOMPOSED, BatchObjective, Refusal, explain
from risexp.training.stepper import Stepper


class KeyedBatches(Protocol):
    """Batches that are named by epoch, from 1, and batch, from 0; each can be had at any time."""

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, /) -> Iterator[Scenes]:
        """All batches of an epoch, in order."""

    def scenes(self, epoch: int, batch: int, /) -> Scenes:
        """One batch of an epoch."""


class Validate(Protocol):
    """Scores of a network by name, under the beta and the weights of an epoch."""

    def __call__(self, network: Module, plan: Plan, /) -> Mapping[str, float]:
        """The scores; the network is in evaluation mode, and no gradient is recorded."""


@dataclass(frozen=True)
class Recipe:
    """Plain values on which the loop itself depends."""

    seed: int = 0
    """Names the random draws, together with epoch and batch."""
    pieces: int = 1
    """Pieces of a batch whose gradients are added before its step."""
    selection: Selection = "k_loc"
    """The score that selects the best epoch."""
    limits: Limits = field(default_factory=Limits)
    """Limits of the guard that ends a run which does not learn."""
    replays: int = 3
    """Refused batches of an epoch that are computed again to name the cause."""


@dataclass
class Trainer:
    """Trains a network epoch by epoch; its caller sees every event and decides."""

    network: Module
    balance: Module
    """What the objective learns itself."""
    objective: BatchObjective
    validate: Validate
    batches: KeyedBatches
    plans: Sequence[Plan]
    stepper: Stepper
    recipe: Recipe = field(default_factory=Recipe)
    progress: Progress = field(default_factory=Progress)
    _within: bool = field(default=False, init=False)
    """Whether an epoch is under way, so that no half of one is ever kept."""

    def run(self) -> Generator[Event, None, None]:
        """Train to the last plan, or until the caller stops listening.

        Raises:
            TrainingAborted: The validation or the loss is not what the plan needs.
            RuntimeError: An epoch was given up before; `resume` comes first.
        """
        self._expect_whole()
        for plan in self.plans[self.progress.epoch :]:
            yield EpochStarted(plan)
            self._within = True
            ended = yield from self._epoch(plan)
            self._within = False
            yield ended

    def state(self) -> State:
        """The state after the last epoch, from which another process can go on."""
        self._expect_whole()
        return State(
            weights=copied(self.network.state_dict()),
            averaged=copied(self.stepper.average.module.state_dict()),
            balance=copied(self.balance.state_dict()),
            optimizer=copied(self.stepper.optimizer.tensors()),
            progress=self.progress,
            seed=self.recipe.seed,
        )

    def resume(self, state: State) -> None:
        """Go on where another process was.

        Raises:
            CheckpointRefused: The state is another network's or another seed's.
        """
        if state.seed != self.recipe.seed:
            raise CheckpointRefused(
                f"the checkpoint's seed is {state.seed}, and this run's is {self.recipe.seed}"
            )
        restore(self.network.state_dict(), state.weights, "weights")
        restore(self.stepper.average.module.state_dict(), state.averaged, "averaged weights")
        restore(self.balance.state_dict(), state.balance, "weights of the loss")
        restore(self.stepper.optimizer.tensors(), state.optimizer, "moments")
        self.stepper.resume(state.progress.step)
        self.progress = state.progress
        self._within = False

    def _epoch(self, plan: Plan) -> Generator[BatchEnded, None, EpochEnded]:
        begun = perf_counter()
        with self.stepper.epoch(plan, len(self.batches)):
            means = yield from self._train(plan)
            steps = self.stepper.read()
            refused = tuple(self._explain(plan, steps.refused))
        trained = perf_counter()
        scores = self._validated(plan)
        self.progress = self._closed(plan, steps.total, scores)
        return EpochEnded(
            plan=plan,
            losses=means.read(),
            scores=scores,
            steps=steps,
            refused=refused,
            best=self.progress.best,
            since_best=self.progress.since_best,
            training_s=trained - begun,
            validation_s=perf_counter() - trained,
        )

    def _train(self, plan: Plan) -> Generator[BatchEnded, None, LossMeter]:
        """One step a batch. Nothing in here asks the device for a number."""
        means = LossMeter(plan.active, self.stepper.device)
        self.network.train()
        for batch, scenes in enumerate(self.batches.epoch(plan.epoch)):
            values = self._gradients(plan, batch, scenes, means)
            taken = self.stepper.step(values[0], batch)
            means.add(values, len(scenes), taken)
            yield BatchEnded(plan.epoch, batch, len(self.batches))
        return means

    def _gradients(self, plan: Plan, batch: int, scenes: Scenes, means: LossMeter) -> Tensor:
        """Add up the gradients of a batch's pieces, and return the means of its values."""
        values = torch.zeros((), dtype=torch.float64, device=self.stepper.device)
        pieces = self._pieces(scenes)
        try:
            for piece, loss in zip(pieces, self._losses(plan, batch, pieces), strict=True):
                share = len(piece) / len(scenes)
                torch.autograd.backward(share * loss.total)
                values = values + share * means.values_of(loss)
        except UNDECOMPOSED:
            # One more refused step; the replay names it.
            return torch.full((1 + 2 * len(plan.active),), torch.nan).to(values)
        return values

    def _losses(self, plan: Plan, batch: int, pieces: Sequence[Scenes]) -> Iterator[HasLoss]:
        """The loss of each piece of a batch, the same whenever it is computed."""
        torch.manual_seed(draw_key(self.recipe.seed, plan.epoch, batch))
        for piece in pieces:
            loss = self.objective(self.network, piece, plan)
            if loss.terms.keys() != plan.active.keys():
                raise TrainingAborted(
                    f"epoch {plan.epoch}: the loss has the terms {_listed(loss.terms)}, and the "
                    f"plan weighs {_listed(plan.active)}",
                    guard="plan",
                )
            yield loss

    def _pieces(self, scenes: Scenes) -> list[Scenes]:
        size = -(-len(scenes) // self.recipe.pieces)
        return [scenes[start : start + size] for start in range(0, len(scenes), size)]

    def _explain(self, plan: Plan, refused: Sequence[int]) -> Iterator[Refusal]:
        for batch in refused[: self.recipe.replays]:
            scenes = self.batches.scenes(plan.epoch, batch)
            losses = partial(self._losses, batch=batch, pieces=self._pieces(scenes))
            yield explain(batch, scenes, plan, losses, self.stepper.parameters)

    def _validated(self, plan: Plan) -> dict[str, float]:
        torch.manual_seed(draw_key(self.recipe.seed, plan.epoch, len(self.batches)))
        with torch.no_grad():
            return dict(self.validate(self.stepper.average.module, plan))

    def _closed(self, plan: Plan, step: int, scores: Mapping[str, float]) -> Progress:
        criterion = CRITERIA[self.recipe.selection]
        if criterion.score not in scores:
            raise TrainingAborted(
                f"epoch {plan.epoch}: the validation gave no {criterion.score!r} to select by",
                guard="validation",
            )
        return self.progress.closed(plan, step, scores[criterion.score], criterion)

    def _expect_whole(self) -> None:
        if self._within:
            message = "an epoch is under way or was given up: go on from the last checkpoint"
            raise RuntimeError(message)


def draw_key(seed: int, epoch: int, batch: int) -> int:
    """64 bits that name the random draws of one batch, independent of earlier draws."""
    digest = hashlib.sha256(f"risexp draws {seed} {epoch} {batch}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "nothing"
