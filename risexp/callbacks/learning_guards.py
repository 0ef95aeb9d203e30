"""Guards of what a network learns: gradients, blended samples, and a count better than chance.

`standard_guards` lists the guards of every run.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from risexp.callbacks.guards import EpochGuard, Guard, PlanGuard, Reading
from risexp.config.training import Part, Phase
from risexp.runs.journal_writer import Journal
from risexp.training.events import EpochEnded, Event
from risexp.training.plan import Plan
from risexp.training.stepper import Stepper
from risexp.training.trainer import Trainer

NEEDED: Final = (
    "k_acc",
    "k_majority",
    "scenes",
    "count_entropy",
    "count_nll",
    "count_nll_chance",
)

_NOISE: Final = 2.326
"""Standard deviations that a guess exceeds once in a hundred validations."""
_ENOUGH_STEPS: Final = 10
"""Steps of the last phase in which every parameter should receive a gradient."""
_SKILL: Final = 0.1
"""k_acc of a count of modest skill, minus that of a guess."""
_ENTROPY_NAT: Final = 0.2
"""Below this, more than 95 % of all predicted counts are the same."""
_NEAR: Final = 0.98
"""A count_nll above this share of the chance level is near chance."""


class GradientGuard:
    """Checks that every trainable parameter receives a gradient in the last phase.

    A run ends after ten steps of that phase, never before: a layer of zeros hides the layers behind
    it in the first steps, and a few scenes may not use all parameters. In earlier phases some terms
    of the loss may have no weight.
    """

    def __init__(
        self, untouched: Callable[[], Mapping[Part, Sequence[str]]], plans: Sequence[Plan]
    ) -> None:
        """Call `untouched` (see `never_touched`) in the last phase, until nothing is left."""
        self._untouched = untouched
        self._phase = plans[-1].phase
        self._before = sum(plan.phase != self._phase for plan in plans)
        self._sound = False

    def look(self, event: Event) -> Iterator[Reading]:
        """Number of parameters without a gradient, except in frozen parts."""
        if not isinstance(event, EpochEnded) or event.plan.phase != self._phase:
            return
        names = [] if self._sound else self._names(event.plan)
        self._sound = not names
        # A lower bound: steps of earlier phases may have been refused.
        taken = event.steps.total - self._before * event.steps.batches
        fault = None
        if names and taken >= _ENOUGH_STEPS:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            fault = (
                f"epoch {event.plan.epoch}: {', '.join(names[:3])}{more} never received a "
                "gradient; give a weight to a term that depends on them, or leave them out"
            )
        yield Reading("gradient", len(names), fault)

    def _names(self, plan: Plan) -> list[str]:
        parts = self._untouched()
        return [name for part in parts if part not in plan.frozen for name in parts[part]]


def never_touched(stepper: Stepper, idle: tuple[str, ...] = ()) -> Mapping[Part, Sequence[str]]:
    """Parameters whose gradient was zero in every step, so that their second moment is zero.

    Parameters whose names begin with one of `idle` are left out.
    """
    names = {id(parameter): name for name, parameter in stepper.parameters.items()}
    optimizer = stepper.optimizer
    untouched: dict[Part, list[str]] = {part: [] for part in optimizer.group_parts}
    for part, group in zip(optimizer.group_parts, optimizer.param_groups, strict=True):
        for parameter in group["params"]:
            name = names[id(parameter)]
            touched = bool(optimizer.state[parameter]["exp_avg_sq"].any())
            if not touched and not name.startswith(idle):
                untouched[part].append(name)
    return untouched


@dataclass(frozen=True)
class BlendGuard:
    """Checks that samples which are blended in change the covariance."""

    least: float = 1e-3
    """Smallest blend_effect over beta; it is near one if the samples are used."""

    def look(self, event: Event) -> Iterator[Reading]:
        """Distance of samples and prediction, if beta is not zero."""
        if not isinstance(event, EpochEnded) or event.plan.beta == 0.0:
            return
        beta, epoch = event.plan.beta, event.plan.epoch
        if "blend_effect" not in event.scores:
            missing = f"epoch {epoch}: beta is {beta:g} and the validation gave no blend_effect"
            yield Reading("blend", 0.0, f"{missing}; let it measure what the samples change")
            return
        distance = event.scores["blend_effect"] / beta
        fault = None
        # Written so that NaN is a fault.
        if not distance > self.least:
            fault = (
                f"epoch {epoch}: beta is {beta:g}, and blending moves the covariance by "
                f"{distance:.2g} beta; the samples are not used: look at sampled, or set "
                "beta.final to zero"
            )
        yield Reading("blend", distance, fault)


def within_noise(scores: Mapping[str, float]) -> bool:
    """True if k_acc <= p + z sqrt(p (1 - p) / n), with p the share of the most frequent count."""
    guess = scores["k_majority"]
    if guess >= 1.0:
        return False  # all scenes hold the same number of sources
    deviation = math.sqrt(guess * (1.0 - guess) / max(scores["scenes"], 1.0))
    return scores["k_acc"] <= guess + _NOISE * deviation


def scenes_needed(guess: float) -> int:
    """Scenes n on which a count of modest skill, q = p + 0.1, is seldom within noise.

    n >= (z (sqrt(p (1 - p)) + sqrt(q (1 - q))) / (q - p))^2.

    Args:
        guess: p, the k_acc of always answering the most frequent count; below one.
    """
    skilled = min(guess + _SKILL, 1.0)
    spread = sum(math.sqrt(share * (1.0 - share)) for share in (guess, skilled))
    return math.ceil((_NOISE * spread / (skilled - guess)) ** 2)


def too_few(scores: Mapping[str, float]) -> str | None:
    """A sentence if the scenes are too few to tell a count that learns from a guess."""
    guess, scenes = scores["k_majority"], scores["scenes"]
    if guess >= 1.0 or scenes >= scenes_needed(guess):
        return None
    return (
        f"{scenes:.0f} validation scenes are too few to tell a count that learns from a guess, so "
        f"no run ends at chance: set validation.scenes to {scenes_needed(guess)} for that"
    )


def one_answer(scores: Mapping[str, float]) -> bool:
    """True if nearly all scenes get the same count."""
    return scores["count_entropy"] < _ENTROPY_NAT


def near_chance_loss(scores: Mapping[str, float]) -> bool:
    """True if the probabilities are no better than the frequencies of the counts."""
    # Written so that NaN is near chance.
    return not scores["count_nll"] < _NEAR * scores["count_nll_chance"]


class ChanceGuard:
    """Ends a run whose count was at chance for some judged epochs in a row of one phase.

    A count is at chance if its k_acc is within noise of a guess, and if nearly all its answers are
    the same or its probabilities are no better than frequencies. If the scenes are too few to tell,
    the epochs are counted and none ends the run.
    """

    def __init__(self, epochs: int = 5, row: int = 0, phase: Phase | None = None) -> None:
        """Let `epochs` in a row end the run; an earlier attempt ended with `row` of a phase."""
        self._epochs = epochs
        self._row = row
        self._phase = phase

    def look(self, event: Event) -> Iterator[Reading]:
        """Number of epochs in a row; epochs without a loss on the count are left out."""
        if not isinstance(event, EpochEnded):
            return
        plan, scores = event.plan, event.scores
        if not plan.judged or "count" not in plan.active:
            return
        if missing := [name for name in NEEDED if name not in scores]:
            yield Reading(
                "chance",
                self._row,
                f"epoch {plan.epoch}: the validation gave no {missing[0]}, and a dead count would "
                "not be seen; let it measure that, or leave this guard out",
            )
            return
        if plan.phase != self._phase:
            self._row, self._phase = 0, plan.phase
        guess = within_noise(scores) and (one_answer(scores) or near_chance_loss(scores))
        self._row = self._row + 1 if guess else 0
        enough = self._row >= self._epochs and too_few(scores) is None
        yield Reading("chance", self._row, self._fault(event) if enough else None)

    def _fault(self, ended: EpochEnded) -> str:
        scores = ended.scores
        return (
            f"epoch {ended.plan.epoch}: for {self._row} judged epochs the count was at chance, "
            f"k_acc {scores['k_acc']:.3f} where one answer gets {scores['k_majority']:.3f}, "
            f"count_nll {scores['count_nll']:.3f} where frequencies get "
            f"{scores['count_nll_chance']:.3f}; raise loss.count or training.optimizer.lr, or see "
            "what the count head is given"
        )


def standard_guards(
    trainer: Trainer, plans: Sequence[Plan], journal: Journal, idle: Sequence[str] = ()
) -> tuple[Guard, ...]:
    """The guards of every run; a `LeakGuard` is added by the caller, who knows the scenes.

    `idle` are first letters of parameters that this configuration does not use.
    """
    done = trainer.progress.epoch
    row = journal.value(done, "guard/chance")
    return (
        EpochGuard(trainer.recipe.limits),
        PlanGuard(plans),
        GradientGuard(partial(never_touched, trainer.stepper, tuple(idle)), plans),
        BlendGuard(),
        ChanceGuard(row=0 if row is None else int(row), phase=trainer.progress.phase),
    )
