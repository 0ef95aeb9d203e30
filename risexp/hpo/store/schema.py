"""Our two tables beside Optuna's: attempts, which hold the leases, and the schema's version."""

from typing import Final

import sqlalchemy as sa
from optuna.trial import TrialState

from risexp.errors import EnvironmentFailed

VERSION: Final = 1
"""Version of these tables."""

METADATA: Final = sa.MetaData()

ATTEMPTS: Final = sa.Table(
    "risexp_attempts",
    METADATA,
    # Our id of the study: Optuna's come again after a delete.
    sa.Column("study", sa.String(32), primary_key=True),
    sa.Column("trial_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("device", sa.String(64), nullable=False),
    sa.Column("run_id", sa.String(128), nullable=False),
    sa.Column("began_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("ended", sa.String(16)),
    sa.Column("parameters", sa.Text),
)
"""One row for each attempt at a trial; while `ended` is null, the row is the trial's lease."""

ONE_LIVING: Final = sa.Index(
    "risexp_one_living_attempt",
    ATTEMPTS.c.study,
    ATTEMPTS.c.trial_id,
    unique=True,
    sqlite_where=ATTEMPTS.c.ended.is_(None),
    postgresql_where=ATTEMPTS.c.ended.is_(None),
)

STAMP: Final = sa.Table(
    "risexp_store",
    METADATA,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("touched_at", sa.Double, nullable=False),
)
"""One row, written last: it marks a complete schema, and is updated to prove that writes work."""

TRIALS: Final = sa.table(
    "trials",
    sa.column("trial_id", sa.Integer),
    sa.column("study_id", sa.Integer),
    sa.column("number", sa.Integer),
    sa.column("state", sa.Enum(TrialState)),
    sa.column("datetime_start", sa.DateTime),
    sa.column("datetime_complete", sa.DateTime),
)
"""Columns of Optuna's own table; written only to let a failed trial wait again."""


def database_clock(engine: sa.Engine) -> sa.ColumnElement[float]:
    """Seconds since 1970 by the database's own clock."""
    if engine.dialect.name == "sqlite":
        return sa.literal_column("((julianday('now') - 2440587.5) * 86400.0)", sa.Double)
    return sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Double)


def is_whole(engine: sa.Engine) -> bool:
    """Whether the schema is complete."""
    if not sa.inspect(engine).has_table(STAMP.name):
        return False
    with engine.connect() as connection:
        version = connection.execute(sa.select(STAMP.c.version)).scalar_one_or_none()
    if version is not None and version != VERSION:
        raise EnvironmentFailed(
            f"the store's tables are version {version} and this risexp knows version {VERSION}: "
            "use the risexp that made them"
        )
    return version == VERSION


def make(engine: sa.Engine) -> None:
    """Create our tables; may be repeated if a process died half-way."""
    METADATA.create_all(engine)
    ONE_LIVING.create(engine, checkfirst=True)
    with engine.begin() as connection:
        if connection.execute(sa.select(STAMP.c.version)).scalar_one_or_none() is None:
            now = sa.select(database_clock(engine)).scalar_subquery()
            connection.execute(sa.insert(STAMP).values(version=VERSION, touched_at=now))
