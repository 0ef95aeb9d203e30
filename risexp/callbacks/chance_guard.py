"""Whether a count is any better than a guess: in words on the screen, as a guard in the run.

Whoever always answers the most frequent of the counts is right in a share p of n scenes. A count is
within noise of that where k_acc <= p + z sqrt(p (1 - p) / n). It has learned nothing where besides
its answers are nearly all the same, or its probabilities tell no more than the frequencies do.

So few scenes that a count of modest skill, q = p + 0.1, would often be within that noise too cannot
tell: with n >= (z (sqrt(p (1 - p)) + sqrt(q (1 - q))) / (q - p))^2 it seldom is.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Final

from risexp.callbacks.guard import Reading
from risexp.config.training import Phase
from risexp.training.events import EpochEnded, Event

NEEDED: Final = (
    "k_acc",
    "k_majority",
    "scenes",
    "count_entropy",
    "count_nll",
    "count_nll_chance",
)
"""Scores without which nobody can tell."""

_NOISE: Final = 2.326
"""Standard deviations that a guess exceeds once in a hundred validations."""
_SKILL: Final = 0.1
"""Share of the scenes in which a count of modest skill is right, beyond a guess."""
_ENTROPY_NAT: Final = 0.2
"""Below, more than 95 % of all answers are one count."""
_NEAR: Final = 0.98
"""Share of the chance level from which a count_nll is near it."""


def within_noise(scores: Mapping[str, float]) -> bool:
    """Whether k_acc is that of a guess, so far as these many scenes can tell."""
    guess = scores["k_majority"]
    if guess >= 1.0:
        return False  # all scenes hold the same number of sources: there is nothing to count
    deviation = math.sqrt(guess * (1.0 - guess) / max(scores["scenes"], 1.0))
    return scores["k_acc"] <= guess + _NOISE * deviation


def scenes_needed(guess: float) -> int:
    """Scenes on which a count of modest skill is within noise once in a hundred validations.

    Args:
        guess: K accuracy of whoever always answers the most frequent count, below one.
    """
    skilled = min(guess + _SKILL, 1.0)
    spread = sum(math.sqrt(share * (1.0 - share)) for share in (guess, skilled))
    return math.ceil((_NOISE * spread / (skilled - guess)) ** 2)


def too_few(scores: Mapping[str, float]) -> str | None:
    """Why these scenes cannot tell a count that learns from a guess; None where they can."""
    guess, scenes = scores["k_majority"], scores["scenes"]
    if guess >= 1.0 or scenes >= scenes_needed(guess):
        return None
    return (
        f"{scenes:.0f} validation scenes are too few to tell a count that learns from a guess, so "
        f"no run ends at chance: set validation.scenes to {scenes_needed(guess)} for that"
    )


def one_answer(scores: Mapping[str, float]) -> bool:
    """Whether nearly all scenes get the same count."""
    return scores["count_entropy"] < _ENTROPY_NAT


def near_chance_loss(scores: Mapping[str, float]) -> bool:
    """Whether the probabilities say no more than the frequencies of the counts."""
    # Written so that NaN knows nothing either.
    return not scores["count_nll"] < _NEAR * scores["count_nll_chance"]


class ChanceGuard:
    """Ends a run whose count has been at chance for some judged epochs of one phase.

    Where the scenes are too few to tell, the epochs are counted and none ends the run.
    """

    def __init__(self, epochs: int = 5, row: int = 0, phase: Phase | None = None) -> None:
        """Bear some, but not so many in a row.

        Args:
            epochs: The number at which it is enough.
            row: How many an earlier attempt of the run ended with.
            phase: In which they were.
        """
        self._epochs = epochs
        self._row = row
        self._phase = phase

    def look(self, event: Event) -> Iterator[Reading]:
        """How many epochs in a row; those that do not weigh the count are left out."""
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
