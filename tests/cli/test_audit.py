"""`risexp hpo --audit`: what cannot be audited, and a search whose pruned trials are."""

import json
from pathlib import Path

import pytest

from risexp.app.search.audit import AuditRequest, AuditResult
from risexp.app.search.search import SearchResult
from risexp.cli.audit import say_audit
from risexp.errors import EnvironmentFailed
from risexp.hpo.store.store import find_store
from risexp.hpo.studies.audits import Audit, Audited, Saved
from risexp.hpo.studies.study import find_study
from risexp.hpo.studies.table import StudyTable, TrialRow, TrialWord
from risexp.runs.folder import runs_home
from tests.support.commands import Capture, document, run
from tests.support.searches import BLINK

RATE = "training.optimizer.lr"
HPO = "hpo --space tiny --workers 1 --device cpu --unchecked --audit"


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path) -> None:
    """A space of a base that learns and of one other trial, which does not."""
    folder = tmp_path / "search_spaces"
    folder.mkdir()
    space = {
        "base": "smoke",
        "trials": 2,
        "fixed": {**BLINK, "training.epochs": 4},
        "start": {RATE: 0.1},
        "vary": {RATE: {"kind": "choice", "options": [0.1, 1e-7]}},
        "pruner": {"kind": "median", "startup": 1, "warmup": 1},
    }
    (folder / "tiny.yaml").write_text(json.dumps(space), encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (f"{HPO} --audit-share 0", "--audit-share 0 audits nothing"),
        (f"{HPO} --audit-share 1.5", "--audit-share"),
        ("hpo --space tiny --audit-share 0.5", "--audit-share 0.5 of nothing: give --audit"),
        ("hpo --space structure --audit", "has stages, each of which is a study: leave it out, or"),
        (f"{HPO} --study {'x' * 91}", "-audit' is no name of a study"),
    ],
)
def test_what_cannot_be_audited_is_one_sentence_and_leaves_nothing_behind(
    capsys: Capture, tmp_path: Path, command: str, said: str
) -> None:
    code, out, err = run(capsys, command)

    assert (2, "") == (code, out)
    assert said in err
    assert 1 == err.count("\n")
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


@pytest.fixture
def audit_in_the_way() -> None:
    """The runs of an audit whose study is gone."""
    left = runs_home() / "tiny-audit-000"
    left.mkdir(parents=True)
    (left / "config.json").write_text("{}", encoding="utf-8")


@pytest.mark.usefixtures("audit_in_the_way")
def test_an_audit_that_cannot_be_is_refused_before_the_search(
    capsys: Capture, tmp_path: Path
) -> None:
    code, out, err = run(capsys, HPO)

    assert (2, "") == (code, out)
    assert "risexp: runs of an earlier study 'tiny-audit' are in" in err
    assert not (tmp_path / "mlruns" / "optuna.db").exists()


def row(number: int, state: TrialWord, value: float | None = None) -> TrialRow:
    return TrialRow(number, state, state, 1, 2, 9.0, 9.0, value, {RATE: 0.1}, 1.0)


def searched(study: str, *rows: TrialRow, code: int = 0, fault: str | None = None) -> SearchResult:
    return SearchResult(StudyTable(study, len(rows), None, rows), code, "", 0, pruner_fault=fault)


OVER = searched("tiny", row(0, "complete", 3.0), row(1, "pruned"))
ONE = Audited(1, 2, 9.0, "complete", 2.5)


def done(*trials: Audited, within: SearchResult | None = None) -> AuditResult:
    return AuditResult(Audit("tiny", Saved(2, 3, 13), 3.0, trials), within)


class Steps:
    """A search and its audit that end as they are told to, and what the audit was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found = OVER
        self.audit: AuditResult | Exception = done(ONE, within=searched("tiny-audit"))
        self.asked: list[AuditRequest] = []
        monkeypatch.setattr("risexp.app.search.search.search", lambda *_: self.found)
        monkeypatch.setattr("risexp.app.search.audit.audit", self._audit)

    def _audit(self, wanted: AuditRequest, *_: object) -> AuditResult:
        self.asked.append(wanted)
        if isinstance(self.audit, Exception):
            raise self.audit
        return self.audit


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


@pytest.mark.parametrize("error", [EnvironmentFailed("no space"), OSError(28, "no space")])
def test_what_a_search_found_is_said_though_its_audit_fails(
    capsys: Capture, steps: Steps, error: Exception
) -> None:
    steps.audit = error

    code, out, err = run(capsys, HPO)
    assert (1, 1) == (code, out.count("study tiny: 1 complete, 1 pruned of 2"))
    assert "no space" in err

    code, out, _ = run(capsys, f"{HPO} --json")
    told = json.loads(out)
    assert (1, None, 2) == (code, told["audit"], len(told["trials"]))
    assert told["said"][-1].startswith("the audit failed: ")
    assert "no space" in told["said"][-1]


def test_the_search_is_said_before_its_audit_begins(
    capsys: Capture, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[str] = []

    def late(*_: object) -> AuditResult:
        before.append(capsys.readouterr().out)
        return done(ONE)

    monkeypatch.setattr("risexp.app.search.audit.audit", late)

    run(capsys, HPO)

    assert OVER == steps.found
    assert "study tiny: 1 complete, 1 pruned of 2" in before[0]


def test_a_search_that_ended_by_its_bound_is_audited(capsys: Capture, steps: Steps) -> None:
    steps.found = searched("tiny", row(0, "complete", 3.0), row(1, "waiting"))

    run(capsys, f"{HPO} --until k_loc<3.5")
    assert 1 == len(steps.asked)

    code, out, err = run(capsys, f"{HPO} --until k_loc<3 --json")
    assert (0, 1) == (code, len(steps.asked))
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
        (each.timeout_s, each.trial_timeout_s) for each in steps.asked
    ]


def test_the_fault_of_an_audits_own_pruner_is_its_end(capsys: Capture, steps: Steps) -> None:
    steps.audit = done(within=searched("tiny-audit", code=4, fault="nobody asked"))

    code, _, err = run(capsys, HPO)

    assert 4 == code
    assert err.endswith("risexp: study tiny-audit: nobody asked\n")


def test_an_audit_ends_with_its_study_in_a_sentence(capsys: Capture) -> None:
    part = searched("tiny-audit", row(0, "complete", 2.5), row(1, "waiting"))

    say_audit(done(ONE, within=part))

    out = capsys.readouterr().out.splitlines()
    assert ["1", "2", "9.000", "complete", "2.500", "-0.500"] == out[2].split()
    assert "study tiny-audit: 1 complete, 1 waiting of 2, 4 epochs" in out
    assert "audit: 1 of 1 would have been the best, by 0.500 of k_loc at most" in out
    assert "the same command goes on with the audit" == out[-1]


def test_a_study_that_ended_no_trial_early_is_said_to_need_no_audit(capsys: Capture) -> None:
    say_audit(done())

    said = "audit: study tiny ended no trial early, so there is nothing to audit"
    assert said == capsys.readouterr().out.strip()


def reports(study: str, number: int) -> dict[int, float]:
    """What a trial reported, by epoch."""
    store = find_store()
    try:
        found = store.storage.get_all_trials(find_study(store, study).id)[number]
        return dict(found.intermediate_values)
    finally:
        store.close()
