"""Models from the registry, by an alias or by a version: `models:/name@alias`, `models:/name/3`."""

import os
import re
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from risexp.errors import EnvironmentFailed, InvalidInput, ModelRefused
from risexp.registry.bundle import Bundle, bundle_in, read_bundle
from risexp.tracking.stores import (
    SETTINGS,
    Failure,
    TrackingStore,
    attempt,
    chosen_store,
    in_environment,
)

os.environ.update(SETTINGS)

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

DIGEST: Final = "risexp.bundle"
"""Tag of a version: the digest of its bundle."""
_ADDRESS: Final = re.compile(r"models:/([^/@:]+)(?:@([A-Za-z0-9_.-]+)|/([1-9][0-9]*))")


def fetched(address: str, option: str | None = None) -> Bundle:
    """The bundle of a registered model.

    Args:
        address: `models:/name@alias` or `models:/name/3`.
        option: Address of the store, if one was given; by default that of runs.

    Raises:
        InvalidInput: It is no such address, there is no such model, or tracking is off.
        ModelRefused: A file of it was changed, or this version cannot use it.
        EnvironmentFailed: The store does not answer.
    """
    if not _ADDRESS.fullmatch(address):
        raise InvalidInput(
            f"{address} is no model of the registry: name models:/NAME@ALIAS or models:/NAME/3"
        )
    store = chosen_store(option)
    if store is None:
        raise InvalidInput(f"{address} needs a registry, and tracking is off: name a store")
    if store.database is not None and not store.database.exists():
        raise InvalidInput(f"there is no {address}: the store {store.database} does not exist")
    with TemporaryDirectory(prefix="risexp-model-") as place, in_environment(store):
        found = attempt(partial(_downloaded, address, store, Path(place)))
        if isinstance(found, Failure):
            raise _explained(address, store, found)
        folder, digest = found
        inside = bundle_in(folder)
        if inside is None:
            raise ModelRefused(f"{address} is no model of risexp: it holds no bundle")
        return read_bundle(inside, digest)


def _downloaded(address: str, store: TrackingStore, place: Path) -> tuple[Path, str | None]:
    """The model's folder, and the digest that its version tells.

    An address that MLflow resolves itself is one of its default store.
    """
    client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
    found = _ADDRESS.fullmatch(address)
    name, alias, number = ("", "", "") if found is None else found.groups()
    if alias:
        number = client.get_model_version_by_alias(name, alias).version
    source = client.get_model_version_download_uri(name, str(number))
    folder = download_artifacts(
        artifact_uri=source, dst_path=str(place), tracking_uri=store.uri, registry_uri=store.uri
    )
    return Path(folder), client.get_model_version(name, str(number)).tags.get(DIGEST)


def _explained(
    address: str, store: TrackingStore, failure: Failure
) -> InvalidInput | EnvironmentFailed:
    """Whether it is the address that is wrong, or the store."""
    error = failure.error
    absent = isinstance(error, MlflowException) and (
        error.error_code == "RESOURCE_DOES_NOT_EXIST"
        or (error.error_code == "INVALID_PARAMETER_VALUE" and "not found" in error.message)
    )
    if absent:
        return InvalidInput(f"there is no {address} in the store {store.name}")
    return EnvironmentFailed(f"cannot fetch {address} from {store.name}: {failure.sentence}")
