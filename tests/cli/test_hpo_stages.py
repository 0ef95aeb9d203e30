"""`risexp hpo` of a space with stages: one study a stage, and one table for all of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import JsonValue

from risexp.app.search.search import SearchResult
from risexp.app.search.stages import StageRow, StagesResult
from risexp.app.search.studies import show_study
from risexp.hpo.studies.study import TrialWord
from risexp.hpo.studies.table import StudyTable, TrialRow
from risexp.runs.folder import find_run
from risexp.space.derived import StageVerdict
from tests.support.commands import Capture, document, refused, run
from tests.support.searches import BLINK, write_space

HPO = "hpo --space terms --workers 1 --device cpu --unchecked"
WEIGHT = {"kind": "choice", "options": [0.0, 1.0]}


@pytest.fixture(autouse=True)
def terms(tmp_path: Path) -> None:
    """A space of two stages, each of two trials that take a blink; every value is kept."""
    space = {
        "base": "smoke",
        "trials": 2,
        "fixed": {**BLINK, "training.epochs": 2, "loss.structure_share": 0.1},
        "stages": {"subspace": {"loss.subspace": WEIGHT}, "cross": {"loss.cross": WEIGHT}},
        "keep": {"k_loc": 10.0, "k_acc": 1.0, "success_rate": 1.0},
        "sampler": {"kind": "random"},
        "pruner": {"kind": "none"},
    }
    write_space(tmp_path, "terms", space)


@pytest.mark.slow
def test_stages_are_searched_one_after_the_other_and_read_again(capsys: Capture) -> None:
    told = document(capsys, f"{HPO} --tracking off")

    assert ["subspace", "cross"] == [each["stage"] for each in told["stages"]]
    assert {"loss.subspace": 1.0, "loss.cross": 1.0} == told["kept"]
    assert ([], 0) == (told["left"], told["exit_code"])
    assert 1.0 == find_run("terms-cross-000").config().loss.subspace
    assert [1, 1] == [each.attempts for each in show_study("terms-cross").trials]

    code, out, _ = run(capsys, f"{HPO} --tracking off")

    assert 0 == code
    assert "kept: --set loss.subspace=1.0 --set loss.cross=1.0" in out
    assert [1, 1] == [each.attempts for each in show_study("terms-cross").trials]


def stage(name: str, states: tuple[TrialWord, ...], verdict: StageVerdict | None) -> StageRow:
    rows = tuple(
        TrialRow(number, state, None, 1, 2, 4.0, 4.0, 4.0 if state == "complete" else None, {}, 1.0)
        for number, state in enumerate(states)
    )
    ended = "60 s are over" if "waiting" in states else None
    table = StudyTable(f"terms-{name}", len(rows), ended, rows)
    return StageRow(name, SearchResult(table, 0, "", 0), verdict, None if verdict is None else 1)


MOVED = {"k_loc": -0.25, "k_acc": 0.01, "success_rate": 0.0}
KEPT = stage(
    "subspace",
    ("complete", "complete"),
    StageVerdict({"loss.subspace": 1.0}, "kept: its best trial has more", MOVED),
)


def result(*rows: StageRow, left: tuple[str, ...] = (), fault: str | None = None) -> StagesResult:
    kept = {"loss.subspace": 1.0}
    settings: dict[str, JsonValue] = {"training.epochs": 2, "count.kind": "two words", **kept}
    return StagesResult(
        "terms", "smoke", rows, left, kept, settings, 0 if fault is None else 4, fault
    )


@pytest.fixture
def finds(monkeypatch: pytest.MonkeyPatch) -> Callable[[StagesResult], None]:
    """Gives the next search its result."""
    place = "risexp.app.search.stages.search_stages"
    return lambda result: monkeypatch.setattr(place, lambda *_: result)


def test_the_table_says_what_each_stage_changed_and_how_to_train_the_result(
    capsys: Capture, finds: Callable[[StagesResult], None]
) -> None:
    finds(result(KEPT))

    code, out, _ = run(capsys, HPO)

    assert 0 == code
    headings, row, *rest = out.splitlines()
    assert ["stage", "trials", "best", "k_loc", "by"] == headings.split()[:5]
    assert "subspace  2 of 2  1     -0.250    +0.010    +0.000" in row
    assert row.endswith("kept: its best trial has more")
    assert "kept: --set loss.subspace=1.0" in rest
    train = "next:  risexp train --preset smoke -s training.epochs=2 -s 'count.kind=two words'"
    assert f"{train} -s loss.subspace=1.0" in rest


def test_stages_without_a_verdict_are_named_and_one_that_fails_gives_its_reason(
    capsys: Capture, finds: Callable[[StagesResult], None]
) -> None:
    begun = stage("cross", ("complete", "waiting"), None)
    finds(result(KEPT, begun, left=("cross", "margin")))

    code, out, _ = run(capsys, HPO)

    assert 0 == code
    assert "none: 60 s are over" in out
    assert "2 stages without a verdict: cross, margin" in out
    assert "the same command goes on" in out
    assert "risexp train" not in out
    finds(result(KEPT, left=("cross",), fault="stage cross: nobody was asked"))
    code, out, err = run(capsys, f"{HPO} --json")
    assert (4, "stage cross: nobody was asked") == (code, json.loads(out)["fault"])
    assert "stage cross: nobody was asked" in err


def test_a_bound_of_the_score_is_refused(capsys: Capture, tmp_path: Path) -> None:
    refused(capsys, f"{HPO} --until k_loc<4", "--until ends a study")

    assert not (tmp_path / "mlruns").exists()
