"""Lists registered models and shows one of them or one version."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from risexp.registry.model_address import ModelAddress, open_registry
from risexp.registry.model_registry import Version


@dataclass(frozen=True)
class Model:
    """A registered model and its versions."""

    name: str
    versions: tuple[Version, ...]
    """The newest first."""

    @property
    def abandoned(self) -> tuple[int, ...]:
        """Versions that interrupted promotions left; the next promotion deletes them."""
        return tuple(version.number for version in self.versions if version.abandoned)

    def as_json(self) -> dict[str, Any]:
        """The model as plain values."""
        return {
            "model": self.name,
            "versions": [version_json(version) for version in self.versions],
            "abandoned": list(self.abandoned),
        }


def list_models(tracking: str | None) -> list[Model]:
    """Every model of the registry."""
    with open_registry(tracking) as registry:
        return [Model(name, tuple(registry.versions(name))) for name in registry.names()]


def show_model(text: str, tracking: str | None) -> Model | Version:
    """A model by its name, or one version by NAME@ALIAS or NAME/3."""
    address = ModelAddress.parse(text, version=False)
    with open_registry(tracking) as registry:
        versions = address.versions(registry)
    if address.alias is None and address.number is None:
        return Model(address.name, versions)
    return versions[0]


def created(version: Version) -> str:
    """When a version was created, UTC."""
    return f"{datetime.fromtimestamp(version.created_ms / 1e3, UTC):%Y-%m-%d %H:%M}"


def version_json(version: Version) -> dict[str, Any]:
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
