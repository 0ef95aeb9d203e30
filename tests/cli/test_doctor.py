"""`risexp doctor`: what it says, and what it leaves with."""

from pathlib import Path

import pytest

from risexp.app.doctor import fix as mend
from tests.support.commands import Capture, document, run
from tests.support.homes import NAME, change, taken, the_study


@pytest.fixture(autouse=True)
def home(in_order: Path) -> Path:
    """A home in which everything is in order."""
    return in_order


def test_what_is_in_order_leaves_with_zero(capsys: Capture) -> None:
    code, out, err = run(capsys, "doctor")

    assert (0, "") == (code, err)
    assert ["verdict", "area", "what", "said"] == out.splitlines()[0].split()
    assert f"{NAME}: I5" in out
    assert not {"warn", "fail"} & {line.split()[0] for line in out.splitlines()}


def test_it_is_one_document_where_that_is_asked_for(capsys: Capture) -> None:
    told = document(capsys, "doctor --study toy")

    assert (0, []) == (told["exit_code"], told["done"])
    assert len(told["checks"]) == told["counts"]["ok"] > 10
    assert {"area", "what", "verdict", "sentence", "details"} == told["checks"][0].keys()


def test_a_violation_leaves_with_four_and_is_the_last_word(capsys: Capture) -> None:
    change("DELETE FROM trials WHERE number = 1")

    code, out, err = run(capsys, "doctor")

    assert 4 == code
    assert "risexp: toy: I1: no trial has slot 1 (1 of them)" in err
    assert "(and 1 more)" in err.splitlines()[-1]
    assert "fail" in {line.split()[0] for line in out.splitlines()}


def test_a_machine_that_fails_leaves_with_one(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_TRACKING_URI", "http://127.0.0.1:9")

    code, _, err = run(capsys, "doctor --json")

    assert 1 == code
    assert "records: http://127.0.0.1:9 cannot be used (the store does not answer" in err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("doctor --study tox", "there is no study 'tox'"),
        ("doctor --study toy --study tox --fix", "there is no study 'tox'"),
    ],
)
def test_a_study_that_is_not_there_is_refused(capsys: Capture, command: str, said: str) -> None:
    code, out, err = run(capsys, command)

    assert (2, "") == (code, out)
    assert said in err


def test_what_was_mended_is_said_once(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "PATIENCE_S", 0.0)
    with the_study(begin=4) as (store, study):
        taken(store, study)
    change("UPDATE risexp_attempts SET expires_at = 0 WHERE ended IS NULL")

    code, out, err = run(capsys, "doctor --fix")
    again = document(capsys, "doctor --fix")

    assert 0 == code
    assert "mended: trial 3 of toy was held by nobody, and is waiting" in out
    assert "leases are over: their owners have 0 s to renew them" in err
    assert [] == again["done"]
