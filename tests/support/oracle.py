"""What was lost or done twice, read from the databases by SQL that asks nothing of ours."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

KEPT: Final = ("COMPLETE", "PRUNED", "FAIL", "WAITING")


@dataclass(frozen=True)
class Ledger:
    """The account of studies without workers."""

    lost: int
    """Slots without a trial that is finished, waits or has a lease, and epochs that are missing."""
    duplicated: int
    """Slots with two trials, trials that were finished twice, and reports that are there twice."""


def judge(url: str) -> Ledger:
    """The account of all studies of a database."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1), poolclass=NullPool)
    with engine.connect() as connection:
        wanted = connection.execute(
            text(
                "SELECT study_id, value_json FROM study_user_attributes WHERE key = 'risexp.trials'"
            )
        )
        ledgers = [_judge(connection, study, json.loads(trials)) for study, trials in wanted.all()]
    return Ledger(sum(each.lost for each in ledgers), sum(each.duplicated for each in ledgers))


def _judge(connection: Connection, study: int, trials: int) -> Ledger:
    def ask(question: str) -> Sequence[Any]:
        return connection.execute(text(question), {"study": study}).all()

    mine = "JOIN trials t USING (trial_id) WHERE t.study_id = :study"
    slots, kept = Counter[int](), set[int]()
    for value, state, reason, leased in ask(
        "SELECT a.value_json, t.state, r.value_json, l.attempt FROM trial_user_attributes a "  # noqa: S608
        "LEFT JOIN trial_user_attributes r ON r.trial_id = a.trial_id AND r.key = 'reason' "
        "LEFT JOIN risexp_attempts l ON l.trial_id = a.trial_id AND l.ended IS NULL "
        f"{mine.replace('USING (trial_id)', 'ON t.trial_id = a.trial_id')} AND a.key = 'slot'"
    ):
        if reason != '"surplus"':
            slots[json.loads(value)] += 1
            kept |= {json.loads(value)} if state in KEPT or leased else set()
    finished = ask(
        "SELECT e.trial_id, COUNT(*) FROM risexp_attempts e "  # noqa: S608
        f"{mine} AND e.ended = 'finished' GROUP BY e.trial_id"
    )
    reports = ask(
        "SELECT v.trial_id, v.step, COUNT(*) FROM trial_intermediate_values v "  # noqa: S608
        f"{mine} AND t.state = 'COMPLETE' GROUP BY v.trial_id, v.step"
    )
    steps: dict[int, set[int]] = {}
    for trial, step, _ in reports:
        steps.setdefault(trial, set()).add(step)
    missing = sum(max(known) - len(known) for known in steps.values())
    return Ledger(
        lost=trials - len(kept) + missing,
        duplicated=sum(count - 1 for count in slots.values())
        + sum(count - 1 for _, count in finished)
        + sum(count - 1 for *_, count in reports),
    )
