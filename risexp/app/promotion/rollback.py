"""The version that an alias stood for before, back in its place."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from risexp.app.promotion.promotion_lock import now, only_one, user
from risexp.app.promotion.registry import asked, expect_alias, expect_model_name, registry_of

if TYPE_CHECKING:
    from risexp.registry.versions import Version


@dataclass(frozen=True)
class RolledBack:
    """What an alias stood for, and what it stands for again."""

    alias: str
    was: "Version"
    version: "Version"

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "model": self.version.name,
            "alias": self.alias,
            "was": self.was.number,
            "version": self.version.number,
        }


def roll_back(name: str, alias: str, tracking: str | None) -> RolledBack:
    """Let an alias stand again for the version that its own version took it from.

    Args:
        name: Of the model.
        alias: Which one.
        tracking: Address of the store, if one was given.

    Raises:
        InvalidInput: There is no such model or alias, or none before it.
        ModelRefused: What it would stand for cannot be loaded.
        EnvironmentFailed: Somebody else is at it, or the store does not answer.
    """
    expect_model_name(name)
    expect_alias(alias)
    with registry_of(tracking) as registry, only_one(registry.store):
        from risexp.registry.download import fetched
        from risexp.registry.promotion import roll_back as move

        def load(version: "Version") -> object:
            return fetched(version.address, tracking)

        by = f"{user()} at {now()}"
        was, version = asked(
            registry.store, partial(move, registry, name, alias, by, expect_sound=load)
        )
    return RolledBack(alias, was, version)
