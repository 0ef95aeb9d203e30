"""Our two tables beside Optuna's: attempts, which hold the leases, and the schema's version."""

from typing import Final

from optuna.trial import TrialState
from sqlalchemy import (
    Column,
    Double,
    Engine,
    Enum,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    cast,
    column,
    func,
    insert,
    inspect,
    literal_column,
    select,
    table,
)
from sqlalchemy.sql.elements import ColumnElement

from risexp.errors import EnvironmentFailed

VERSION: Final = 1
"""Version of these tables."""

METADATA: Final = MetaData()

ATTEMPTS: Final = Table(
    "risexp_attempts",
    METADATA,
    Column("study", String(32), primary_key=True),  # ours: Optuna's ids come again after a delete
    Column("trial_id", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("owner", String(64), nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("device", String(64), nullable=False),
    Column("run_id", String(128), nullable=False),
    Column("began_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("ended", String(16)),
    Column("parameters", Text),
)
"""One row for each attempt at a trial; while `ended` is null, the row is the trial's lease."""

ONE_LIVING: Final = Index(
    "risexp_one_living_attempt",
    ATTEMPTS.c.study,
    ATTEMPTS.c.trial_id,
    unique=True,
    sqlite_where=ATTEMPTS.c.ended.is_(None),
    postgresql_where=ATTEMPTS.c.ended.is_(None),
)

STAMP: Final = Table(
    "risexp_store",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("touched_at", Double, nullable=False),
)
"""One row, written last: it marks a complete schema, and is updated to prove that writes work."""

TRIALS: Final = table(
    "trials",
    column("trial_id", Integer),
    column("study_id", Integer),
    column("number", Integer),
    column("state", Enum(TrialState)),
)
"""The columns of Optuna's own table that are read; never written."""


def database_clock(engine: Engine) -> ColumnElement[float]:
    """Seconds since 1970 by the database's own clock."""
    if engine.dialect.name == "sqlite":
        return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Double)
    return cast(func.extract("epoch", func.clock_timestamp()), Double)


def is_whole(engine: Engine) -> bool:
    """Whether the schema is complete.

    Raises:
        EnvironmentFailed: It has another version.
    """
    if not inspect(engine).has_table(STAMP.name):
        return False
    with engine.connect() as connection:
        version = connection.execute(select(STAMP.c.version)).scalar_one_or_none()
    if version is not None and version != VERSION:
        raise EnvironmentFailed(
            f"the store's tables are version {version} and this risexp knows version {VERSION}: "
            "use the risexp that made them"
        )
    return version == VERSION


def make(engine: Engine) -> None:
    """Create our tables; may be repeated if a process died half-way."""
    METADATA.create_all(engine)
    ONE_LIVING.create(engine, checkfirst=True)
    with engine.begin() as connection:
        if connection.execute(select(STAMP.c.version)).scalar_one_or_none() is None:
            now = select(database_clock(engine)).scalar_subquery()
            connection.execute(insert(STAMP).values(version=VERSION, touched_at=now))
