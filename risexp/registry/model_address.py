"""Registered models by address: `models:/name@alias`, `models:/name/3`, or `name` for all."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from risexp.config.section import nearest
from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.registry.model_registry import Registry, Version
from risexp.tracking.schema import tables_of
from risexp.tracking.stores import Failure, attempt, chosen_store, in_environment

if TYPE_CHECKING:
    from risexp.registry.sealed_model import Bundle

_ADDRESS: Final = re.compile(
    r"(?:models:/)?([^/@:]+)(?:@([A-Za-z0-9_.-]+)|/([1-9][0-9]*))?",
)


@dataclass(frozen=True)
class ModelAddress:
    """A model, or one of its versions by an alias or a number."""

    name: str
    alias: str | None
    number: int | None

    @classmethod
    def parse(cls, text: str, *, version: bool) -> Self:
        """Read an address; `version` demands that it names one version."""
        match = _ADDRESS.fullmatch(text)
        if match is None or (version and match.lastindex == 1):
            raise InvalidInput(
                f"{text!r} is no model of the registry: name models:/NAME@ALIAS or models:/NAME/3"
            )
        name, alias, number = match.groups()
        return cls(name, alias, None if number is None else int(number))

    def versions(self, registry: Registry) -> tuple[Version, ...]:
        """The version that the address names, or all versions of the model, the newest first."""
        name, names = self.name, registry.names()
        if name not in names:
            hint = nearest(name, names) or f"; there are: {', '.join(names) or 'none'}"
            raise InvalidInput(
                f"there is no model {name!r} in the store {registry.store.name}{hint}"
            )
        if self.number is not None:
            return (registry.version(name, self.number),)
        if self.alias is None:
            return tuple(registry.versions(name))
        version = registry.at(name, self.alias)
        if version is None:
            aliases = ", ".join(registry.aliases(name)) or "none"
            raise InvalidInput(f"no version of {name} is {self.alias!r}; there are: {aliases}")
        return (version,)


@contextmanager
def open_registry(option: str | None) -> Iterator[Registry]:
    """Open the registry of the chosen store."""
    store = chosen_store(option)
    if store is None:
        raise InvalidInput("tracking is off, and models are kept where runs are: name a store")
    with in_environment(store):
        tables = attempt(partial(tables_of, store))
        if isinstance(tables, Failure):
            raise EnvironmentFailed(f"the registry of {store.name} failed: {tables.sentence}")
        if tables == "missing":
            raise InvalidInput(
                f"the store {store.name} has no models: nothing was recorded in it yet"
            )
        if tables == "other":
            raise InvalidInput(
                f"the store {store.name} was made by another version of MLflow: `risexp doctor` "
                "says what to do"
            )
        yield Registry(store)


def download_model(text: str) -> "Bundle":
    """Download the bundle of one version from the chosen store.

    Raises:
        InvalidInput: The address has another form, there is no such model, or tracking is off.
        ModelRefused: A file was changed, or this version of risexp cannot use it.
        EnvironmentFailed: The store does not answer.
    """
    address = ModelAddress.parse(text, version=True)
    with open_registry(None) as registry:
        (version,) = address.versions(registry)
        return registry.load(version)
