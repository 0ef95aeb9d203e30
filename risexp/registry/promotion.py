"""How an alias comes to stand for another version: all is there before it moves, in one step.

A version is made `pending`, with everything that is said of it, before the alias moves; that move
is the commit. Whoever dies before it leaves the alias as it was, and a pending version that the
next promotion takes away. Whoever dies after it has promoted: what is said then is said again by
the next. One promotion at a time: whoever calls these holds the registry's lock.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.registry.versions import FORMER, PENDING, PREVIOUS, STATE, Registry, Version

CHAMPION: Final = "champion"
"""The alias that others load."""
ROLLED_BACK: Final = "risexp.rolled_back"
"""Tag of a version that lost its alias to the one before it: by whom and when."""

Step = Literal["tidied", "logged", "created", "checked", "moved", "named", "settled"]
STEPS: Final[tuple[Step, ...]] = (
    "tidied",
    "logged",
    "created",
    "checked",
    "moved",
    "named",
    "settled",
)
"""Moments of a promotion, in their order: it may die after each."""
Reached = Callable[[Step], None]


def _unwatched(_: Step) -> None:
    """Nobody asks how far it is."""


@dataclass(frozen=True)
class Promotion:
    """What is to become the version that an alias stands for."""

    name: str
    """Of the model."""
    alias: str
    champion: int | None
    """The version the alias stood for when the candidate was judged beside it; None for none."""
    run_id: str
    """MLflow's own id of the candidate's run."""
    folder: Path
    """The model, as MLflow loads it."""
    place: str
    """Where it goes among the run's artifacts."""
    tags: Mapping[str, str]
    card: str


def promote(
    registry: Registry,
    wanted: Promotion,
    *,
    alone: bool,
    reached: Reached = _unwatched,
) -> Version:
    """Make a version and let the alias stand for it.

    Args:
        registry: The registry.
        wanted: What is to be promoted.
        alone: Whether the lock keeps everybody out who may write to this registry.
        reached: Told each of `STEPS` as it is reached.

    Raises:
        EnvironmentFailed: The alias stands for another version than the one judged beside.
    """
    _expect_champion(registry, wanted)
    tidy(registry, wanted.name, alone=alone)
    reached("tidied")
    source = registry.log(wanted.run_id, wanted.folder, wanted.place)
    reached("logged")
    previous = "" if wanted.champion is None else str(wanted.champion)
    tags = {**wanted.tags, STATE: PENDING, PREVIOUS: previous}
    made = registry.create(wanted.name, source, wanted.run_id, tags, wanted.card)
    try:
        reached("created")
        _expect_champion(registry, wanted)
        reached("checked")
        registry.point(wanted.name, wanted.alias, made.number)
    except BaseException:
        # Whether the move was carried out may be unknown: an answer can be lost.
        if registry.aliases(wanted.name).get(wanted.alias) != made.number:
            registry.delete(made)
        raise
    reached("moved")
    _finish(registry, wanted, made, reached)
    reached("settled")
    now = registry.aliases(wanted.name).get(wanted.alias)
    if now != made.number:
        raise EnvironmentFailed(
            f"version {made.number} of {wanted.name} was {wanted.alias} for a moment, and now "
            f"version {now} is: somebody else promoted at the same time; see `risexp models show "
            f"{wanted.name}`"
        )
    return registry.version(wanted.name, made.number)


def _finish(registry: Registry, wanted: Promotion, made: Version, reached: Reached) -> None:
    """Say what the move changed.

    Raises:
        EnvironmentFailed: It cannot be said now; the version is promoted all the same.
    """
    try:
        _name_previous(registry, wanted.name, wanted.alias, wanted.champion)
        reached("named")
        _settle(registry, made, wanted.alias, wanted.champion)
    except Exception as error:
        raise EnvironmentFailed(
            f"version {made.number} of {wanted.name} is {wanted.alias}, and others load it; but "
            f"what is said of it could not be finished ({type(error).__name__}): the next "
            "promotion does so"
        ) from error


def roll_back(
    registry: Registry,
    name: str,
    alias: str,
    by: str,
    *,
    expect_sound: Callable[[Version], object],
    reached: Reached = _unwatched,
) -> tuple[Version, Version]:
    """Let an alias stand again for the version that its own version took it from.

    Args:
        registry: The registry.
        name: Of the model.
        alias: Which one.
        by: Who, and when.
        expect_sound: Raises where a version cannot be loaded.
        reached: Told each step as it is reached.

    Returns:
        The version it stood for, and the one it stands for.

    Raises:
        InvalidInput: The alias stands for none, or for the first, or the one before is gone.
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
    expect_sound(before)
    # Said before the move: what was champion once is never taken for what was left pending.
    registry.tag(now, ROLLED_BACK, by)
    registry.tag(now, STATE, FORMER)
    registry.point(name, alias, before.number)
    reached("moved")
    _name_previous(registry, name, alias, before.previous)
    reached("named")
    _settle(registry, before, alias, now.number)
    reached("settled")
    return now, registry.version(name, before.number)


def tidy(registry: Registry, name: str, *, alone: bool) -> tuple[int, ...]:
    """Take away what promotions left pending, and finish what one began to say; their numbers.

    Args:
        registry: The registry.
        name: Of the model.
        alone: Whether nobody else can be promoting; else what is younger than a day stays.
    """
    gone = list[int]()
    versions = registry.versions(name)
    known = {version.previous for version in versions}
    for version in versions:
        if version.abandoned and (alone or _age_s(version) > _PATIENCE_S):
            # Deleting a version takes its aliases with it: somebody may just have moved one here.
            if version.number not in known | {*registry.aliases(name).values()}:
                registry.delete(version)
                gone.append(version.number)
        elif version.tags.get(STATE) == PENDING and version.aliases:
            for alias in _own(version.aliases):
                _settle(registry, version, alias, version.previous)
                _name_previous(registry, name, alias, version.previous)
    return tuple(gone)


def previous_of(alias: str) -> str:
    """The alias of the version that another alias stood for before."""
    return "previous" if alias == CHAMPION else f"previous-{alias}"


_PATIENCE_S: Final = 86_400.0


def _own(aliases: tuple[str, ...]) -> list[str]:
    return [each for each in aliases if each != "previous" and not each.startswith("previous-")]


def _age_s(version: Version) -> float:
    return time.time() - version.created_ms / 1e3


def _expect_champion(registry: Registry, wanted: Promotion) -> None:
    now = registry.aliases(wanted.name).get(wanted.alias)
    if now == wanted.champion:
        return
    was = "there was none" if wanted.champion is None else f"it was version {wanted.champion}"
    is_now = "there is none" if now is None else f"version {now} is"
    raise EnvironmentFailed(
        f"{is_now} the {wanted.alias} of {wanted.name} now, and when the candidate was judged "
        f"{was}: nothing was promoted; run the command again to be judged beside it"
    )


def _name_previous(registry: Registry, name: str, alias: str, number: int | None) -> None:
    """For people: rolling back follows what the version itself says."""
    if number is not None and registry.find(name, number) is not None:
        registry.point(name, previous_of(alias), number)
    elif previous_of(alias) in registry.aliases(name):
        registry.unpoint(name, previous_of(alias))


def _settle(registry: Registry, version: Version, alias: str, former: int | None) -> None:
    before = None if former is None else registry.find(version.name, former)
    if before is not None and not _own(before.aliases):
        registry.tag(before, STATE, FORMER)
    registry.tag(version, STATE, alias)
