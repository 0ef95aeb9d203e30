"""The spec of a study: its space, and the layers that the search sets on top of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

from pydantic import JsonValue, ValidationError

from risexp.config.layers import Layer, Loaded, environment_layers, override_layer, resolve
from risexp.config.run import RunConfig, without_later
from risexp.config.section import nearest, one_sentence
from risexp.core.sealed import canonical_sha
from risexp.errors import ConfigInvalid, DataInvalid
from risexp.space.files import differing, parts
from risexp.space.spec import SearchSpace

TRIAL: Final = "trial"
"""Origin of the fields that a trial varies."""
_RESOLVED: Final = ("base", "fixed ", "start ", "trials")
"""Parts of a space that are in the base configuration already, or may change."""


@dataclass(frozen=True)
class StudySpec:
    """A space and the layers over it; specs of one `sha` belong to one study."""

    space: SearchSpace
    """A space that varies fields; a stage of a staged one."""
    over: tuple[Layer, ...] = ()
    """Environment, then `--set`, then `--epochs` and `--patience`."""

    @classmethod
    def of(
        cls,
        space: SearchSpace,
        *,
        environment: Mapping[str, str] | None = None,
        overrides: Sequence[str] = (),
        epochs: int | None = None,
        patience: int | None = None,
    ) -> Self:
        """A space under what a search was started with."""
        set_ = [override_layer(text) for text in overrides]
        short = [
            Layer(f"--{name}", {f"training.{name}": value})
            for name, value in (("epochs", epochs), ("patience", patience))
            if value is not None
        ]
        _check_free(space, set_, short)
        over = (*environment_layers(environment or {}), *set_, *short)
        space.trial_zero(over)
        return cls(space, over)

    @cached_property
    def zero(self) -> Loaded:
        """The base configuration, which is trial 0, with its origins."""
        return self.space.trial_zero(self.over)

    @property
    def base(self) -> RunConfig:
        """The base configuration, which is trial 0."""
        return self.zero.config

    def base_values(self) -> dict[str, JsonValue]:
        """Values of trial 0 in the dimensions whose conditions hold."""
        known = self.base.flat()
        return self.space.pick_values(known, lambda path, _: known[path])

    def resolve(self, values: Mapping[str, JsonValue]) -> Loaded:
        """The configuration of a trial: its values override every layer."""
        for path in values:
            if path not in self.space.vary:
                hint = nearest(path, self.space.vary)
                raise ConfigInvalid(f"space {self.space.name} does not vary {path}{hint}")
        return resolve([*self.space.layers(), *self.over, Layer(TRIAL, values)])

    def sha(self) -> str:
        """The hash of `terms`."""
        return canonical_sha(self.terms())

    def differences(self, other: "StudySpec") -> list[tuple[str, str, str]]:
        """Terms that differ from another spec: the name, the value here, and the value there."""
        return differing(self.terms(), other.terms())

    def terms(self) -> dict[str, str]:
        """Everything that must not change while a study exists, by its name."""
        canonical = without_later(self.base.canonical().flat())
        run = {path: str(value) for path, value in canonical.items()}
        space = parts(self.space).items()
        return run | {part: each for part, each in space if not part.startswith(_RESOLVED)}

    def as_json(self) -> dict[str, Any]:
        """The spec as plain values, with its base configuration."""
        return {
            "space": self.space.model_dump(mode="json"),
            "over": [{"origin": each.origin, "values": dict(each.values)} for each in self.over],
            "base": self.base.flat(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], source: str) -> Self:
        """The spec that `as_json` wrote, if it still has the same base configuration.

        Args:
            document: The plain values.
            source: Its name in errors.
        """
        try:
            space = SearchSpace.model_validate(document["space"])
            over = tuple(Layer(each["origin"], each["values"]) for each in document["over"])
            before = {path: str(value) for path, value in without_later(document["base"]).items()}
        except ValidationError as error:
            raise DataInvalid(f"{source}: {one_sentence(error)}") from None
        except (KeyError, TypeError, AttributeError) as error:
            raise DataInvalid(f"{source} is no record of a search: {error}") from None
        spec = cls(space, over)
        try:
            known = without_later(spec.base.flat())
            now = {path: str(value) for path, value in known.items()}
        except ConfigInvalid as error:
            raise DataInvalid(f"{source}: {error}") from None
        if changed := differing(before, now):
            raise DataInvalid(
                f"{source} was begun with {in_words(changed)}: go on with the version of risexp "
                "that began it, or give the study another name"
            )
        return spec


def refusal(study: str, before: StudySpec, after: StudySpec) -> str | None:
    """Why a study cannot go on under another spec, in one sentence; None where it can."""
    changed = before.differences(after)
    if not changed:
        return None
    return (
        f"study {study} was begun with {in_words(changed)}: give --study another name, or go on "
        "with what it began with"
    )


def in_words(changed: Sequence[tuple[str, str, str]], most: int = 3) -> str:
    """Differences as `a = 1 (now 2), b = 3 (now 4) and 5 more`."""
    terms = ", ".join(f"{name} = {before} (now {after})" for name, before, after in changed[:most])
    more = len(changed) - most
    return f"{terms} and {more} more" if more > 0 else terms


def _check_free(space: SearchSpace, set_: Sequence[Layer], short: Sequence[Layer]) -> None:
    """Check that no varied field is set, and none twice."""
    paths = {path for layer in set_ for path in layer.values}
    for layer in [*set_, *short]:
        for path in layer.values:
            if path in space.vary:
                raise ConfigInvalid(
                    f"{layer.origin} sets {path}, which space {space.name} varies: leave it out, "
                    "or search a space that fixes it"
                )
    for layer in short:
        for path in layer.values:
            if path in paths:
                raise ConfigInvalid(f"--set and {layer.origin} both set {path}: keep one")
