"""Once: a check read `-score < 0.5`, which no score between 0 and 1 can fail; it always passed."""

from collections.abc import Callable, Iterator, Mapping
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
    steps_of,
)

SOUND = ended_of(plan_of(1))
ACCOUNTS = EpochGuard(Limits(refused_share=0.05))


def steps(**changes: object) -> EpochEnded:
    return replace(SOUND, steps=replace(steps_of(1), **changes))  # type: ignore[arg-type]


def refused(share: float) -> EpochEnded:
    count = round(share * 1000)
    return steps(batches=1000, taken=1000 - count, refused=tuple(range(count)))


def blended(effect: float) -> EpochEnded:
    return ended_of(plan_of(1, beta=0.5), {**SCORES, "blend_effect": effect})


def counted(scores: Mapping[str, float], **changes: float) -> EpochEnded:
    return ended_of(plan_of(1), {**scores, **changes})


def losses(**changes: object) -> EpochEnded:
    return replace(SOUND, losses=replace(SOUND.losses, **changes))  # type: ignore[arg-type]


def cov(value: float) -> EpochEnded:
    return losses(raw={**SOUND.losses.raw, "cov": value})


def untouched(*names: str) -> GradientGuard:
    return GradientGuard(lambda: {"backbone": names}, plans_of("joint"))


def shared(*marks: bytes) -> LeakGuard:
    return LeakGuard({"training": lambda: marks, "validation": lambda: [b"a"]})


Side = tuple[Callable[[], Guard], Event]
SIDES: Mapping[str, tuple[Side, Side]] = {
    "steps": ((lambda: ACCOUNTS, SOUND), (lambda: ACCOUNTS, steps(taken=3))),
    "refused": ((lambda: ACCOUNTS, refused(0.050)), (lambda: ACCOUNTS, refused(0.051))),
    "moved": (
        (lambda: ACCOUNTS, steps(moved={"backbone": 1e-12, "heads": 1.0})),
        (lambda: ACCOUNTS, steps(moved={"backbone": 0.0, "heads": 1.0})),
    ),
    "weights": (
        (lambda: ACCOUNTS, SOUND),
        (lambda: ACCOUNTS, steps(moved={"backbone": float("nan"), "heads": 1.0})),
    ),
    "average": (
        (lambda: ACCOUNTS, steps(average_distance=1e-12)),
        (lambda: ACCOUNTS, steps(average_distance=0.0)),
    ),
    "loss": ((lambda: ACCOUNTS, SOUND), (lambda: ACCOUNTS, losses(total=0.0))),
    "covariance": ((lambda: ACCOUNTS, cov(99.9)), (lambda: ACCOUNTS, cov(100.0))),
    "plan": (
        (lambda: ACCOUNTS, SOUND),
        (
            lambda: ACCOUNTS,
            losses(
                weighted={**SOUND.losses.weighted, "count": 0.05 * 1.25},
                total=SOUND.losses.total - 0.95 * 1.25,
            ),
        ),
    ),
    "curriculum": (
        (lambda: PlanGuard(plans_of("joint")), SOUND),
        (
            lambda: PlanGuard(plans_of("joint")),
            ended_of(plan_of(1, beta=1e-9), blended(1.0).scores),
        ),
    ),
    "gradient": (
        (lambda: untouched("a.weight"), steps(total=9)),
        (lambda: untouched("a.weight"), steps(total=10)),
    ),
    "blend": ((BlendGuard, blended(0.51e-3)), (BlendGuard, blended(0.49e-3))),
    "chance": (
        (lambda: ChanceGuard(epochs=1), counted(DEAD, k_acc=0.2428)),
        (lambda: ChanceGuard(epochs=1), counted(DEAD, k_acc=0.2427)),
    ),
    "leak": (
        (lambda: shared(b"b"), started_of(joint(1))),
        (lambda: shared(b"a", b"b"), started_of(joint(1))),
    ),
}
"""For every guard an event just within its limit, and one just beyond."""


def fires(side: Side, name: str) -> bool:
    make, event = side
    found = [each for each in make().look(event) if each.guard == name]
    assert 1 == len(found)
    return found[0].fault is not None


class Useless:
    """Plant the fault: the sign is wrong, and the limit is in no unit of what is measured."""

    def look(self, event: Event) -> Iterator[Reading]:
        if isinstance(event, EpochEnded):
            sound = -event.scores["k_acc"] < 0.5
            yield Reading("useless", event.scores["k_acc"], None if sound else "it is at chance")


def test_there_is_no_guard_without_both_sides_of_its_limit() -> None:
    assert GUARDS.keys() == SIDES.keys()


@pytest.mark.parametrize("name", SIDES)
def test_a_guard_tells_the_two_sides_of_its_limit_apart(name: str) -> None:
    within, beyond = SIDES[name]

    assert [False, True] == [fires(within, name), fires(beyond, name)]


def test_a_guard_that_cannot_fail_would_be_seen() -> None:
    everything = [counted(SCORES, k_acc=share / 10.0) for share in range(11)]

    assert {False} == {fires((Useless, event), "useless") for event in everything}


@pytest.mark.parametrize("name", GUARDS)
def test_what_a_guard_measures_has_a_unit_or_is_a_pure_number(name: str) -> None:
    assert GUARDS[name].unit in {"faults", "parameters", "epochs", "marks", ""}
