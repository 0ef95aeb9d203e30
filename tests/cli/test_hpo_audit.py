"""`risexp hpo --audit`: refusals, and a search whose pruned trials are audited."""

import json
from pathlib import Path

import pytest

from risexp.app.search.derived import AuditRequest, AuditResult
from risexp.app.search.search import SearchResult
from risexp.app.search.studies import open_studies
from risexp.errors import EnvironmentFailed
from risexp.hpo.store.store import find_store
from risexp.hpo.studies.audit import Audit, Audited, Saved
from risexp.hpo.studies.study import TrialWord, find_study
from risexp.hpo.studies.table import StudyTable, TrialRow
from tests.support.commands import Capture, document, refused, run
from tests.support.searches import BLINK, LR, PoolHere, write_space

HPO = "hpo --space tiny --workers 1 --device cpu --unchecked --audit"


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A space of a base that learns and of one other trial that does not; a worker here."""
    space = {
        "base": "smoke",
        "trials": 2,
        "fixed": {**BLINK, "training.epochs": 4},
        "start": {LR: 0.1},
        "vary": {LR: {"kind": "choice", "options": [0.1, 1e-7]}},
        "pruner": {"kind": "median", "startup": 1, "warmup": 1},
    }
    write_space(tmp_path, "tiny", space)
    monkeypatch.setattr("risexp.app.search.supervisor.WorkerPool", PoolHere)


def test_an_impossible_audit_is_refused_in_one_sentence_and_leaves_nothing_behind(
    capsys: Capture, tmp_path: Path
) -> None:
    for command, message in (
        (f"{HPO} --audit-share 0", "--audit-share 0 audits nothing"),
        (f"{HPO} --audit-share 1.5", "--audit-share"),
        ("hpo --space tiny --audit-share 0.5", "--audit-share 0.5 of nothing: give --audit"),
        ("hpo --space structure --audit", "has stages, each of which is a study: leave it out, or"),
        (f"{HPO} --study {'x' * 91}", "-audit' is no name of a study"),
    ):
        refused(capsys, command, message)
    assert not (tmp_path / "mlruns").exists()


def test_a_search_says_what_pruning_saved_and_what_it_cost(capsys: Capture) -> None:
    told = document(capsys, HPO)

    assert ["complete", "pruned"] == [each["state"] for each in told["trials"]]
    epoch = told["trials"][1]["epoch"]
    assert {"trials": 1, "epochs": 4 - epoch, "of": 8} == told["saved"] == told["audit"]["saved"]
    (audited,) = told["audit"]["trials"]
    assert (1, epoch, "complete") == (audited["trial"], audited["epoch"], audited["state"])
    assert (0, 0.0) == (told["audit"]["better_than_best"], told["audit"]["regret"])
    before, after = reports("tiny", 1), reports("tiny-audit", 0)
    assert before == dict(list(after.items())[:epoch])
    assert 4 == len(after)

    code, out, _ = run(capsys, HPO)

    assert 0 == code
    assert f"pruning saved {4 - epoch} of 8 epochs" in out
    assert "audit: 1 of 1 trials that were ended early came to their ends in study" in out
    assert "audit: 0 of 1 would have been the best" in out


def row(number: int, state: TrialWord, value: float | None = None) -> TrialRow:
    return TrialRow(number, state, state, 1, 2, 9.0, 9.0, value, {LR: 0.1}, 1.0)


def searched(study: str, *rows: TrialRow, code: int = 0, fault: str | None = None) -> SearchResult:
    return SearchResult(StudyTable(study, len(rows), None, rows), code, "", 0, pruner_fault=fault)


OVER = searched("tiny", row(0, "complete", 3.0), row(1, "pruned"))
ONE = Audited(1, 2, 9.0, "complete", 2.5)


def done(*trials: Audited, within: SearchResult | None = None) -> AuditResult:
    return AuditResult(Audit("tiny", Saved(2, 3, 13), 3.0, trials), within)


class Steps:
    """The results that a search and its audit are to have, and the requests of the audit."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.result = OVER
        self.audit: AuditResult | Exception = done(ONE, within=searched("tiny-audit"))
        self.requests: list[AuditRequest] = []
        monkeypatch.setattr("risexp.app.search.search.search", lambda *_: self.result)
        monkeypatch.setattr("risexp.app.search.derived.audit", self._audit)

    def _audit(self, request: AuditRequest, *_: object) -> AuditResult:
        self.requests.append(request)
        if isinstance(self.audit, Exception):
            raise self.audit
        return self.audit


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


def test_the_result_of_a_search_is_printed_though_its_audit_fails(
    capsys: Capture, steps: Steps
) -> None:
    for error in (EnvironmentFailed("no space"), OSError(28, "no space")):
        steps.audit = error

        code, out, err = run(capsys, HPO)
        assert (1, 1) == (code, out.count("study tiny: 1 complete, 1 pruned of 2"))
        assert "no space" in err
        code, out, _ = run(capsys, f"{HPO} --json")
        result = json.loads(out)
        assert (1, None, 2) == (code, result["audit"], len(result["trials"]))
        assert result["said"][-1].startswith("the audit failed: ")
        assert "no space" in result["said"][-1]


def test_the_result_of_a_search_is_printed_before_its_audit_starts(
    capsys: Capture, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[str] = []

    def late(*_: object) -> AuditResult:
        before.append(capsys.readouterr().out)
        return done(ONE)

    monkeypatch.setattr("risexp.app.search.derived.audit", late)

    run(capsys, HPO)

    assert OVER == steps.result
    assert "study tiny: 1 complete, 1 pruned of 2" in before[0]


def test_a_search_that_ended_by_its_bound_is_audited(capsys: Capture, steps: Steps) -> None:
    steps.result = searched("tiny", row(0, "complete", 3.0), row(1, "waiting"))

    run(capsys, f"{HPO} --until k_loc<3.5")
    assert 1 == len(steps.requests)

    code, out, err = run(capsys, f"{HPO} --until k_loc<3 --json")
    assert (0, 1) == (code, len(steps.requests))
    sentence = "study tiny is not over: it is audited by the same command once it is"
    assert sentence in err
    told = json.loads(out)
    assert (None, [sentence]) == (told["audit"], told["said"])


def test_an_audit_has_what_is_left_of_the_time(
    capsys: Capture, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 130.0, 200.0, 290.0])
    monkeypatch.setattr("risexp.cli.hpo.monotonic", lambda: next(clock))

    run(capsys, f"{HPO} --timeout 1m --trial-timeout 5s")
    run(capsys, f"{HPO} --timeout 1m")
    monkeypatch.undo()

    assert [(30.0, None), (0.0, None)] == [
        (each.timeout_s, each.trial_timeout_s) for each in steps.requests
    ]


def test_the_fault_of_an_audits_own_pruner_fails_the_command(capsys: Capture, steps: Steps) -> None:
    steps.audit = done(within=searched("tiny-audit", code=4, fault="nobody asked"))

    code, _, err = run(capsys, HPO)

    assert 4 == code
    assert err.endswith("risexp: study tiny-audit: nobody asked\n")


def reports(study: str, number: int) -> dict[int, float]:
    with open_studies(find_store) as store:
        trial = store.storage.get_all_trials(find_study(store, study).id)[number]
        return dict(trial.intermediate_values)
