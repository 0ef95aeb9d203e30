"""Storage calls that are made again, for minutes, while a database is away, locked or starting."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Final, Literal, TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from risexp.errors import EnvironmentFailed

T = TypeVar("T")
Kind = Literal["passing", "lasting", "other"]

LASTING: Final = (
    "no such table",
    "no such column",
    "not a database",
    "malformed",
    "readonly database",
    "unable to open database file",
    "authentication failed",
    "permission denied",
    "does not exist",
)
"""What a database says when waiting will not help."""

RAISED: Final = (SQLAlchemyError, StorageInternalError)
"""By whatever talks to the database."""

_RANDOM: Final = SystemRandom()


def kind_of(error: BaseException) -> Kind:
    """Whether an error passes when one waits, lasts, or is none of the database's."""
    cause = _cause(error)
    if isinstance(cause, PoolTimeoutError):
        return "passing"
    if not isinstance(cause, DatabaseError | InterfaceError):
        return "other"
    if any(words in str(cause.orig).lower() for words in LASTING):
        return "lasting"
    away = cause.connection_invalidated or isinstance(cause, OperationalError | InterfaceError)
    return "passing" if away else "other"


def first_line(error: BaseException) -> str:
    """What the database said, without the statement it said it about."""
    cause = _cause(error)
    said = str(cause.orig if isinstance(cause, DBAPIError) else cause).strip()
    return said.splitlines()[0] if said else type(cause).__name__


@dataclass(frozen=True)
class Retry:
    """Makes a call again until it is answered, or the limit of time is over.

    A call must be one that can be made twice: its answer may be lost after it was obeyed.
    """

    name: str
    """Of the store, without a password."""
    limit_s: float = 600.0
    first_s: float = 0.05
    longest_s: float = 5.0
    """Shorter than the time between two renewals of a lease."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    tell: Callable[[str], object] = lambda _: None
    """Told one sentence a call, once the waits are at their longest."""
    pid: int = field(default_factory=os.getpid)

    def __call__(self, call: Callable[[], T]) -> T:
        """The call's answer.

        Raises:
            EnvironmentFailed: The database refuses for good, or has been away for too long.
        """
        self._expect_own_process()
        end, wait = self.clock() + self.limit_s, self.first_s
        while True:
            try:
                return call()
            except RAISED as error:
                self._bear(error, over=self.clock() >= end)
                said = first_line(error)
            self.sleep(wait * _RANDOM.uniform(0.5, 1.0))
            if wait < self.longest_s <= 2.0 * wait:
                self.tell(f"{self.name} does not answer ({said}); trying on")
            wait = min(2.0 * wait, self.longest_s)

    def _bear(self, error: Exception, *, over: bool) -> None:
        kind = kind_of(error)
        if kind == "other":
            raise error
        if kind == "lasting":
            raise EnvironmentFailed(f"{self.name} cannot be used: {first_line(error)}") from error
        if over:
            raise EnvironmentFailed(
                f"{self.name} has not answered for {self.limit_s:g} s ({first_line(error)}): what "
                "was stored is kept, start again when it is back"
            ) from error

    def _expect_own_process(self) -> None:
        if os.getpid() != self.pid:
            raise EnvironmentFailed(
                f"{self.name} was opened by process {self.pid}, of which this one is a fork: spawn "
                "processes, and open it in each"
            )


def _cause(error: BaseException) -> BaseException:
    """What is behind Optuna's own error, where it is one."""
    hides = isinstance(error, StorageInternalError) and error.__cause__ is not None
    return error.__cause__ or error if hides else error
