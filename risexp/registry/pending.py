"""Pending versions: which promotion may move an alias, and what interrupted ones left behind.

A server gives version numbers in their order, each once. So of several promotions the one whose
pending version has the lowest number goes on, and all others see it and give up. This works where
no lock reaches: between homes that share only a tracking server. A promotion that is over without
having said so loses its version first: an alias of a version that was deleted counts for nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from risexp.core.home import home_id
from risexp.errors import EnvironmentFailed
from risexp.registry.model_registry import FORMER, PENDING, STATE, Registry, Version

CHAMPION: Final = "champion"
"""The alias that others load."""
HOME: Final = "risexp.home"
"""Tag of a version: the identity of the home that promoted it, where one promotes at a time."""
_OVER_MS: Final = 600_000.0
"""Age of a pending version of another home that is taken for abandoned, by the server's clock."""


def expect_turn(registry: Registry, own: Version, *, exclusive: bool) -> None:
    """Check that no other promotion that started before this one is going on.

    Raises:
        EnvironmentFailed: One is going on, in another home.
    """
    for rival in tidy(registry, own.name, exclusive=exclusive, before=own):
        raise EnvironmentFailed(
            f"another promotion or rollback of {own.name} is running (version {rival.number}, by "
            f"{rival.tags.get('risexp.promoted_by', 'another home')}): nothing was changed; run "
            f"the command again when it has ended; after {_OVER_MS / 60_000.0:.0f} minutes it "
            "counts as interrupted"
        )


def tidy(
    registry: Registry, name: str, *, exclusive: bool, before: Version | None = None
) -> tuple[Version, ...]:
    """Delete abandoned versions, and set the tags that an interrupted promotion did not set.

    Args:
        registry: Where the versions are.
        name: Of the model.
        exclusive: True if a lock keeps all other homes out, so that no pending version is at work.
        before: Look at the versions before this one only; its time is the server's.

    Returns:
        Pending versions that other homes may be at work on; then nothing was changed.
    """
    every = registry.versions(name)
    versions = [each for each in every if before is None or each.number < before.number]
    pending = [each for each in versions if each.tags.get(STATE) == PENDING]
    working = tuple(each for each in pending if not (exclusive or _is_over(each, before)))
    if working:
        return working
    known = {version.previous for version in every}
    for version in pending:
        if version.abandoned:
            _take_away(registry, version, known)
        for alias in _own(version.aliases):
            name_previous(registry, name, alias, version.previous)
            settle(registry, version, alias, version.previous)
    return ()


@contextmanager
def withdrawn_on_failure(
    registry: Registry, made: Version, alias: str, number: int
) -> Iterator[None]:
    """Delete a pending version if the body fails before the version `number` has the alias.

    If the alias moved and only the server's answer was lost, the body has not failed.
    """
    try:
        yield
    except BaseException as error:
        try:
            moved = registry.aliases(made.name).get(alias) == number
            if not moved:
                registry.delete(made)
        except EnvironmentFailed:
            raise EnvironmentFailed(
                f"{str(error) or 'interrupted'}; version {made.number} of {made.name} may be left "
                f"pending, or version {number} be {alias}: run the command again, which finishes "
                "or deletes it"
            ) from error
        if not moved or not isinstance(error, Exception):
            raise


def previous_of(alias: str) -> str:
    """The alias of the version that had another alias before."""
    return "previous" if alias == CHAMPION else f"previous-{alias}"


def name_previous(registry: Registry, name: str, alias: str, number: int | None) -> None:
    """Move `previous`, for people to read; a rollback follows the version's own tag."""
    if number is not None and registry.find(name, number) is not None:
        registry.set_alias(name, previous_of(alias), number)
    elif previous_of(alias) in registry.aliases(name):
        registry.delete_alias(name, previous_of(alias))


def settle(registry: Registry, version: Version, alias: str, former: int | None) -> None:
    """Set the tags of the version that has an alias, and of the one that had it."""
    before = None if former is None else registry.find(version.name, former)
    if before is not None and not _own(before.aliases):
        registry.tag(before, STATE, FORMER)
    registry.tag(version, STATE, alias)


def _is_over(version: Version, now: Version | None) -> bool:
    """True if the promotion that made a pending version cannot be at work any more."""
    old = now is not None and now.created_ms - version.created_ms > _OVER_MS
    return old or version.tags.get(HOME) == home_id()


def _take_away(registry: Registry, version: Version, known: set[int | None]) -> None:
    """Delete an abandoned version; one that was a champion before another stays."""
    if version.number in known:
        registry.tag(version, STATE, FORMER)
    # Deleting a version deletes its aliases: another process may just have set one.
    elif version.number not in registry.aliases(version.name).values():
        registry.delete(version)


def _own(aliases: tuple[str, ...]) -> list[str]:
    return [alias for alias in aliases if alias != "previous" and not alias.startswith("previous-")]
