"""The document of what a run is told: its configuration, and what shows that nobody edited it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import ValidationError

from risexp.config.run import RunConfig
from risexp.config.words import one_sentence
from risexp.core.sealed import canonical_sha
from risexp.errors import DataInvalid

_KEYS: Final = {"sha", "canonical", "given"}
_GIVEN_SHA: Final = "given_sha"
"""Documents of earlier versions do not have it."""


@dataclass(frozen=True)
class RunSpec:
    """A configuration as it was given, and as its hash knows it."""

    canonical: Mapping[str, Any]
    given: Mapping[str, Any]

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """What is written of a new run."""
        canonical = config.canonical().model_dump(mode="json")
        return cls(canonical, config.model_dump(mode="json"))

    @classmethod
    def from_json(cls, document: object, where: str) -> Self:
        """What was written.

        Args:
            document: As `as_json` made it.
            where: It lies, for people.

        Raises:
            DataInvalid: It is none, or was edited.
        """
        if not isinstance(document, dict) or document.keys() - {_GIVEN_SHA} != _KEYS:
            raise DataInvalid(f"{where} is no configuration of a run")
        found = cls(document["canonical"], document["given"])
        if found.sha != document["sha"] or found._given_sha != document.get(
            _GIVEN_SHA, found._given_sha
        ):
            raise DataInvalid(f"{where} was edited: its configuration is not the one of its hash")
        return found

    @property
    def sha(self) -> str:
        """The hash of the canonical configuration, as it was written."""
        return canonical_sha(self.canonical)

    @property
    def _given_sha(self) -> str:
        return canonical_sha(self.given)

    def as_json(self) -> dict[str, Any]:
        """The document."""
        return {
            "sha": self.sha,
            _GIVEN_SHA: self._given_sha,
            "given": self.given,
            "canonical": self.canonical,
        }

    def config(self, where: str) -> RunConfig:
        """The configuration, as it was given.

        Raises:
            DataInvalid: This version does not know what it says.
        """
        try:
            return RunConfig.model_validate_json(json.dumps(self.given))
        except ValidationError as error:
            raise DataInvalid(f"{where}: {one_sentence(error)}") from None
