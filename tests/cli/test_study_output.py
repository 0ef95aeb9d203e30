"""The text of studies and audits, for few and for many searched fields."""

from collections.abc import Mapping

from pydantic import JsonValue

from risexp.app.search.derived import AuditResult
from risexp.app.search.search import SearchResult
from risexp.cli.study_output import beside_base, best_trial, say_audit, study_rows
from risexp.hpo.studies.audit import Audit, Audited, Saved
from risexp.hpo.studies.table import StudyTable, TrialRow
from tests.support.commands import Capture

MANY: Mapping[str, JsonValue] = {f"network.field_{index}": index for index in range(7)}


def row(number: int, value: float, values: Mapping[str, JsonValue]) -> TrialRow:
    return TrialRow(number, "complete", "finished", 1, 3, value, value, value, values, 1.0)


def study(*rows: TrialRow) -> StudyTable:
    return StudyTable("toy", len(rows), None, rows)


def test_few_fields_stand_in_the_row_and_many_do_not(capsys: Capture) -> None:
    study_rows([row(0, 2.0, {"loss.count": 0.5})])
    few = capsys.readouterr().out
    study_rows([row(0, 2.0, MANY)])
    many = capsys.readouterr().out

    assert "loss.count = 0.5" in few
    assert "network" not in many
    assert ["trial", "state", "epochs", "k_loc", "lowest", "why"] == many.split("\n")[0].split()


def test_the_best_trial_is_told_by_what_the_base_has_not(capsys: Capture) -> None:
    varied = {**MANY, "network.field_3": 0.12345, "count.smoothing": 0.1}
    base = {**MANY, "count.threshold": 0.5}

    best_trial(study(row(0, 2.0, base), row(1, 1.5, varied), row(2, 1.7, MANY)))

    out = capsys.readouterr().out.splitlines()
    assert "best: trial 1, k_loc 1.500, run toy-001" == out[0]
    assert [
        ["searched", "trial", "0", "trial", "1"],
        ["network.field_3", "3", "0.1235"],
        ["count.threshold", "0.5"],
        ["count.smoothing", "0.1"],
    ] == [line.split() for line in out[1:] if line]


def test_equal_and_waiting_trials_have_nothing_to_compare(capsys: Capture) -> None:
    waiting = TrialRow(1, "waiting", None, 0, 0, None, None, None, {}, None)
    equal = study(row(0, 1.0, MANY), row(1, 1.0, MANY))

    beside_base(equal, equal.trials[1])
    beside_base(study(row(0, 1.0, MANY), waiting), waiting)
    beside_base(study(waiting, row(1, 1.0, MANY)), row(1, 1.0, MANY))

    assert "" == capsys.readouterr().out


def test_an_audit_is_a_table_and_a_verdict(capsys: Capture) -> None:
    waiting = TrialRow(1, "waiting", None, 0, 0, None, None, None, {}, None)
    part = StudyTable("tiny-audit", 2, None, (row(0, 2.5, {}), waiting))
    audit = Audit("tiny", Saved(2, 3, 13), 3.0, (Audited(1, 2, 9.0, "complete", 2.5),))

    say_audit(AuditResult(audit, SearchResult(part, 0, "", 0)))

    out = capsys.readouterr().out.splitlines()
    assert ["1", "2", "9.000", "complete", "2.500", "-0.500"] == out[2].split()
    assert "study tiny-audit: 1 complete, 1 waiting of 2, 3 epochs" in out
    assert "audit: 1 of 1 would have been the best, by 0.500 of k_loc at most" in out
    assert "the same command goes on with the audit" == out[-1]

    say_audit(AuditResult(audit))

    message = "audit: study tiny ended no trial early, so there is nothing to audit"
    assert message == capsys.readouterr().out.strip()
