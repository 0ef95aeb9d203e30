"""Audits of what a search pruned start once, go on, and compare."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from risexp.app.search.derived import (
    AuditRequest,
    AuditResult,
    audit,
    check_auditable,
    is_auditable,
)
from risexp.app.search.search import SearchResult
from risexp.errors import InvalidInput
from risexp.hpo.store.address import embedded
from risexp.hpo.studies.study import TrialWord
from risexp.hpo.studies.table import StudyTable, TrialRow
from risexp.hpo.trials.trial_result import TrialResult, unsound
from risexp.runs.folder import runs_home
from risexp.space.study_spec import StudySpec
from tests.support.past_studies import database_with, delete_study, names_of_studies
from tests.support.searches import LR, Past, past, tiny
from tests.support.worker_pool import Employ, RecordingView, leave, study, train_by_rate
from tests.support.worker_processes import opened

AUDIT = AuditRequest(study="cut", share=1.0, device="cpu", tracking="off")
COMPLETE: tuple[Past, ...] = (
    ({LR: 3e-3}, [6.0, 5.0, 4.0], TrialResult("complete", "finished", 4.0)),
    ({LR: 1e-3}, [6.0, 5.0, 3.0], TrialResult("complete", "finished", 3.0)),
)
ENDED: tuple[Past, ...] = (
    ({LR: 2e-3}, [9.0, 8.0], TrialResult("pruned", "pruned")),
    ({LR: 4e-3}, [7.0], TrialResult("pruned", "pruned")),
    ({LR: 5e-3}, [7.0], unsound("non-finite")),
)


@pytest.fixture(scope="module")
def empty_database(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with `cut`, half pruned."""
    home = tmp_path_factory.mktemp("home")
    return database_with(lambda: pruned_study("cut", *COMPLETE, *ENDED), empty_database, home)


@pytest.fixture(autouse=True)
def home(at_home: Path) -> Path:
    return at_home


def pruned_study(name: str, *trials: Past) -> None:
    space = tiny(pruner={"kind": "median", "startup": 1})
    with opened(embedded()) as store:
        past(store, name, StudySpec.of(space), trials)


def audited(request: AuditRequest = AUDIT) -> AuditResult:
    return audit(request, RecordingView())


def test_an_audit_trains_pruned_trials_to_their_ends_with_their_values(pools: Employ) -> None:
    employed = pools(train_by_rate)

    result = audited()
    check_auditable(AUDIT)

    found = result.audit
    assert [0, 1] == employed[0].trained
    assert [(3, 1, 7.0, 4.0), (2, 2, 8.0, 2.0)] == [
        (trial.trial, trial.epoch, trial.last, trial.value) for trial in found.trials
    ]
    assert (1, 1.0, 3.0) == (found.better, found.regret, found.best)
    assert (2, 3, 13) == (found.saved.trials, found.saved.epochs, found.saved.of)
    document = result.as_json()
    assert document == json.loads(json.dumps(document, allow_nan=False))
    with study("cut-audit") as (_, after), study("cut") as (_, before):
        assert "none" == after.spec.space.pruner.kind
        for rate in (2e-3, 4e-3):
            assert before.spec.resolve({LR: rate}).config == after.spec.resolve({LR: rate}).config


def test_an_audit_goes_on_with_the_same_trials(pools: Employ) -> None:
    employed = pools(train_by_rate, leave)
    assert 1 == len(audited().audit.ended)
    with opened(embedded()) as store:
        cut = optuna.load_study(study_name="cut", storage=store.storage)
        again = cut.get_trials()[2]
        again.params = {LR: 1e-4}
        cut.add_trial(again)

    result = audited()

    assert [[0], [1]] == [pool.trained for pool in employed]
    assert [3, 2] == [trial.trial for trial in result.audit.trials]
    assert 3 == result.audit.saved.trials


def test_an_audit_does_not_go_on_with_another_share(pools: Employ) -> None:
    pools(leave)
    audited()

    for begin in (audited, check_auditable):
        with pytest.raises(
            InvalidInput, match=r"begun with --audit-share 1\.0 \(given: -\): give --study another"
        ):
            begin(replace(AUDIT, share=None))


def test_an_impossible_audit_is_refused_before_the_search_and_a_possible_one_makes_nothing() -> (
    None
):
    pruned_study("searched-audit", *COMPLETE)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"device": "tpu"}, "no device"),
        ({"study": "a b"}, "'a b-audit' is no name of a study"),
        ({"study": "x" * 91}, "is no name of a study: .* at most 96 of them"),
        ({"study": "searched"}, "study searched-audit is no audit: give --study another"),
    ]

    for change, message in cases:
        with pytest.raises(InvalidInput, match=message):
            check_auditable(replace(AUDIT, **change))
    for name in ("cut", "new", "x" * 90):
        check_auditable(replace(AUDIT, study=name))
    assert ["cut", "searched-audit"] == names_of_studies()


def test_without_a_store_only_runs_are_in_the_way_of_an_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "other"))

    check_auditable(AUDIT)

    assert not (tmp_path / "other").exists()
    folder = runs_home() / "cut-audit-000"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InvalidInput, match="runs of an earlier study"):
        check_auditable(AUDIT)


def test_the_audit_of_a_deleted_study_is_not_gone_on_with(pools: Employ) -> None:
    pools(train_by_rate)
    audited()
    delete_study("cut")
    message = "study cut-audit audits an earlier study cut, which is gone"

    with pytest.raises(InvalidInput, match=message):
        check_auditable(AUDIT)
    pruned_study("cut", *COMPLETE, *ENDED)
    with pytest.raises(InvalidInput, match=message):
        audited()


def test_a_search_that_is_over_or_good_enough_can_be_audited() -> None:
    cases: list[tuple[Sequence[TrialWord], float | None, int, bool]] = [
        (("complete", "pruned"), None, 0, True),
        (("complete", "pruned"), None, 130, False),
        (("complete", "waiting"), None, 0, False),
        (("complete", "waiting"), 3.5, 0, True),
        (("complete", "waiting"), 3.0, 0, False),
        (("complete", "running"), 3.5, 0, False),
        (("waiting", "waiting"), 3.5, 0, False),
    ]

    answers = []
    for words, until, code, _ in cases:
        rows = tuple(
            TrialRow(
                number, word, None, 1, 3, 3.0, 3.0, 3.0 if word == "complete" else None, {}, None
            )
            for number, word in enumerate(words)
        )
        result = SearchResult(StudyTable("toy", 2, None, rows), code, "", 0)
        answers.append(is_auditable(result, until))

    assert [expected for *_, expected in cases] == answers


def test_a_study_without_pruned_trials_needs_no_audit(pools: Employ) -> None:
    employed = pools()
    pruned_study("whole", *COMPLETE, ENDED[-1])

    result = audited(replace(AUDIT, study="whole"))

    assert (None, (), 0) == (result.searched, result.audit.trials, result.exit_code)
    assert result.as_json() == json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert [] == employed
    assert ["cut", "whole"] == names_of_studies()
    with pytest.raises(InvalidInput, match="there is no study 'toi'"):
        audited(replace(AUDIT, study="toi"))
