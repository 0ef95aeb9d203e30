"""Promotes a version and rolls it back: everything is written before the alias moves, in one step.

A version is created `pending`, with all its tags, before the alias moves; that move is the commit.
A process that dies before it leaves the alias as it was, and a pending version that the next
promotion deletes. A process that dies after it has promoted: the next promotion sets the tags that
are missing. Only one promotion at a time: the caller holds the registry's lock.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.registry.model_registry import FORMER, PENDING, PREVIOUS, STATE, Registry, Version

CHAMPION: Final = "champion"
"""The alias that others load."""
ROLLED_BACK: Final = "risexp.rolled_back"
"""Tag of a version that was rolled back: by which user and when."""

Step = Literal["tidied", "logged", "created", "checked", "moved", "named", "settled"]
STEPS: Final[tuple[Step, ...]] = get_args(Step)
"""Steps of a promotion, in their order; it may die after any of them."""
OnStep = Callable[[Step], None]


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


def promote(
    registry: Registry,
    promotion: Promotion,
    *,
    exclusive: bool,
    on_step: OnStep = lambda _: None,
) -> Version:
    """Create a version and move the alias to it; `exclusive` if a lock keeps all others out."""
    _expect_champion(registry, promotion)
    tidy(registry, promotion.name, exclusive=exclusive)
    on_step("tidied")
    source = registry.log(promotion.run_id, promotion.folder, promotion.place)
    on_step("logged")
    previous = "" if promotion.champion is None else str(promotion.champion)
    tags = {**promotion.tags, STATE: PENDING, PREVIOUS: previous}
    made = registry.create(promotion.name, source, promotion.run_id, tags, promotion.card)
    try:
        on_step("created")
        _expect_champion(registry, promotion)
        on_step("checked")
        registry.set_alias(promotion.name, promotion.alias, made.number)
    except BaseException:
        # Whether the move was carried out may be unknown: an answer can be lost.
        if registry.aliases(promotion.name).get(promotion.alias) != made.number:
            registry.delete(made)
        raise
    on_step("moved")
    _finish(registry, promotion, made, on_step)
    on_step("settled")
    now = registry.aliases(promotion.name).get(promotion.alias)
    if now != made.number:
        raise EnvironmentFailed(
            f"version {made.number} of {promotion.name} was {promotion.alias} for a moment, and "
            f"now version {now} is: another promotion ran at the same time; see `risexp models "
            f"show {promotion.name}`"
        )
    return registry.version(promotion.name, made.number)


def _finish(registry: Registry, promotion: Promotion, made: Version, on_step: OnStep) -> None:
    """Set the alias and the tags that follow from the move."""
    try:
        _name_previous(registry, promotion.name, promotion.alias, promotion.champion)
        on_step("named")
        _settle(registry, made, promotion.alias, promotion.champion)
    except Exception as error:
        raise EnvironmentFailed(
            f"version {made.number} of {promotion.name} is {promotion.alias}, but its tags could "
            f"not be set ({error}): the next promotion sets them"
        ) from error


def roll_back(
    registry: Registry,
    name: str,
    alias: str,
    by: str,
    on_step: OnStep = lambda _: None,
) -> tuple[Version, Version]:
    """Give an alias back to the version that had it before.

    Raises:
        InvalidInput: No version has the alias, none had it before, or that one was deleted.
        ModelRefused: The version that had it before cannot be loaded.
    """
    now = registry.at(name, alias)
    if now is None:
        raise InvalidInput(f"no version of {name} is {alias}: there is nothing to roll back")
    if now.previous is None:
        raise InvalidInput(
            f"version {now.number} of {name} is the first that was {alias}: there is none to go "
            "back to"
        )
    before = registry.version(name, now.previous)
    registry.load(before)
    # Tags come before the move: a former champion is never taken for an abandoned version.
    registry.tag(now, ROLLED_BACK, by)
    registry.tag(now, STATE, FORMER)
    registry.set_alias(name, alias, before.number)
    on_step("moved")
    _name_previous(registry, name, alias, before.previous)
    on_step("named")
    _settle(registry, before, alias, now.number)
    on_step("settled")
    return now, registry.version(name, before.number)


def tidy(registry: Registry, name: str, *, exclusive: bool) -> tuple[int, ...]:
    """Delete abandoned versions, and set the tags that an interrupted promotion did not set.

    Unless it is `exclusive`, versions younger than a day stay: their promotion may go on.
    """
    deleted, recent_ms = list[int](), 1e3 * (time.time() - _ABANDONED_S)
    versions = registry.versions(name)
    known = {version.previous for version in versions}
    for version in versions:
        if version.abandoned and (exclusive or version.created_ms < recent_ms):
            # Deleting a version deletes its aliases: another process may just have set one.
            if version.number not in known | {*registry.aliases(name).values()}:
                registry.delete(version)
                deleted.append(version.number)
        elif version.tags.get(STATE) == PENDING and version.aliases:
            for alias in _own(version.aliases):
                _settle(registry, version, alias, version.previous)
                _name_previous(registry, name, alias, version.previous)
    return tuple(deleted)


def previous_of(alias: str) -> str:
    """The alias of the version that had another alias before."""
    return "previous" if alias == CHAMPION else f"previous-{alias}"


_ABANDONED_S: Final = 86_400.0


def _own(aliases: tuple[str, ...]) -> list[str]:
    return [alias for alias in aliases if alias != "previous" and not alias.startswith("previous-")]


def _expect_champion(registry: Registry, promotion: Promotion) -> None:
    now = registry.aliases(promotion.name).get(promotion.alias)
    if now == promotion.champion:
        return
    was = "there was none" if promotion.champion is None else f"it was version {promotion.champion}"
    is_now = "there is none" if now is None else f"version {now} is"
    raise EnvironmentFailed(
        f"{is_now} the {promotion.alias} of {promotion.name} now, and when the candidate was "
        f"judged {was}: nothing was promoted; run the command again to be judged beside it"
    )


def _name_previous(registry: Registry, name: str, alias: str, number: int | None) -> None:
    """Move `previous`, for people to read; a rollback follows the version's own tag."""
    if number is not None and registry.find(name, number) is not None:
        registry.set_alias(name, previous_of(alias), number)
    elif previous_of(alias) in registry.aliases(name):
        registry.delete_alias(name, previous_of(alias))


def _settle(registry: Registry, version: Version, alias: str, former: int | None) -> None:
    before = None if former is None else registry.find(version.name, former)
    if before is not None and not _own(before.aliases):
        registry.tag(before, STATE, FORMER)
    registry.tag(version, STATE, alias)
