"""The base of samplers and pruners: their fields in a space's file, and Optuna's class behind."""

from collections.abc import Mapping
from typing import Any, ClassVar

from risexp.config.section import Section


class OptunaSection(Section):
    """One kind of sampler or pruner; subclasses also have a field `kind`."""

    optuna: ClassVar[str | None] = None
    """Name of Optuna's class; None if the fields `name` and `options` describe it."""
    sources: ClassVar[Mapping[str, str]] = {}
    """Where the options of that class come from: a field, or a value that the search knows."""
    constants: ClassVar[Mapping[str, object]] = {}
    """Options that are always the same."""

    def resolve(self, known: Mapping[str, object]) -> tuple[str, dict[str, Any]]:
        """The name of Optuna's class and its options; `known` are values of the search."""
        values: dict[str, Any] = {**known, **dict(self)}
        if self.optuna is None:
            return values["name"], values["options"]
        options = {option: values[source] for option, source in self.sources.items()}
        return self.optuna, {**options, **self.constants}
