"""Reads trials from Optuna's tables in six statements, without an object for each of their rows."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial

from risexp.hpo.store.schema import TRIALS

_AT_ONCE: Final = 500
"""Trials of one set of statements: a statement can hold so many values on any database."""
_SPECIAL: Final = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}
"""Optuna's words for values that its tables do not hold as numbers."""


def _table(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, sa.column("trial_id"), *map(sa.column, columns))


_VALUES: Final = _table("trial_values", "value", "value_type")
_PARAMS: Final = _table("trial_params", "param_name", "param_value", "distribution_json")
_USER: Final = _table("trial_user_attributes", "key", "value_json")
_SYSTEM: Final = _table("trial_system_attributes", "key", "value_json")
_REPORTS: Final = _table(
    "trial_intermediate_values", "step", "intermediate_value", "intermediate_value_type"
)


def read_trials(connection: sa.Connection, ids: Sequence[int]) -> dict[int, FrozenTrial]:
    """The trials of these ids, by them, as Optuna's own storage reads them."""
    trials = dict[int, FrozenTrial]()
    for start in range(0, len(ids), _AT_ONCE):
        trials.update(_read(connection, ids[start : start + _AT_ONCE]))
    return trials


def _read(connection: sa.Connection, ids: Sequence[int]) -> Iterator[tuple[int, FrozenTrial]]:
    def rows(table: sa.TableClause, order: str) -> Mapping[int, Sequence[Sequence[Any]]]:
        """Rows of a table by trial, without its id, which comes first."""
        query = sa.select(table).where(table.c.trial_id.in_(ids)).order_by(sa.column(order))
        found = defaultdict[int, list[Sequence[Any]]](list)
        for at, *row in connection.execute(query):
            found[at].append(row)
        return found

    # The state comes first: what belongs to a finished trial does not change any more.
    trials = rows(TRIALS, "number")
    values, params = rows(_VALUES, "objective"), rows(_PARAMS, "param_id")
    user, system, reports = rows(_USER, "key"), rows(_SYSTEM, "key"), rows(_REPORTS, "step")
    for at, ((_, number, state, start, complete),) in trials.items():
        distributions = {name: _distribution(text) for name, _, text in params[at]}
        yield (
            at,
            FrozenTrial(
                trial_id=at,
                number=number,
                state=state,
                value=None,
                values=[_number(*row) for row in values[at]] or None,
                datetime_start=_local(start),
                datetime_complete=_local(complete),
                params={
                    name: distributions[name].to_external_repr(value)
                    for name, value, _ in params[at]
                },
                distributions=distributions,
                user_attrs={key: json.loads(text) for key, text in user[at]},
                system_attrs={key: json.loads(text) for key, text in system[at]},
                intermediate_values={step: _number(*rest) for step, *rest in reports[at]},
            ),
        )


@cache
def _distribution(text: str) -> BaseDistribution:
    """The distribution that a text stands for; the trials of a study share it."""
    return json_to_distribution(text)


def _number(value: float | None, kind: str) -> float:
    return _SPECIAL[kind] if value is None else value


def _local(stored: datetime | None) -> datetime | None:
    """A time as Optuna gives it: local, without a zone; its tables hold UTC."""
    return None if stored is None else stored.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
