"""Trials without their worker: each is given back, once whoever has it had time to say so."""

import re
from pathlib import Path

import pytest

from risexp.app.doctor import fix as mend
from risexp.hpo.store.leases import Leases
from tests.support.homes import (
    WAITS,
    change,
    check_of,
    die_amid_a_trial,
    end_all_leases,
    found,
    mended,
    taken,
    the_study,
    wrong,
)


@pytest.fixture(autouse=True)
def at_once(in_order: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Owners of leases that are over get no time to renew them."""
    monkeypatch.setattr(mend, "PATIENCE_S", 0.0)
    return in_order


def die_before_taking() -> None:
    with the_study(begin=4):
        change("UPDATE trials SET state = 'RUNNING' WHERE number = 3")


def die_before_giving_back() -> None:
    with the_study(begin=4) as (store, study):
        claim, _ = taken(store, study)
        Leases(store, study.uid).end(claim.lease, "died")


def test_a_trial_that_runs_without_a_lease_is_given_time_first() -> None:
    die_before_taking()

    assert {"toy: I2": "fail", "toy: leases": "warn"} == wrong(found())
    said, diagnosis = mended()
    assert 1 == len(said)
    assert "trial 3 of toy runs without a lease: it got one of nobody's" in said[0]
    assert ({"toy: leases": "warn"}, 0) == (wrong(diagnosis), diagnosis.exit_code)
    sentence = check_of(diagnosis, "toy: leases").sentence
    assert re.search(
        r"^trial 3 has no worker, and waits again in 1[12]\d s: call .* again then$", sentence
    )

    end_all_leases()
    said, diagnosis = mended()
    assert ("trial 3 of toy was held by nobody, and is waiting",) == said
    assert WAITS == wrong(diagnosis)


def test_a_trial_that_is_just_given_back_is_left_to_whoever_does_it() -> None:
    die_before_giving_back()

    said, diagnosis = mended()

    assert ((), {"toy: leases": "warn"}) == (said, wrong(diagnosis))

    change("UPDATE risexp_attempts SET ended_at = 0 WHERE ended = 'died'")
    said, diagnosis = mended()
    assert ("trial 3 of toy ran without a lease, and is waiting",) == said
    assert WAITS == wrong(diagnosis)


def test_owners_get_time_to_renew_their_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "PATIENCE_S", 30.0)
    die_amid_a_trial()
    waits: list[float] = []

    def renew(seconds: float) -> None:
        waits.append(seconds)
        change("UPDATE risexp_attempts SET expires_at = 9e9 WHERE ended IS NULL")

    monkeypatch.setattr(mend, "sleep", renew)

    diagnosis = found(fix=True)

    assert () == diagnosis.done
    assert max(waits) > 30.0
    assert {} == wrong(diagnosis)
