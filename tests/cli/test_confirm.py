"""`risexp confirm`: refusals, a confirmation, and its table."""

from pathlib import Path

import pytest

from risexp.app.search.derived import ConfirmResult
from risexp.app.search.search import SearchResult
from risexp.cli.confirm import say_confirmed
from risexp.hpo.studies.confirmation import Confirmation, ConfirmedPoint
from risexp.hpo.studies.table import StudyTable
from risexp.runs.folder import find_run
from tests.support.commands import Capture, document, refused, run
from tests.support.searches import BLINK, RATE, PoolHere, write_space

CONFIRM = "confirm --study tiny --top 1 --seeds 2 --workers 1 --device cpu"


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A space of two trials that take a blink, and a worker in this process."""
    space = {"base": "smoke", "trials": 2, "fixed": {**BLINK, "training.epochs": 1}, "vary": RATE}
    write_space(tmp_path, "tiny", space)
    monkeypatch.setattr("risexp.app.search.supervisor.WorkerPool", PoolHere)


def test_an_impossible_confirmation_is_refused_in_one_sentence_and_leaves_nothing_behind(
    capsys: Capture, tmp_path: Path
) -> None:
    for command, message in (
        ("confirm", "--study"),
        (CONFIRM, "no search has been made"),
        (f"{CONFIRM} --top 0", "--top"),
        (f"{CONFIRM} --seeds 1", "--seeds"),
        (f"{CONFIRM} --epochs 0", "--epochs"),
        (f"{CONFIRM} --name a/b", "'a/b' is no name of a study"),
        (f"{CONFIRM} --timeout 2", "--timeout 2: give a number and s, m or h"),
        ("confirm --study tiny --device tpu", "no device"),
    ):
        refused(capsys, command, message)
    assert not (tmp_path / "mlruns").exists()


def test_a_search_is_confirmed_at_the_presets_length(capsys: Capture) -> None:
    run(capsys, "hpo --space tiny --workers 1 --device cpu --unchecked")

    told = document(capsys, CONFIRM)

    assert ([1, 2], 3, [0, 1]) == (
        told["seeds"],
        told["epochs"],
        sorted(each["trial"] for each in told["candidates"]),
    )
    assert [3] * 4 == [each["epoch"] for each in told["study"]["trials"]]
    assert {"tiny-confirm"} == {told["study"]["study"]}
    for number, seed in enumerate([1, 1, 2, 2]):
        config = find_run(f"tiny-confirm-{number:03d}").config()
        assert (seed, 3) == (config.training.seed, config.training.epochs)
        assert 1 == config.data.seed

    code, out, _ = run(capsys, CONFIRM)

    assert 0 == code
    lines = out.splitlines()
    assert ["base", "1"] == sorted(line.split()[0] for line in lines[1:3])[::-1]
    assert "rank correlation of k_loc before and now: none, 1 of the trials beside the base" in out
    assert f"next:  risexp eval {told['best_run']} --against nomp" == lines[-2]


def candidate(trial: int, *scores: float, rank: int | None = None) -> ConfirmedPoint:
    return ConfirmedPoint(trial, {}, 2.0, dict(enumerate(scores, start=1)), 0, 1, rank)


def confirmed(*candidates: ConfirmedPoint, agreement: float | None = None) -> ConfirmResult:
    table = StudyTable("tiny-confirm", 2, None, ())
    told = Confirmation(candidates, candidates[0], (1, 2), agreement, 3)
    return ConfirmResult("tiny", 3, told, SearchResult(table, 0, "", 0))


def test_a_confirmation_says_its_best_the_order_it_rests_on_or_that_every_candidate_lost_a_seed(
    capsys: Capture,
) -> None:
    say_confirmed(confirmed(candidate(0, 3.0, 3.0, rank=1), agreement=0.5))
    out = capsys.readouterr().out
    say_confirmed(confirmed(candidate(0, 3.0), candidate(1, 2.0)))
    last = capsys.readouterr().out.splitlines()[-1]

    assert "rank correlation of k_loc before and now: +0.50, over 3 trials beside the base" in out
    assert "best: the base, k_loc 3.000 over 2 seeds" in out
    assert (
        "no candidate came to its end under every seed: see risexp study show tiny-confirm" == last
    )
