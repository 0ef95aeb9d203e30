"""What a registry's database and files say of a model, past MLflow and past this package."""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from sqlalchemy import create_engine, text

_FILES = ("MLmodel", "entry.py", "artifacts/bundle/weights.safetensors")
_ALIASES = text("SELECT alias, version FROM registered_model_aliases WHERE name = :model")
_VERSIONS = text(
    "SELECT version, source, description FROM model_versions WHERE name = :model "
    "AND current_stage <> 'Deleted_Internal' ORDER BY version"
)
_TAGS = text("SELECT version, key, value FROM model_version_tags WHERE name = :model")


@dataclass(frozen=True)
class Row:
    """A version as its database holds it."""

    number: int
    source: str
    card: str
    tags: dict[str, str] = field(default_factory=dict)

    def faults(self, before: "Row", state: str, artifacts: Path) -> list[str]:
        """What is wrong with a version that became champion after another one."""
        place = artifacts / self.source.removeprefix("mlflow-artifacts:/").removeprefix("file://")
        beside = f"version {before.number}" if before.number else "no champion"
        checks = {
            "judged beside another": self.tags["risexp.previous"] == str(before.number or ""),
            "a card about another": f"beside {beside}," in self.card,
            "compared with another network": self.tags.get("risexp.champion_success_rate")
            == before.tags.get("risexp.success_rate"),
            f"not tagged {state}": self.tags["risexp.state"] == state,
            "without a model": all((place / name).is_file() for name in _FILES),
        }
        return [f"{self.number}: {what}" for what, holds in checks.items() if not holds]


@dataclass(frozen=True)
class Ledger:
    """A model and its versions that were not deleted, the oldest first."""

    aliases: dict[str, int]
    rows: tuple[Row, ...]

    @classmethod
    def read(cls, database: str, model: str) -> "Ledger":
        """Read it with SQL."""
        engine, asked = create_engine(database), {"model": model}
        with engine.connect() as connection:
            aliases, versions, tags = (
                connection.execute(query, asked).fetchall()
                for query in (_ALIASES, _VERSIONS, _TAGS)
            )
        engine.dispose()
        return cls(
            {alias: int(number) for alias, number in aliases},
            tuple(
                Row(own, source, card, {key: value for number, key, value in tags if number == own})
                for own, source, card in versions
            ),
        )

    @property
    def champion(self) -> int | None:
        """The version that others load."""
        return self.aliases.get("champion")

    @property
    def states(self) -> list[str]:
        """The states that the versions are tagged with."""
        return [row.tags["risexp.state"] for row in self.rows]

    def faults(self, artifacts: Path) -> list[str]:
        """What is wrong where no promotion is running and none was rolled back."""
        states = [*["former"] * (len(self.rows) - 1), "champion"]
        pairs = pairwise((Row(0, "", ""), *self.rows))
        found = [
            fault
            for (before, row), state in zip(pairs, states, strict=False)
            for fault in row.faults(before, state, artifacts)
        ]
        runs = [row.tags["risexp.run"] for row in self.rows]
        if len(runs) != len({*runs}):
            found.append(f"twice: {runs}")
        numbers = [row.number for row in reversed(self.rows)]
        due = dict(zip(("champion", "previous"), numbers, strict=False))
        return found if self.aliases == due else [*found, f"aliases {self.aliases}, and not {due}"]
