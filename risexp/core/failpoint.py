"""Fail points: named places where a test kills or stops a process; each costs two look-ups."""

import os
import signal
from typing import Final, Literal, get_args

Point = Literal[
    "store.foreign",
    "store.own",
    "study.created",
    "study.described",
    "study.slot",
    "claim.leased",
    "claim.running",
    "suggest.drawn",
    "suggest.recorded",
    "report.renewed",
    "report.written",
    "finish.renewed",
    "finish.noted",
    "finish.told",
    "release.renewed",
    "release.waiting",
    "reap.adopted",
    "reap.buried",
    "reap.noted",
    "reap.returned",
]
"""The step of a trial, and the last write of it that is done."""
PromotionPoint = Literal[
    "promote.judged",
    "promote.recorded",
    "promote.saved",
    "promote.logged",
    "promote.created",
    "promote.checked",
    "promote.moved",
    "promote.named",
    "promote.settled",
    "rollback.created",
    "rollback.checked",
    "rollback.moved",
    "rollback.named",
    "rollback.settled",
]
"""A step of a promotion or a rollback that is done."""

POINTS: Final[tuple[Point, ...]] = get_args(Point)
PROMOTION_POINTS: Final[tuple[PromotionPoint, ...]] = get_args(PromotionPoint)

CRASH_AT: Final = "RISEXP_CRASH_AT"
"""The environment variable that names where the process kills itself."""
STOP_AT: Final = "RISEXP_STOP_AT"
"""The environment variable that names where it stops until it gets SIGCONT."""


def failpoint(point: Point | PromotionPoint) -> None:
    """Pass a point; one that is armed fires once."""
    for variable, number in ((CRASH_AT, signal.SIGKILL), (STOP_AT, signal.SIGSTOP)):
        if os.environ.get(variable) == point:
            del os.environ[variable]
            os.kill(os.getpid(), number)
