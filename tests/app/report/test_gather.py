"""The report of a study: its data, and a page that loads nothing and escapes every value."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from risexp.app.benchmark.accuracy import measure as accuracy
from risexp.app.report.gather import Weighed, report_data, with_answers
from risexp.app.report.page import report_page
from risexp.app.search.derived import AuditRequest, ConfirmRequest, audit, confirm
from risexp.hpo.store.address import embedded
from risexp.hpo.studies.study import facts_from_spec, open_study
from risexp.hpo.trials.trial_result import TrialResult, unsound
from risexp.runs.journal import Contents
from risexp.space.study_spec import StudySpec
from tests.support.html import read
from tests.support.searches import Past, past, tiny
from tests.support.validated_runs import validated, with_network
from tests.support.worker_pool import Employ, RecordingView, train, train_by_rate
from tests.support.worker_processes import opened

LR = "training.optimizer.lr"
TRIALS: tuple[Past, ...] = (
    ({LR: 3e-3}, [6.0, 5.0, 4.0], TrialResult("complete", "finished", 4.0)),
    ({LR: 1e-3}, [6.0, 5.0, 3.0], TrialResult("complete", "finished", 3.0)),
    ({LR: 2e-3}, [9.0, 8.0], TrialResult("pruned", "pruned")),
    ({LR: 5e-3}, [7.0], unsound("non-finite")),
    ({LR: 6e-3}, [6.0, 5.0, 3.5], TrialResult("complete", "finished", 3.5)),
)


@pytest.fixture(autouse=True)
def toy(at_home: Path) -> None:
    """A study that is over, and the run of its best trial."""
    del at_home
    search("toy")
    validated("toy-001", {"k_loc": 3.0})


def search(name: str, more: int = 0) -> None:
    spec = StudySpec.of(tiny(pruner={"kind": "median", "startup": 1}))
    with opened(embedded()) as store:
        past(store, name, spec, TRIALS)
        if more:
            open_study(store, name, len(TRIALS) + more, facts_from_spec(spec), ())


def test_a_study_is_gathered_from_store_and_runs() -> None:
    data = report_data("toy")

    assert [1] == list(data.runs)
    assert data.best_run is data.runs[1]
    assert [(0, 4.0), (1, 3.0)] == data.best_so_far()
    assert {1: 9.0, 2: 8.0} == data.reports[2]
    assert (1, 1, 13) == (
        data.audit.saved.trials,
        data.audit.saved.epochs,
        data.audit.saved.of,
    )
    assert [0, 1, 4] == list(data.parameters)
    assert ("the runs of 4 trials are not in this home",) == data.remarks
    assert data.as_json() == json.loads(json.dumps(data.as_json(), allow_nan=False))


def test_the_page_says_it_all_and_loads_nothing() -> None:
    text = report_page(report_data("toy"))

    reader = read(text)
    words = " ".join(reader.text.split())
    for expected in (
        "3 complete, 2 pruned of 5 trials",
        "The search is over.",
        "Trial 1, run toy-001: epoch 2 of 2",
        "3 complete trials are too few to tell which field mattered",
        "Pruning saved 1 of 13 epochs",
        "What that cost is not known",
        "risexp confirm --study toy",
        LR,
    ):
        assert expected in words
    assert {"script", "link", "img", "iframe", "object", "image", "form"}.isdisjoint(reader.tags)
    assert not {name for name in reader.attributes if name.startswith("on")}
    assert [] == re.findall(r'(?:href|src)="(?!#)[^"]*"', text)
    assert [] == re.findall(r"url\((?!#)|@import", text)
    assert "default-src 'none'" in text
    assert len(reader.ids) == len(set(reader.ids))


def test_names_and_reasons_become_no_markup() -> None:
    data, evil = report_data("toy"), '<script>alert("x")</script>&'
    row = replace(data.table.trials[0], reason="<b onclick=x>$\\frac{1}")
    table = replace(data.table, name="<i>$x$", trials=(row, *data.table.trials[1:]))

    reader = read(report_page(replace(data, table=table, remarks=(evil,))))

    assert {"i", "script"}.isdisjoint(reader.tags)
    assert "onclick" not in reader.attributes
    assert "Study <i>$x$" in reader.text
    assert evil in reader.text


def test_a_study_that_goes_on_is_reported_as_it_stands() -> None:
    search("busy", more=2)

    text = report_page(report_data("busy"))

    assert "The search is not over: 0 trials run and 2 wait." in text
    assert "risexp watch busy" in text


def test_studies_without_a_complete_trial_are_reported() -> None:
    spec = StudySpec.of(tiny())
    with opened(embedded()) as store:
        past(store, "young", spec, TRIALS[2:4])
        open_study(store, "new", 3, facts_from_spec(spec), ())
    data = report_data("young")

    assert data.best is None
    assert "No trial is complete yet" in read(report_page(data)).text
    assert "0 of 3" in read(report_page(report_data("new"))).text
    unanswered = with_answers(data, 5, torch.device("cpu"), lambda _: None)
    assert unanswered.accuracy is None
    assert "no complete trial has its run" in unanswered.remarks[-1]


def test_the_audit_of_a_study_is_part_of_its_report(pools: Employ) -> None:
    assert report_data("toy").audit.regret is None
    pools(train_by_rate)
    request = AuditRequest(study="toy", share=1.0, device="cpu", tracking="off")
    audit(request, RecordingView())

    data = report_data("toy")

    assert (1.0, 1) == (data.audit.regret, data.audit.better)
    text = read(report_page(data)).text
    assert "1 would have been the best, by 1.000 of k_loc at most: the regret is 1.000." in text


def test_what_was_confirmed_is_part_of_the_report(pools: Employ) -> None:
    assert report_data("toy").confirmation is None
    pools(train)
    request = ConfirmRequest(
        study="toy", name="toy-confirm", top=1, seeds=2, device="cpu", tracking="off"
    )
    confirm(request, RecordingView())

    text = report_page(report_data("toy"))

    assert "Confirmed under other seeds" in text
    assert "risexp confirm" not in text


def test_what_others_beat_in_both_is_not_on_the_front() -> None:
    data = report_data("toy")
    costly = replace(data, ms_per_scene={0: 1.0, 1: 5.0, 4: 6.0})

    assert [Weighed(0, 4.0, 1.0), Weighed(1, 3.0, 5.0)] == costly.front()
    assert 3 == len(costly.weighed())
    # Without a measurement the number of parameters counts, which is the same for all here.
    assert [1] == [each.trial for each in data.front()]
    assert "ms a scene" in report_page(costly)


def test_the_best_network_answers_fresh_scenes_though_another_checkpoint_is_damaged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accuracy, "dense_ms", lambda *_: 1.0)
    search("kept")
    with_network("kept-001", 0)
    for path in (with_network("kept-004", 1).path / "checkpoints").rglob("*.safetensors"):
        path.write_bytes(b"damaged")

    data = with_answers(report_data("kept"), 4, torch.device("cpu"), lambda _: None)

    assert data.accuracy is not None
    assert ["kept-001", "nomp"] == list(data.accuracy.rows)
    assert [1] == list(data.ms_per_scene)
    assert "the network of trial 4 was not timed" in data.remarks[-1]
    text = read(report_page(data)).text
    assert "On 4 fresh test scenes" in text
    assert "chance" in text


def test_a_best_trial_whose_journal_is_empty_is_reported() -> None:
    data = report_data("toy")
    run = data.best_run
    assert run is not None
    empty = replace(run, contents=Contents((), 0, 0))

    text = read(report_page(replace(data, runs={1: empty}))).text

    assert "Trial 1, whose record holds no judged epoch: only its k_loc is known here." in text
    assert "no epoch was judged" not in text


def test_a_damaged_run_and_one_without_a_checkpoint_leave_a_remark(at_home: Path) -> None:
    unanswered = with_answers(report_data("toy"), 4, torch.device("cpu"), lambda _: None)
    config = at_home / "mlruns" / "runs" / "toy-001" / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace("0", "1"), encoding="utf-8")
    data = report_data("toy")

    assert unanswered.accuracy is None
    assert "no fresh scenes were answered: no checkpoint lies in" in unanswered.remarks[-1]
    assert {} == dict(data.runs)
    assert any("config.json was edited" in remark for remark in data.remarks)
    assert "whose run is not in this home" in read(report_page(data)).text
