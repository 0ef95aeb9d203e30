"""Repeats storage calls, for minutes, while a database is away, locked or starting."""

import logging
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
    PendingRollbackError,
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
"""Database messages of errors that waiting does not cure."""

_FULL: Final = ("disk is full", "no space left")
"""Words of SQLite and PostgreSQL on a full disk; they pass once there is room."""

RAISED: Final = (SQLAlchemyError, StorageInternalError)
"""Errors of calls to the database."""

_RANDOM: Final = SystemRandom()
_LOG: Final = logging.getLogger(__name__)
_FIRST_S: Final = 0.05
_LONGEST_S: Final = 5.0
"""Longest wait between two calls; shorter than the time between two renewals of a lease."""
_SILENT_S: Final = 5.0
"""After this time a warning says what is waited for."""


def kind_of(error: BaseException) -> Kind:
    """Whether an error passes with time, lasts, or is not the database's."""
    cause = _cause(error)
    # Optuna reads on in a session whose connection has just been lost.
    if isinstance(cause, PoolTimeoutError | PendingRollbackError):
        return "passing"
    if not isinstance(cause, DatabaseError | InterfaceError):
        return "other"
    if any(words in str(cause.orig).lower() for words in LASTING):
        return "lasting"
    away = cause.connection_invalidated or isinstance(cause, OperationalError | InterfaceError)
    return "passing" if away else "other"


def first_line(error: BaseException) -> str:
    """The first line of the database's message, without the statement."""
    cause = _cause(error)
    message = str(cause.orig if isinstance(cause, DBAPIError) else cause).strip()
    return message.splitlines()[0] if message else type(cause).__name__


@dataclass(frozen=True)
class Retry:
    """Repeats a call until it is answered, or the time limit is over.

    It must be possible to make the call twice: its answer may be lost after it took effect.
    """

    name: str
    """Name of the store, without a password."""
    limit_s: float = 600.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    pid: int = field(default_factory=os.getpid)

    def __call__(self, call: Callable[[], T]) -> T:
        """Make the call, and again while its error passes."""
        self._expect_own_process()
        begin, wait, silent = self.clock(), _FIRST_S, True
        while True:
            try:
                return call()
            except RAISED as error:
                waited = self.clock() - begin
                self._raise_unless_passing(error, over=waited >= self.limit_s)
                if silent and waited >= _SILENT_S:
                    silent = False
                    self._warn(error)
            self.sleep(wait * _RANDOM.uniform(0.5, 1.0))
            wait = min(2.0 * wait, _LONGEST_S)

    def _raise_unless_passing(self, error: Exception, *, over: bool) -> None:
        kind = kind_of(error)
        if kind == "other" and isinstance(error, StorageInternalError):
            # Of no error of the database a trial is the cause.
            raise EnvironmentFailed(f"{self.name} failed: {first_line(error)}") from error
        if kind == "other":
            raise error
        if kind == "lasting":
            raise EnvironmentFailed(f"{self.name} cannot be used: {first_line(error)}") from error
        if over:
            how, cure = ("has not answered", "start again when it is back")
            if _is_full(error):
                how, cure = ("has had no room on its disk", "make room there and start again")
            raise EnvironmentFailed(
                f"{self.name} {how} for {self.limit_s:g} s ({first_line(error)}): what was stored "
                f"is kept, {cure}"
            ) from error

    def _warn(self, error: Exception) -> None:
        how = "has no room on its disk: make some" if _is_full(error) else "does not answer"
        _LOG.warning("%s %s (%s): trying for %g s", self.name, how, first_line(error), self.limit_s)

    def _expect_own_process(self) -> None:
        if os.getpid() != self.pid:
            raise EnvironmentFailed(
                f"{self.name} was opened by process {self.pid}, and this one is a fork: spawn "
                "processes that open it themselves"
            )


def _is_full(error: BaseException) -> bool:
    return any(words in first_line(error).lower() for words in _FULL)


def _cause(error: BaseException) -> BaseException:
    """The database's error behind Optuna's own."""
    return error.__cause__ or error if isinstance(error, StorageInternalError) else error
