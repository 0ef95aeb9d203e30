"""Steps of promotions and rollbacks at which a test acts, or lets them die, in its own process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from risexp.core.failpoint import PROMOTION_POINTS, PromotionPoint
from risexp.registry import promotion as module
from risexp.registry.model_registry import Registry, Version
from risexp.registry.promotion import roll_back
from risexp.tracking.stores import TrackingStore
from tests.support.promotions import NAME

_MOVED = PROMOTION_POINTS.index("promote.moved")
STEPS = PROMOTION_POINTS[PROMOTION_POINTS.index("promote.logged") :][:6]
"""Steps of a promotion at the registry."""
BEFORE = PROMOTION_POINTS[:_MOVED]
"""Steps at which nothing is promoted yet."""
BACK = tuple(point for point in PROMOTION_POINTS if point.startswith("rollback."))
"""Steps of a rollback."""

OnStep = Callable[[PromotionPoint], None]


class PromoteNext(Protocol):
    """Promotes the next version beside the current champion, or another one."""

    def __call__(self, on_step: OnStep = ..., *beside: int | None) -> Version: ...


def back(registry: Registry, *, exclusive: bool = True) -> tuple[Version, Version]:
    """Roll back as a user does."""
    return roll_back(registry, NAME, "champion", "a user", exclusive=exclusive)


@contextmanager
def passing(on_step: OnStep) -> Iterator[None]:
    """Call a function at each step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "failpoint", on_step)
        yield


def at(step: PromotionPoint, action: Callable[[], object]) -> OnStep:
    """Act once, at a step."""
    left = [step]

    def on_step(now: PromotionPoint) -> None:
        if now in left:
            left.remove(now)
            action()

    return on_step


class Died(BaseException):
    """The process is gone."""


class NoClient:
    """Sends nothing: the process that had the connection is gone."""

    def __getattr__(self, _: str) -> object:
        raise Died


def die_at(step: PromotionPoint, store: TrackingStore, move: Callable[[Registry], object]) -> None:
    """Promote or roll back to a step, after which no request reaches the store any more."""
    registry = Registry(store)

    def die() -> None:
        registry._client = NoClient()  # type: ignore[assignment]
        raise Died

    with pytest.raises(Died), passing(at(step, die)):
        move(registry)


@contextmanager
def in_another_home(tmp_path: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISEXP_HOME", str(tmp_path / "other"))
        yield
