"""Tables of samplers and pruners: one entry per kind names its fields and Optuna's class."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from risexp.config.section import Section


@dataclass(frozen=True)
class Kind:
    """One kind of sampler or pruner."""

    section: type[Section]
    """Its fields in the file of a space; one of them is `kind`."""
    optuna: str | None = None
    """Name of Optuna's class; None if the fields `name` and `options` describe it."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where the options of that class come from: a field, or a value that the search knows."""
    constants: Mapping[str, object] = field(default_factory=dict)
    """Options that are always the same."""

    def resolve(self, section: Section, known: Mapping[str, object]) -> tuple[str, dict[str, Any]]:
        """The name of Optuna's class and its options.

        Args:
            section: The fields as they are set.
            known: Values that the search knows.
        """
        values: dict[str, Any] = {**known, **dict(section)}
        if self.optuna is None:
            return values["name"], values["options"]
        options = {option: values[source] for option, source in self.sources.items()}
        return self.optuna, {**options, **self.constants}


@dataclass(frozen=True)
class OneOf:
    """Annotates a section whose class is looked up in a table by its `kind`."""

    kinds: Mapping[str, Kind]

    def __get_pydantic_core_schema__(
        self, _source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """A union of the sections in the table, told apart by `kind`."""
        choices = {name: handler.generate_schema(kind.section) for name, kind in self.kinds.items()}
        return core_schema.tagged_union_schema(
            choices, discriminator="kind", strict=False, from_attributes=True
        )
