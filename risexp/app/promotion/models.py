"""The models of a registry as people ask about them: which there are, and what is said of one."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from risexp.app.promotion.registry import asked, registry_of
from risexp.config.words import nearest
from risexp.errors import InvalidInput

if TYPE_CHECKING:
    from risexp.registry.versions import Registry, Version

_ADDRESS: Final = re.compile(r"(?P<name>[^@/:]+)(?:@(?P<alias>[\w-]+)|/(?P<number>[1-9]\d*))?")


@dataclass(frozen=True)
class Model:
    """A model and its versions."""

    name: str
    versions: tuple["Version", ...]
    """The newest first."""

    @property
    def abandoned(self) -> tuple[int, ...]:
        """Versions that promotions left pending; the next one takes them away."""
        return tuple(each.number for each in self.versions if each.abandoned)

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "model": self.name,
            "versions": [version_json(each) for each in self.versions],
            "abandoned": list(self.abandoned),
        }


def list_models(tracking: str | None) -> list[Model]:
    """Every model of the registry."""
    with registry_of(tracking) as registry:
        return asked(registry.store, partial(_all, registry))


def show_model(address: str, tracking: str | None) -> "Model | Version":
    """A model by its name, or one version of it as NAME@ALIAS or NAME/3.

    Raises:
        InvalidInput: There is none.
    """
    found = _ADDRESS.fullmatch(address.removeprefix("models:/"))
    if found is None:
        raise InvalidInput(f"{address!r} is no model: write NAME, NAME@ALIAS or NAME/3")
    with registry_of(tracking) as registry:
        return asked(registry.store, partial(_found, registry, **found.groupdict()))


def created(version: "Version") -> str:
    """When a version was made, UTC."""
    return f"{datetime.fromtimestamp(version.created_ms / 1e3, UTC):%Y-%m-%d %H:%M}"


def version_json(version: "Version") -> dict[str, Any]:
    """A version as plain values."""
    return {
        "model": version.name,
        "version": version.number,
        "state": version.state,
        "aliases": list(version.aliases),
        "created": created(version),
        "mlflow_run": version.run_id,
        "tags": dict(sorted(version.tags.items())),
        "card": version.card,
    }


def _all(registry: "Registry") -> list[Model]:
    return [Model(name, tuple(registry.versions(name))) for name in registry.names()]


def _found(
    registry: "Registry", name: str, alias: str | None, number: str | None
) -> "Model | Version":
    names = registry.names()
    if name not in names:
        hint = nearest(name, names) or f"; there are: {', '.join(names) or 'none'}"
        raise InvalidInput(f"there is no model {name!r}{hint}")
    if number is not None:
        return registry.version(name, int(number))
    if alias is None:
        return Model(name, tuple(registry.versions(name)))
    version = registry.at(name, alias)
    if version is None:
        known = ", ".join(registry.aliases(name)) or "none"
        raise InvalidInput(f"no version of {name} is {alias!r}; there are: {known}")
    return version
