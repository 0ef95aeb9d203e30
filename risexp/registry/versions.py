"""The registry of models in MLflow, by explicit names and versions: the one file that talks to it.

A version is never changed but for its tags; an alias moves in one step.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from risexp.errors import InvalidInput
from risexp.tracking.stores import SETTINGS, TrackingStore

os.environ.update(SETTINGS)

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

STATE: Final = "risexp.state"
"""Tag of a version: `pending`, `champion` (or another alias), `former`."""
PREVIOUS: Final = "risexp.previous"
"""Tag of a version: which one held the alias before it; empty where none did."""
PENDING: Final = "pending"
FORMER: Final = "former"

_ABSENT: Final = "RESOURCE_DOES_NOT_EXIST"
_DESCRIPTION: Final = (
    "Localises sources in the near field of a reconfigurable intelligent surface. Each version has "
    "its card: scores beside NOMP and chance, its gates, and the run that it comes from."
)
_TAKEN: Final = "RESOURCE_ALREADY_EXISTS"
_PAGE: Final = 100


@dataclass(frozen=True)
class Version:
    """One version of a model, as the registry tells it."""

    name: str
    """Of the model."""
    number: int
    run_id: str
    """MLflow's own id of the run it comes from; empty where it has none."""
    created_ms: int
    tags: Mapping[str, str]
    card: str
    """Its description, Markdown."""
    aliases: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """What it is loaded by."""
        return f"models:/{self.name}/{self.number}"

    @property
    def abandoned(self) -> bool:
        """Whether a promotion left it behind that did not come to its end."""
        return self.tags.get(STATE) == PENDING and not self.aliases

    @property
    def state(self) -> str:
        """What it is now, in a word; an alias says more than a tag that was not yet changed."""
        if self.aliases:
            return ", ".join(self.aliases)
        told = self.tags.get(STATE, "")
        return told if told in {PENDING, ""} else FORMER

    @property
    def previous(self) -> int | None:
        """The version that held the alias before it."""
        told = self.tags.get(PREVIOUS, "")
        return int(told) if told.isdecimal() else None


class Registry:
    """The models of one store."""

    def __init__(self, store: TrackingStore) -> None:
        """Talk to a store that is there, its schema made, from within `in_environment`."""
        self.store = store
        self._client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)

    def names(self) -> list[str]:
        """Every model."""
        found, token = list[str](), None
        while True:
            page = self._client.search_registered_models(max_results=_PAGE, page_token=token)
            found += [model.name for model in page]
            token = page.token
            if not token:
                return sorted(found)

    def versions(self, name: str) -> list[Version]:
        """The versions of a model, the newest first; none where there is no such model."""
        aliases = self.aliases(name)
        found, token = list[Version](), None
        while True:
            page = self._client.search_model_versions(
                f"name = '{_quoted(name)}'", max_results=_PAGE, page_token=token
            )
            found += [_version(each, aliases) for each in page]
            token = page.token
            if not token:
                return sorted(found, key=lambda each: -each.number)

    def aliases(self, name: str) -> dict[str, int]:
        """Which version each alias of a model stands for."""
        try:
            model = self._client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code == _ABSENT:
                return {}
            raise
        return {alias: int(number) for alias, number in model.aliases.items()}

    def at(self, name: str, alias: str) -> Version | None:
        """The version an alias stands for; None where it stands for none."""
        number = self.aliases(name).get(alias)
        return None if number is None else self.version(name, number)

    def version(self, name: str, number: int) -> Version:
        """One version.

        Raises:
            InvalidInput: There is none of that number.
        """
        found = self.find(name, number)
        if found is None:
            raise InvalidInput(f"there is no version {number} of the model {name}")
        return found

    def find(self, name: str, number: int) -> Version | None:
        """One version; None where there is none, or it was deleted."""
        try:
            found = self._client.get_model_version(name, str(number))
        except MlflowException as error:
            if error.error_code != _ABSENT:
                raise
            return None
        return _version(found, self.aliases(name))

    def log(self, run_id: str, folder: Path, place: str) -> str:
        """Put a model's folder among the artifacts of a run; its address there."""
        self._client.log_artifacts(run_id, str(folder), place)
        root = str(self._client.get_run(run_id).info.artifact_uri)
        return f"{root.rstrip('/')}/{place}"

    def create(
        self, name: str, source: str, run_id: str, tags: Mapping[str, str], card: str
    ) -> Version:
        """A new version; the model itself is made where there is none."""
        try:
            self._client.create_registered_model(name, description=_DESCRIPTION)
        except MlflowException as error:
            if error.error_code != _TAKEN:
                raise
        made = self._client.create_model_version(
            name, source, run_id, tags=dict(tags), description=card
        )
        return _version(made, {})

    def tag(self, version: Version, key: str, value: str) -> None:
        """Say something of a version."""
        self._client.set_model_version_tag(version.name, str(version.number), key, value)

    def point(self, name: str, alias: str, number: int) -> None:
        """Let an alias stand for a version, in one step."""
        self._client.set_registered_model_alias(name, alias, str(number))

    def unpoint(self, name: str, alias: str) -> None:
        """Let an alias stand for nothing."""
        self._client.delete_registered_model_alias(name, alias)

    def delete(self, version: Version) -> None:
        """Take a version out of the registry; the files of its run stay."""
        self._client.delete_model_version(version.name, str(version.number))


def _version(found: ModelVersion, aliases: Mapping[str, int]) -> Version:
    number = int(found.version)
    return Version(
        name=found.name,
        number=number,
        run_id=found.run_id or "",
        created_ms=int(found.creation_timestamp or 0),
        tags=dict(found.tags),
        card=found.description or "",
        aliases=tuple(sorted(alias for alias, at in aliases.items() if at == number)),
    )


def _quoted(name: str) -> str:
    return name.replace("'", "''")
