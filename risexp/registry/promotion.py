"""Promotes a version and rolls it back: everything is written before the alias moves, in one step.

A version is created `pending`, with all its tags, before the alias moves; that move is the commit.
A process that dies before it leaves the alias as it was, and a pending version that the next
promotion deletes. A process that dies after it has promoted: the next promotion sets the tags that
are missing. Only one promotion at a time: in a home by its lock, which the caller holds; between
homes by the order of their pending versions.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from risexp.core.failpoint import failpoint
from risexp.core.home import home_id
from risexp.core.signals import signals_held
from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.registry.model_registry import FORMER, PENDING, PREVIOUS, STATE, Registry, Version
from risexp.registry.pending import (
    HOME,
    expect_turn,
    name_previous,
    settle,
    tidy,
    withdrawn_on_failure,
)

ROLLED_BACK: Final = "risexp.rolled_back"
"""Tag of a version that was rolled back: by which user and when."""


@dataclass(frozen=True)
class Promotion:
    """A model folder that becomes the version with an alias."""

    name: str
    alias: str
    champion: int | None
    """The version that had the alias when the candidate was judged against it; None if none had."""
    run_id: str
    """MLflow's id of the candidate's run."""
    folder: Path
    """The model, as MLflow loads it."""
    place: str
    """Its path among the run's artifacts."""
    tags: Mapping[str, str]
    card: str


def promote(registry: Registry, promotion: Promotion, *, exclusive: bool) -> Version:
    """Create a version and move the alias to it; `exclusive` if a lock keeps all homes out."""
    name, alias, champion = promotion.name, promotion.alias, promotion.champion
    _expect_champion(registry, promotion)
    source = registry.log(promotion.run_id, promotion.folder, promotion.place)
    failpoint("promote.logged")
    previous = "" if champion is None else str(champion)
    tags = {**promotion.tags, STATE: PENDING, PREVIOUS: previous, HOME: home_id()}
    made = registry.create(name, source, promotion.run_id, tags, promotion.card)
    with withdrawn_on_failure(registry, made, alias, made.number):
        failpoint("promote.created")
        expect_turn(registry, made, exclusive=exclusive)
        _expect_champion(registry, promotion)
        failpoint("promote.checked")
    with signals_held():
        with withdrawn_on_failure(registry, made, alias, made.number):
            registry.set_alias(name, alias, made.number)
        failpoint("promote.moved")
        with _holds_already(made, alias):
            name_previous(registry, name, alias, champion)
            failpoint("promote.named")
            settle(registry, made, alias, champion)
            failpoint("promote.settled")
            made = registry.version(name, made.number)
    return made


def roll_back(
    registry: Registry, name: str, alias: str, by: str, *, exclusive: bool
) -> tuple[Version, Version]:
    """Give an alias back to the version that had it before.

    A rollback that was interrupted after its move is finished, and goes back no further.

    Raises:
        InvalidInput: No version has the alias, none had it before, or that one was deleted.
        ModelRefused: The version that had it before cannot be loaded.
    """
    now = registry.at(name, alias)
    if now is None:
        raise InvalidInput(f"no version of {name} is {alias}: there is nothing to roll back")
    if (was := _rolled_back_to(registry, now)) is not None:
        _finish_rollback(registry, was, now, alias, by)
        tidy(registry, name, exclusive=exclusive)
        return was, registry.version(name, now.number)
    tidy(registry, name, exclusive=exclusive)
    if now.previous is None:
        raise InvalidInput(
            f"version {now.number} of {name} is the first that was {alias}: there is none to go "
            "back to"
        )
    before = registry.version(name, now.previous)
    registry.load(before)
    _move_back(registry, now, before, alias, by, exclusive=exclusive)
    return now, registry.version(name, before.number)


def _move_back(
    registry: Registry, now: Version, before: Version, alias: str, by: str, *, exclusive: bool
) -> None:
    """Move an alias from one version to another, if no promotion is running."""
    name = now.name
    # A version of its own, so that promotions in other homes see the rollback, and it sees them.
    tags = {STATE: PENDING, HOME: home_id(), "risexp.promoted_by": by}
    turn = registry.create(name, before.address, before.run_id, tags, "")
    with signals_held():
        with withdrawn_on_failure(registry, turn, alias, turn.number):
            failpoint("rollback.created")
            expect_turn(registry, turn, exclusive=exclusive)
            if (there := registry.at(name, alias)) is None or there.number != now.number:
                raise EnvironmentFailed(
                    f"version {now.number} of {name} is not {alias} any more: nothing was "
                    "changed; run the command again"
                )
            failpoint("rollback.checked")
        with withdrawn_on_failure(registry, turn, alias, before.number):
            registry.set_alias(name, alias, before.number)
        failpoint("rollback.moved")
        with _holds_already(before, alias):
            registry.delete(turn)
            _finish_rollback(registry, now, before, alias, by)


def _finish_rollback(
    registry: Registry, was: Version, version: Version, alias: str, by: str
) -> None:
    """Set the tags that follow from the move; that of the version with the alias comes last."""
    registry.tag(was, ROLLED_BACK, by)
    name_previous(registry, version.name, alias, version.previous)
    failpoint("rollback.named")
    settle(registry, version, alias, was.number)
    failpoint("rollback.settled")


def _rolled_back_to(registry: Registry, now: Version) -> Version | None:
    """The version that an interrupted rollback took an alias from, if it gave it to this one."""
    if now.tags.get(STATE) != FORMER:
        return None
    later = [
        each
        for each in registry.versions(now.name)
        if each.previous == now.number and not each.abandoned
    ]
    return later[0] if later else None


@contextmanager
def _holds_already(made: Version, alias: str) -> Iterator[None]:
    """Say that the alias has moved though the last steps failed."""
    try:
        yield
    except Exception as error:
        raise EnvironmentFailed(
            f"version {made.number} of {made.name} is {alias}, but its tags could not be set "
            f"({error}): the next promotion or rollback sets them"
        ) from error


def _expect_champion(registry: Registry, promotion: Promotion) -> None:
    now = registry.at(promotion.name, promotion.alias)
    if (None if now is None else now.number) == promotion.champion:
        return
    was = "there was none" if promotion.champion is None else f"it was version {promotion.champion}"
    is_now = "there is none" if now is None else f"version {now.number} is"
    raise EnvironmentFailed(
        f"{is_now} the {promotion.alias} of {promotion.name} now, and when the candidate was "
        f"judged {was}: nothing was promoted; run the command again to be judged beside it"
    )
