"""What a run is started with: its configuration, its plans and its labels, as JSON documents.

They are read without torch, because the uploader's own process has to start quickly.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Self, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from risexp.config.run import RunConfig
from risexp.config.section import one_sentence
from risexp.core.sealed import canonical_sha
from risexp.core.spare import read_either, read_if_there, write_twice
from risexp.errors import DataInvalid, EnvironmentFailed
from risexp.training.plan import Plan

EMBEDDED: Final = "embedded"
EXPERIMENT: Final = "risexp"
_CONFIG: Final = TypeAdapter(RunConfig)
_KEYS: Final = {"sha", "canonical", "given"}
_GIVEN_SHA: Final = "given_sha"
"""Documents of earlier versions do not have this key."""
T = TypeVar("T")

CONFIG, PLANS, LABELS = "config.json", "plans.json", "labels.json"


@dataclass(frozen=True)
class RunSpec:
    """A configuration as the user gave it, and in the canonical form that is hashed."""

    canonical: Mapping[str, Any]
    given: Mapping[str, Any]

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """The document of a new run."""
        canonical = config.hashed()
        return cls(canonical, config.model_dump(mode="json"))

    @classmethod
    def from_json(cls, document: object, where: str) -> Self:
        """Read what `as_json` wrote; `where` names the document in errors."""
        if not isinstance(document, dict) or document.keys() - {_GIVEN_SHA} != _KEYS:
            raise DataInvalid(f"{where} is no configuration of a run")
        spec = cls(document["canonical"], document["given"])
        given_sha = canonical_sha(spec.given)
        if spec.sha != document["sha"] or given_sha != document.get(_GIVEN_SHA, given_sha):
            raise DataInvalid(f"{where} was edited: its configuration does not match its hash")
        return spec

    @property
    def sha(self) -> str:
        """Hash of the canonical configuration as it was written."""
        return canonical_sha(self.canonical)

    def as_json(self) -> dict[str, Any]:
        """The document."""
        return {
            "sha": self.sha,
            _GIVEN_SHA: canonical_sha(self.given),
            "given": self.given,
            "canonical": self.canonical,
        }

    def config(self, where: str) -> RunConfig:
        """The configuration as the user gave it."""
        return validated(_CONFIG, json.dumps(self.given), where, strict=None)


@dataclass(frozen=True)
class Parent:
    """The run of a study, which is the parent of its trials' runs."""

    name: str
    uid: str
    """Differs from the uid of every other study, in any home: its name and when it began."""
    began_ms: int
    """UTC, milliseconds since 1970."""


@dataclass(frozen=True)
class Labels:
    """How a run is filed in its tracking store; written before the run begins."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    store: str = EMBEDDED
    """`embedded`, `off`, or an address without secrets."""
    experiment: str = EXPERIMENT
    preset: str | None = None
    """The configuration is shown as its difference from this preset; None: from the defaults."""
    study: str | None = None
    trial: int | None = None
    parent: Parent | None = None
    searched: Mapping[str, Any] = field(default_factory=dict)
    """Values that the search chose, by configuration field; they become the run's params."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """More tags, by their full names."""
    note: str = ""
    """Markdown that is shown above the run's own note, for instance links."""


_LABELS: Final = TypeAdapter(Labels)


def write_labels(folder: Path, labels: Labels) -> None:
    """Write the labels of a run into its folder."""
    path = folder / LABELS
    with writing(path):
        write_document(path, asdict(labels))


def read_labels(folder: Path) -> Labels | None:
    """The labels of a run; None if its folder has none."""
    path = folder / LABELS
    text = read_if_there(path)
    return None if text is None else validated(_LABELS, text, path)


def read_spec(folder: Path) -> RunSpec:
    """The configuration of a run, as it was written."""
    path = folder / CONFIG
    return RunSpec.from_json(read_document(path, dict), str(path))


def read_config(folder: Path) -> RunConfig:
    """The configuration of a run, as the user gave it."""
    return read_spec(folder).config(str(folder / CONFIG))


def read_plans(folder: Path) -> tuple[Plan, ...]:
    """One plan per epoch, as made before the run."""
    return tuple(map(Plan.from_json, read_document(folder / PLANS, list)))


def read_document(path: Path, kind: type[Any]) -> Any:  # noqa: ANN401 - a list or a mapping, as asked for
    """The content of a JSON document in a run's folder."""
    try:
        document = json.loads(read_either(path))
    except FileNotFoundError as error:
        raise DataInvalid(f"cannot read {path}: {error.strerror}") from None
    except OSError as error:
        raise EnvironmentFailed(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise DataInvalid(f"{path} is no JSON") from None
    if not isinstance(document, kind):
        raise DataInvalid(f"{path} does not hold what a run writes there")
    return document


def write_document(path: Path, document: object) -> None:
    """Write a JSON document into a run's folder, with its spare copy."""
    write_twice(path, json.dumps(document, indent=1, allow_nan=False).encode())


def validated(
    kind: TypeAdapter[T], text: str | bytes, where: object, *, strict: bool | None = True
) -> T:
    """The value that a JSON text holds; `where` names the text in errors."""
    try:
        return kind.validate_json(text, strict=strict)
    except ValidationError as error:
        raise DataInvalid(f"{where}: {one_sentence(error)}") from None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the disk into EnvironmentFailed, which names the path."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFailed(f"cannot write {path}: {error.strerror}") from None
