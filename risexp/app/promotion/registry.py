"""The registry of a store, opened for a command; what its names have to be like."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from risexp.errors import EnvironmentFailed, InvalidInput, RisexpError
from risexp.tracking.schema import tables_of
from risexp.tracking.stores import Failure, TrackingStore, attempt, chosen_store, in_environment

if TYPE_CHECKING:
    from risexp.registry.versions import Registry

MODEL: Final = "ris-localizer"
"""What models are called unless told otherwise."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ALIAS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
_NOT_AN_ALIAS: Final = re.compile(r"latest|v\d+|previous(-.*)?", re.IGNORECASE)

T = TypeVar("T")


@contextmanager
def registry_of(option: str | None) -> Iterator["Registry"]:
    """The registry of a store, for as long as it is talked to.

    Raises:
        InvalidInput: Tracking is off, or nothing was ever recorded there.
        EnvironmentFailed: It does not answer.
    """
    store = chosen_store(option)
    if store is None:
        raise InvalidInput("tracking is off, and models are kept where runs are: name a store")
    with in_environment(store):
        _expect_tables(store)
        from risexp.registry.versions import Registry

        yield Registry(store)


def asked(store: TrackingStore, question: Callable[[], T]) -> T:
    """What a store answers; whatever else fails there becomes one sentence.

    Raises:
        EnvironmentFailed: It does not answer, or cannot.
    """
    answer = attempt(question)
    if not isinstance(answer, Failure):
        return answer
    if isinstance(answer.error, RisexpError):
        raise answer.error
    raise EnvironmentFailed(f"the registry of {store.name} failed: {answer.sentence}")


def expect_model_name(name: str) -> None:
    """Check what a model is to be called.

    Raises:
        InvalidInput: A model cannot be called so.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name of a model: use letters, digits, and . _ -")


def expect_alias(alias: str) -> None:
    """Check an alias that is to be moved.

    Raises:
        InvalidInput: It is none, or one that others keep.
    """
    if not _ALIAS.fullmatch(alias) or _NOT_AN_ALIAS.fullmatch(alias):
        raise InvalidInput(
            f"{alias!r} is no alias to promote to: use letters, digits, _ and -, and neither "
            "latest, previous nor v and a number"
        )


def _expect_tables(store: TrackingStore) -> None:
    found = asked(store, partial(tables_of, store))
    if found == "missing":
        raise InvalidInput(f"the store {store.name} has no models: nothing was recorded in it yet")
    if found == "other":
        raise InvalidInput(
            f"the store {store.name} was made by another version of MLflow: `risexp doctor` says "
            "what to do"
        )
