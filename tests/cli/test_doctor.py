"""`risexp doctor`: its table, its document and its exit codes."""

from pathlib import Path

import pytest

from risexp.app.doctor import fix
from tests.support.commands import Capture, document, run
from tests.support.homes import NAME, change_studies, die_amid_a_trial


@pytest.fixture(autouse=True)
def home(in_order: Path) -> Path:
    return in_order


def test_a_sound_home_exits_with_zero(capsys: Capture) -> None:
    code, out, err = run(capsys, "doctor")
    answer = document(capsys, "doctor --study toy")

    assert (0, "") == (code, err)
    assert ["verdict", "area", "what", "sentence"] == out.splitlines()[0].split()
    assert f"{NAME}: I5" in out
    assert not {"warn", "fail"} & {line.split()[0] for line in out.splitlines()}
    assert (0, []) == (answer["exit_code"], answer["done"])
    assert len(answer["checks"]) == answer["counts"]["ok"] > 10
    assert {"area", "what", "verdict", "sentence", "details"} == answer["checks"][0].keys()


def test_a_violation_exits_with_four_and_ends_the_message(capsys: Capture) -> None:
    change_studies("DELETE FROM trials WHERE number = 1")

    code, out, err = run(capsys, "doctor")

    assert 4 == code
    assert "risexp: toy: I1: no trial has slot 1 (1 of them)" in err
    assert "(and 1 more)" in err.splitlines()[-1]
    assert "fail" in {line.split()[0] for line in out.splitlines()}


def test_repairs_are_reported_once(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fix, "PATIENCE_S", 0.0)
    die_amid_a_trial()

    code, out, err = run(capsys, "doctor --fix")
    again = document(capsys, "doctor --fix")

    assert 0 == code
    assert "repaired: trial 3 of toy had an expired lease, and is waiting" in out
    assert "leases are over: their owners have 0 s to renew them" in err
    assert [] == again["done"]
