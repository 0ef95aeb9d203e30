"""Once: a check read `-score < 0.5`, which no score between 0 and 1 can fail; it always passed."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from risexp.callbacks.guards import EpochGuard, Guard, LeakGuard, PlanGuard, Reading
from risexp.callbacks.learning_guards import BlendGuard, ChanceGuard, GradientGuard
from risexp.runs.metrics import GUARDS
from risexp.training.epoch_checks import Limits
from risexp.training.events import EpochEnded, Event
from tests.support.recorded_runs import (
    DEAD,
    SCORES,
    ended_of,
    joint,
    plan_of,
    plans_of,
    started_of,
)

SOUND = ended_of(plan_of(1))
STARTED = started_of(joint(1))
EPOCH = EpochGuard(Limits(refused_share=0.05))
UNTOUCHED = GradientGuard(lambda: {"backbone": ("a.weight",)}, plans_of("joint"))


def steps(**changes: object) -> EpochEnded:
    return replace(SOUND, steps=replace(SOUND.steps, **changes))  # type: ignore[arg-type]


def refused(count: int) -> EpochEnded:
    """So many of a thousand steps are refused."""
    return steps(batches=1000, taken=1000 - count, refused=tuple(range(count)))


def moved(backbone: float) -> EpochEnded:
    return steps(moved={"backbone": backbone, "heads": 1.0})


def losses(**changes: object) -> EpochEnded:
    return replace(SOUND, losses=replace(SOUND.losses, **changes))  # type: ignore[arg-type]


def cov(value: float) -> EpochEnded:
    return losses(raw={**SOUND.losses.raw, "cov": value})


def weighted(count: float) -> EpochEnded:
    """The term `count` adds this to the total."""
    due = SOUND.losses.weighted
    return losses(weighted={**due, "count": count}, total=SOUND.losses.total + count - due["count"])


def blended(beta: float, effect: float = 1.0) -> EpochEnded:
    return ended_of(plan_of(1, beta=beta), {**SCORES, "blend_effect": effect})


def counted(k_acc: float) -> EpochEnded:
    return ended_of(plan_of(1), {**DEAD, "k_acc": k_acc})


def shared(*marks: bytes) -> LeakGuard:
    return LeakGuard({"training": lambda: marks, "validation": lambda: [b"a"]})


SIDES: Mapping[str, tuple[Guard, Event, Event]] = {
    "steps": (EPOCH, SOUND, steps(taken=3)),
    "refused": (EPOCH, refused(50), refused(51)),
    "moved": (EPOCH, moved(1e-12), moved(0.0)),
    "weights": (EPOCH, SOUND, moved(float("nan"))),
    "average": (EPOCH, steps(average_distance=1e-12), steps(average_distance=0.0)),
    "loss": (EPOCH, SOUND, losses(total=0.0)),
    "covariance": (EPOCH, cov(99.9), cov(100.0)),
    "plan": (EPOCH, SOUND, weighted(0.05 * 1.25)),
    "curriculum": (PlanGuard(plans_of("joint")), SOUND, blended(1e-9)),
    "gradient": (UNTOUCHED, steps(total=9), steps(total=10)),
    "blend": (BlendGuard(), blended(0.5, 0.51e-3), blended(0.5, 0.49e-3)),
    "chance": (ChanceGuard(epochs=1), counted(0.2428), counted(0.2427)),
}
"""For every guard but the one of leaks an event just within its limit, and one just beyond."""


def fires(guard: Guard, event: Event, name: str) -> bool:
    (found,) = (each for each in guard.look(event) if each.guard == name)
    return found.fault is not None


class Useless:
    """Plant the fault: the sign is wrong, and the limit is in no unit of what is measured."""

    def look(self, event: Event) -> Iterator[Reading]:
        assert isinstance(event, EpochEnded)
        sound = -event.scores["k_acc"] < 0.5
        yield Reading("useless", event.scores["k_acc"], None if sound else "it is at chance")


@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_tells_the_two_sides_of_its_limit_apart(name: str) -> None:
    if name == "leak":
        found = [fires(shared(*marks), STARTED, name) for marks in ((b"b",), (b"a", b"b"))]
    else:
        guard, *events = SIDES[name]
        found = [fires(guard, event, name) for event in events]

    assert [False, True] == found
    assert GUARDS[name].unit in {"faults", "parameters", "epochs", "marks", ""}


def test_a_guard_that_cannot_fail_would_be_seen() -> None:
    assert {False} == {fires(Useless(), counted(share / 10.0), "useless") for share in range(11)}
