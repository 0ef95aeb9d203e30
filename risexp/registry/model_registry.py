"""MLflow's model registry, by explicit names and versions: the one file that talks to it.

A version never changes but for its tags; an alias moves in one step.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

from risexp.errors import EnvironmentFailed, InvalidInput, ModelRefused, RisexpError
from risexp.tracking.stores import SETTINGS, Failure, TrackingStore, attempt

os.environ.update(SETTINGS)

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from risexp.registry.sealed_model import Bundle

STATE: Final = "risexp.state"
"""Tag of a version: `pending`, `champion` (or another alias), `former`."""
PREVIOUS: Final = "risexp.previous"
"""Tag of a version: the number of the version that held the alias before; empty if none did."""
DIGEST: Final = "risexp.bundle"
"""Tag of a version: the digest of its bundle."""
PENDING: Final = "pending"
FORMER: Final = "former"

_ABSENT: Final = "RESOURCE_DOES_NOT_EXIST"
_EXISTS: Final = "RESOURCE_ALREADY_EXISTS"
_DESCRIPTION: Final = (
    "Localises sources in the near field of a reconfigurable intelligent surface. Each version has "
    "its card: scores beside NOMP and chance, its gates, and the run that it comes from."
)
_PAGE: Final = 100

P = ParamSpec("P")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Version:
    """One version of a registered model."""

    name: str
    number: int
    run_id: str
    """MLflow's id of the run that it comes from; empty if it has none."""
    created_ms: int
    tags: Mapping[str, str]
    card: str
    """Its description, Markdown."""
    aliases: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The address that it is loaded by."""
        return f"models:/{self.name}/{self.number}"

    @property
    def abandoned(self) -> bool:
        """True if an interrupted promotion left it behind."""
        return self.tags.get(STATE) == PENDING and not self.aliases

    @property
    def state(self) -> str:
        """Its aliases, else `pending`, `former` or nothing; a tag may be older than an alias."""
        if self.aliases:
            return ", ".join(self.aliases)
        tag = self.tags.get(STATE, "")
        return tag if tag in {PENDING, ""} else FORMER

    @property
    def previous(self) -> int | None:
        """Number of the version that held the alias before it."""
        tag = self.tags.get(PREVIOUS, "")
        return int(tag) if tag.isdecimal() else None


def _talks(
    method: Callable[Concatenate["Registry", P], Result],
) -> Callable[Concatenate["Registry", P], Result]:
    """Turn each failure of the store into one sentence."""

    @wraps(method)
    def call(self: "Registry", /, *args: P.args, **kwargs: P.kwargs) -> Result:
        answer = attempt(lambda: method(self, *args, **kwargs))
        if not isinstance(answer, Failure):
            return answer
        if isinstance(answer.error, RisexpError):
            raise answer.error
        raise EnvironmentFailed(f"the registry of {self.store.name} failed: {answer.sentence}")

    return call


class Registry:
    """The registered models of one store.

    Every method raises EnvironmentFailed if the store does not answer.
    """

    def __init__(self, store: TrackingStore) -> None:
        """Connect to a store that has its tables, from within `in_environment`."""
        self.store = store
        self._client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)

    @_talks
    def names(self) -> list[str]:
        """Names of all models, sorted."""
        names, token = list[str](), None
        while True:
            page = self._client.search_registered_models(max_results=_PAGE, page_token=token)
            names += [model.name for model in page]
            token = page.token
            if not token:
                return sorted(names)

    @_talks
    def versions(self, name: str) -> list[Version]:
        """The versions of a model, the newest first; none if there is no such model."""
        aliases = self.aliases(name)
        quoted = name.replace("'", "''")
        versions, token = list[Version](), None
        while True:
            page = self._client.search_model_versions(
                f"name = '{quoted}'", max_results=_PAGE, page_token=token
            )
            versions += [_version(entity, aliases) for entity in page]
            token = page.token
            if not token:
                return sorted(versions, key=lambda version: -version.number)

    @_talks
    def aliases(self, name: str) -> dict[str, int]:
        """The version number of each alias of a model."""
        try:
            model = self._client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code == _ABSENT:
                return {}
            raise
        return {alias: int(number) for alias, number in model.aliases.items()}

    def at(self, name: str, alias: str) -> Version | None:
        """The version that has an alias; None if no version has it.

        A server may move an alias late, to a version that was deleted when its promotion gave up.
        Then it is still the version that is tagged with it.
        """
        number = self.aliases(name).get(alias)
        if number is None:
            return None
        version = self.find(name, number)
        if version is not None:
            return version
        tagged = [each for each in self.versions(name) if each.tags.get(STATE) == alias]
        return tagged[0] if tagged else None

    def version(self, name: str, number: int) -> Version:
        """One version by its number."""
        version = self.find(name, number)
        if version is None:
            raise InvalidInput(f"there is no version {number} of the model {name}")
        return version

    @_talks
    def find(self, name: str, number: int) -> Version | None:
        """One version by its number; None if it does not exist or was deleted."""
        try:
            entity = self._client.get_model_version(name, str(number))
        except MlflowException as error:
            if error.error_code != _ABSENT:
                raise
            return None
        return _version(entity, self.aliases(name))

    @_talks
    def load(self, version: Version) -> "Bundle":
        """Download a version, and its bundle after every byte of it was verified."""
        from risexp.registry.sealed_model import find_bundle, read_bundle

        uri = self.store.uri
        source = self._client.get_model_version_download_uri(version.name, str(version.number))
        with TemporaryDirectory(prefix="risexp-model-") as place:
            folder = download_artifacts(
                artifact_uri=source, dst_path=place, tracking_uri=uri, registry_uri=uri
            )
            bundle = find_bundle(Path(folder))
            if bundle is None:
                raise ModelRefused(f"{version.address} is no model of risexp: it holds no bundle")
            return read_bundle(bundle, version.tags.get(DIGEST))

    @_talks
    def log(self, run_id: str, folder: Path, place: str) -> str:
        """Upload a model's folder to the artifacts of a run; returns its address there."""
        self._client.log_artifacts(run_id, str(folder), place)
        root = str(self._client.get_run(run_id).info.artifact_uri)
        return f"{root.rstrip('/')}/{place}"

    @_talks
    def create(
        self, name: str, source: str, run_id: str, tags: Mapping[str, str], card: str
    ) -> Version:
        """Create a version, and the model itself if there is none."""
        try:
            self._client.create_registered_model(name, description=_DESCRIPTION)
        except MlflowException as error:
            if error.error_code != _EXISTS:
                raise
        entity = self._client.create_model_version(
            name, source, run_id, tags=dict(tags), description=card
        )
        return _version(entity, {})

    @_talks
    def tag(self, version: Version, key: str, value: str) -> None:
        """Set a tag of a version."""
        self._client.set_model_version_tag(version.name, str(version.number), key, value)

    @_talks
    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Move an alias to a version, in one step."""
        self._client.set_registered_model_alias(name, alias, str(number))

    @_talks
    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias."""
        self._client.delete_registered_model_alias(name, alias)

    @_talks
    def delete(self, version: Version) -> None:
        """Remove a version from the registry; the files of its run stay."""
        self._client.delete_model_version(version.name, str(version.number))


def _version(entity: ModelVersion, aliases: Mapping[str, int]) -> Version:
    number = int(entity.version)
    return Version(
        name=entity.name,
        number=number,
        run_id=entity.run_id or "",
        created_ms=int(entity.creation_timestamp or 0),
        tags=dict(entity.tags),
        card=entity.description or "",
        aliases=tuple(sorted(alias for alias, held in aliases.items() if held == number)),
    )
