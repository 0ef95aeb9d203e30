"""Trials that a study ended early, trained to their ends: begun once, gone on with, and told."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from pydantic import JsonValue

from risexp.app.search.audit import AuditRequest, AuditResult, audit, expect_possible, is_auditable
from risexp.app.search.search import SearchResult
from risexp.errors import InvalidInput
from risexp.hpo.store.address import embedded
from risexp.hpo.studies.facts import spec_from_facts
from risexp.hpo.studies.study import study_names
from risexp.hpo.studies.table import StudyTable, TrialRow, TrialWord
from risexp.hpo.trials.trial_result import TrialResult, unsound
from risexp.runs.folder import runs_home
from risexp.space.study_spec import StudySpec
from tests.support.searches import Past, past, tiny
from tests.support.worker_pool import Employ, Hands, study, train
from tests.support.worker_processes import opened

LR = "training.optimizer.lr"
WANTED = AuditRequest(study="toy", share=1.0, device="cpu", tracking="off")
DONE: tuple[Past, ...] = (
    ({LR: 3e-3}, [6.0, 5.0, 4.0], TrialResult("complete", "finished", 4.0)),
    ({LR: 1e-3}, [6.0, 5.0, 3.0], TrialResult("complete", "finished", 3.0)),
)
ENDED: tuple[Past, ...] = (
    ({LR: 2e-3}, [9.0, 8.0], TrialResult("pruned", "pruned")),
    ({LR: 4e-3}, [7.0], TrialResult("pruned", "pruned")),
    ({LR: 5e-3}, [7.0], unsound("non-finite")),
)


@pytest.fixture(autouse=True)
def toy(at_home: Path) -> None:
    """A study of three epochs, two of whose trials its pruner ended."""
    del at_home
    searched_before("toy", *DONE, *ENDED)


def searched_before(name: str, *trials: Past) -> None:
    space = tiny(pruner={"kind": "median", "startup": 1})
    with opened(embedded()) as store:
        past(store, name, StudySpec.of(space), trials)


def by_rate(_: int, values: Mapping[str, JsonValue]) -> float:
    return 1000.0 * float(str(values[LR]))


def judge(crew: Hands) -> None:
    """Do the next trials, scored so."""
    crew.score = by_rate
    train(crew)


def leave(crew: Hands) -> None:
    crew.pids = ()


def audited(wanted: AuditRequest = WANTED) -> AuditResult:
    return audit(wanted, lambda *_: None, lambda _: None)


def test_what_was_ended_early_is_trained_to_its_end(hands: Employ) -> None:
    crews = hands(judge)

    found = audited()

    told = found.audit
    assert [0, 1] == crews[0].trained
    assert [(3, 1, 7.0, 4.0), (2, 2, 8.0, 2.0)] == [
        (each.trial, each.epoch, each.last, each.value) for each in told.trials
    ]
    assert (1, 1.0, 3.0) == (told.better, told.regret, told.best)
    assert (2, 3, 13) == (told.saved.trials, told.saved.epochs, told.saved.of)
    assert found.as_json() == json.loads(json.dumps(found.as_json(), allow_nan=False))
    with study("toy-audit") as (_, ref):
        assert "none" == spec_from_facts("toy-audit", ref.facts).space.pruner.kind


def test_the_audited_are_the_same_runs_as_before(hands: Employ) -> None:
    hands(judge)

    audited()

    with study("toy-audit") as (_, after), study("toy") as (_, before):
        one, other = (spec_from_facts(each.name, each.facts) for each in (before, after))
    for rate in (2e-3, 4e-3):
        assert one.resolve({LR: rate}).config == other.resolve({LR: rate}).config


def test_it_goes_on_with_the_same_trials(hands: Employ) -> None:
    crews = hands(judge, leave)
    assert 1 == len(audited().audit.ended)
    with opened(embedded()) as store:
        more = optuna.load_study(study_name="toy", storage=store.storage)
        more.add_trial(replaced(more.get_trials()[2], 1e-4))

    found = audited()

    assert [[0], [1]] == [crew.trained for crew in crews]
    assert [3, 2] == [each.trial for each in found.audit.trials]
    assert 3 == found.audit.saved.trials


def replaced(trial: optuna.trial.FrozenTrial, rate: float) -> optuna.trial.FrozenTrial:
    trial.params = {LR: rate}
    return trial


def test_it_does_not_go_on_with_another_share(hands: Employ) -> None:
    hands(judge)
    audited()

    with pytest.raises(
        InvalidInput, match=r"--audit-share 1\.0 \(given: default\).*: give --audit-s"
    ):
        audited(replace(WANTED, share=None))


def test_it_goes_on_without_a_share_where_none_was_given(hands: Employ) -> None:
    hands(judge)
    audited(replace(WANTED, share=None))

    with pytest.raises(InvalidInput, match=r"share default \(given: 1\.0\).*: leave --audit-share"):
        audited()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (replace(WANTED, share=None), r"study toy-audit was begun with --audit-share 1\.0"),
        (replace(WANTED, device="tpu"), "no device"),
        (replace(WANTED, study="a b"), "'a b-audit' is no name of a study"),
        (replace(WANTED, study="x" * 91), "is no name of a study: .* at most 96 of them"),
    ],
)
def test_what_cannot_be_audited_is_known_beforehand(
    hands: Employ, wanted: AuditRequest, said: str
) -> None:
    hands(judge)
    audited()

    with pytest.raises(InvalidInput, match=said):
        expect_possible(wanted)


def test_what_can_be_audited_is_not_refused_and_nothing_is_made(hands: Employ) -> None:
    expect_possible(WANTED)
    expect_possible(replace(WANTED, study="new"))
    expect_possible(replace(WANTED, study="x" * 90))
    hands(judge)
    audited()
    expect_possible(WANTED)

    with opened(embedded()) as store:
        assert ["toy", "toy-audit"] == study_names(store)


def test_before_there_is_a_store_only_runs_are_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "other"))

    expect_possible(WANTED)

    assert not (tmp_path / "other").exists()
    with run_named("toy-audit-000"), pytest.raises(InvalidInput, match="runs of an earlier study"):
        expect_possible(WANTED)


@contextmanager
def run_named(name: str) -> Iterator[None]:
    """A run that another study left."""
    folder = runs_home() / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    yield


def test_the_audit_of_an_earlier_study_is_named_as_such(hands: Employ) -> None:
    hands(judge)
    audited()
    with opened(embedded()) as store:
        optuna.delete_study(study_name="toy", storage=store.storage)
    said = "study toy-audit audits an earlier study toy, which is gone"

    with pytest.raises(InvalidInput, match=said):
        expect_possible(WANTED)
    searched_before("toy", *DONE, *ENDED)
    with pytest.raises(InvalidInput, match=said):
        audited()


def test_a_search_that_has_the_name_is_no_audit(hands: Employ) -> None:
    hands()
    searched_before("toy-audit", *DONE)

    with pytest.raises(InvalidInput, match="study toy-audit is no audit: give --study another"):
        expect_possible(WANTED)


@pytest.mark.parametrize(
    ("states", "until", "code", "said"),
    [
        (("complete", "pruned"), None, 0, True),
        (("complete", "pruned"), None, 130, False),
        (("complete", "waiting"), None, 0, False),
        (("complete", "waiting"), 3.5, 0, True),
        (("complete", "waiting"), 3.0, 0, False),
        (("complete", "running"), 3.5, 0, False),
        (("waiting", "waiting"), 3.5, 0, False),
    ],
)
def test_what_is_over_or_good_enough_can_be_audited(
    states: Sequence[TrialWord], until: float | None, code: int, said: bool
) -> None:
    rows = tuple(
        TrialRow(
            number, state, None, 1, 3, 3.0, 3.0, 3.0 if state == "complete" else None, {}, None
        )
        for number, state in enumerate(states)
    )

    found = SearchResult(StudyTable("toy", 2, None, rows), code, "", 0)

    assert said == is_auditable(found, until)


def test_where_nothing_was_ended_early_there_is_nothing_to_audit(hands: Employ) -> None:
    crews = hands()
    searched_before("whole", *DONE, ENDED[-1])

    found = audited(replace(WANTED, study="whole"))

    assert (None, (), 0) == (found.searched, found.audit.trials, found.exit_code)
    assert found.as_json() == json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert [] == crews
    with opened(embedded()) as store:
        assert ["toy", "whole"] == study_names(store)


def test_an_unknown_study_is_not_audited(hands: Employ) -> None:
    hands()

    with pytest.raises(InvalidInput, match="there is no study 'toi'"):
        audited(replace(WANTED, study="toi"))
