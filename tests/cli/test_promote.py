"""Output and exit codes of `promote`, `rollback` and `models`."""

import json
from pathlib import Path

import pytest

from risexp.app.promotion import promote as module
from risexp.tracking.stores import embedded
from tests.support.commands import Capture, document, refused, run
from tests.support.promotions import alone, answering, evidence, kept
from tests.support.uploads import place

FIRST = "promote --run train-1 --scenes 60"
SECOND = "promote --run train-2 --scenes 60"


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs, the first one champion."""
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.delenv("RISEXP_TRACKING_URI")
    place(embedded())
    kept("train-1")
    kept("train-2", seed=1)
    monkeypatch.setattr(module, "evaluate_candidates", answering(alone()))


def test_a_promotion_shows_scores_gates_and_what_to_load(capsys: Capture) -> None:
    code, out, _ = run(capsys, FIRST)

    assert 0 == code
    assert "candidate  0.5" in out
    assert "always 1" in out
    assert "better success_rate  skipped" in out
    assert "version 1 of ris-localizer is champion: models:/ris-localizer@champion" in out


def test_a_failed_gate_exits_with_3_and_names_it(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, FIRST)
    before = run(capsys, "models list --json")
    monkeypatch.setattr(module, "evaluate_candidates", answering(evidence(ms_ratio=9.0)))

    code, out, err = run(capsys, f"{SECOND} --json")

    assert 3 == code
    assert "risexp: a gate failed, and nothing was changed: time\n" in err
    result = json.loads(out)
    assert (False, None, 1) == (result["passed"], result["version"], result["champion"])
    verdicts = {verdict["gate"]: verdict["verdict"] for verdict in result["verdicts"]}
    assert "failed" == verdicts["time"]
    assert before == run(capsys, "models list --json")


def test_versions_are_listed_shown_and_taken_back(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, FIRST)
    monkeypatch.setattr(module, "evaluate_candidates", answering(evidence()))
    run(capsys, SECOND)

    code, out, _ = run(capsys, "models list")
    assert 0 == code
    assert ["2", "champion"] == out.splitlines()[1].split()[1:3]
    assert ["1", "previous"] == out.splitlines()[2].split()[1:3]
    assert "## Gates" in run(capsys, "models show ris-localizer@champion")[1]
    assert "train-2" == document(capsys, "models show ris-localizer/2")["tags"]["risexp.run"]

    assert {"was": 2, "version": 1}.items() <= document(capsys, "rollback").items()
    assert 2 == run(capsys, "rollback")[0]


def test_impossible_requests_are_refused_in_a_sentence(capsys: Capture) -> None:
    for command, said in (
        ("promote", "name a run to promote"),
        ("promote --run train-3", "there is no run 'train-3'"),
        ("promote --run train-1 --gates nope", "there are no gates 'nope'"),
        ("promote --run train-1 --name a:b", "is no name of a model"),
        ("promote --run train-1 --test-set nowhere", "there is no folder nowhere"),
        ("promote --run train-1 --tracking off", "tracking is off"),
        ("rollback", "no version of ris-localizer is champion"),
        ("models show other", "there is no model 'other'"),
        ("models show a@b@c", "name models:/NAME@ALIAS or models:/NAME/3"),
    ):
        refused(capsys, command, said)
    assert [] == document(capsys, "models list")
