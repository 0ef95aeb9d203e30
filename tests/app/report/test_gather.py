"""The report of a study: its data, and a page that loads nothing and escapes every value."""

import gc
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from risexp.app.benchmark.accuracy import measure as accuracy
from risexp.app.report import figures, tables
from risexp.app.report.gather import ReportData, Weighed, report_data, with_answers
from risexp.app.report.page import report_page
from risexp.app.report.trial_runs import RunSummary
from risexp.app.search.derived import AuditRequest, ConfirmRequest, audit, confirm
from risexp.hpo.store.address import embedded
from risexp.hpo.store.store import open_store
from risexp.hpo.studies.study import SPEC, open_study
from risexp.hpo.trials.trial_result import TrialResult, unsound
from risexp.runs.journal import Contents
from risexp.space.study_spec import StudySpec
from tests.support.html import read
from tests.support.recorded_runs import without_spares
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


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a study that is over, and the run of its best trial."""
    home = tmp_path_factory.mktemp("searched") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISEXP_HOME", str(home))
        patch.delenv("RISEXP_STORE", raising=False)
        open_store(embedded()).close()
        search("toy")
        validated("toy-001", {"k_loc": 3.0})
    return home


@pytest.fixture(autouse=True)
def toy(at_home: Path, searched: Path) -> None:
    shutil.copytree(searched, at_home, dirs_exist_ok=True)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of which only the words matter."""
    monkeypatch.setattr(figures, "svg", lambda *_: "")


def words(data: ReportData) -> str:
    """The text of a study's page."""
    return " ".join(read(report_page(data)).text.split())


def search(name: str, more: int = 0) -> None:
    spec = StudySpec.of(tiny(pruner={"kind": "median", "startup": 1}))
    with opened(embedded()) as store:
        past(store, name, spec, TRIALS)
        if more:
            open_study(store, name, len(TRIALS) + more, {SPEC: spec.as_json()}, ())


def test_a_study_is_gathered_from_store_and_runs() -> None:
    data = report_data("toy")

    assert [1] == list(data.runs)
    assert data.best_run is not None
    assert "toy-001" == data.best_run.name
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


def test_of_all_journals_only_that_of_the_best_trial_is_kept(at_home: Path) -> None:
    """A thousand of them would fill the memory."""
    for number in (0, 4):
        shutil.copytree(at_home / "mlruns/runs/toy-001", at_home / f"mlruns/runs/toy-{number:03d}")
    before = {id(each) for each in gc.get_objects() if type(each) is Contents}

    data = report_data("toy")

    gc.collect()
    now = [each for each in gc.get_objects() if type(each) is Contents]
    assert [0, 1, 4] == list(data.runs)
    assert 1 == len([each for each in now if id(each) not in before])


def test_a_thousand_curves_are_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = list[Figure]()

    def keep(_name: str, _about: str, draw: Callable[[Figure], None], _size: object) -> str:
        drawn.append(Figure())
        draw(drawn[-1])
        return ""

    monkeypatch.setattr(figures, "svg", keep)
    data = report_data("toy")
    rows = [
        replace(row, number=5 * copy + row.number)
        for copy in range(200)
        for row in data.table.trials
    ]
    reports = {row.number: data.reports[row.number % 5] for row in rows}
    many = replace(data, table=replace(data.table, trials=tuple(rows)), reports=reports)

    figures.curves(data)
    figures.curves(many)

    few, all_ = (len(each.axes[0].lines) for each in drawn)
    assert few == all_
    points = [sum(np.size(line.get_xdata()) for line in each.axes[0].lines) for each in drawn]
    assert points[1] > 150 * points[0]


def test_the_page_says_it_all_and_loads_nothing() -> None:
    text = report_page(report_data("toy"))

    reader = read(text)
    said = " ".join(reader.text.split())
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
        assert expected in said
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


@pytest.mark.usefixtures("no_figures")
def test_studies_that_go_on_and_those_without_a_complete_trial_are_reported() -> None:
    search("busy", more=2)
    spec = StudySpec.of(tiny())
    with opened(embedded()) as store:
        past(store, "young", spec, TRIALS[2:4])
        open_study(store, "new", 3, {SPEC: spec.as_json()}, ())
    data = report_data("young")

    busy = words(report_data("busy"))

    assert "The search is not over: 0 trials run and 2 wait." in busy
    assert "risexp watch busy" in busy
    assert data.best is None
    assert "No trial is complete yet" in words(data)
    assert "0 of 3" in words(report_data("new"))
    unanswered = with_answers(data, 5, torch.device("cpu"), lambda _: None)
    assert unanswered.accuracy is None
    assert "no complete trial has its run" in unanswered.remarks[-1]


@pytest.mark.usefixtures("no_figures")
def test_the_audit_and_the_confirmation_of_a_study_are_part_of_its_report(pools: Employ) -> None:
    before = report_data("toy")
    means: dict[str, Any] = {"device": "cpu", "tracking": "off"}
    pools(train_by_rate)
    audit(AuditRequest(study="toy", share=1.0, **means), RecordingView())
    pools(train)
    request = ConfirmRequest(study="toy", name="toy-confirm", top=1, seeds=2, **means)
    confirm(request, RecordingView())

    data = report_data("toy")

    assert (None, None) == (before.audit.regret, before.confirmation)
    assert (1.0, 1) == (data.audit.regret, data.audit.better)
    text = words(data)
    assert "1 would have been the best, by 1.000 of k_loc at most: the regret is 1.000." in text
    assert "Confirmed under other seeds" in text
    assert "risexp confirm" not in text


def test_what_others_beat_in_both_is_not_on_the_front() -> None:
    data = report_data("toy")
    costly = replace(data, ms_per_scene={0: 1.0, 1: 5.0, 4: 6.0})

    assert [Weighed(0, 4.0, 1.0), Weighed(1, 3.0, 5.0)] == costly.front()
    assert 3 == len(costly.weighed())
    # Without a measurement the number of parameters counts, which is the same for all here.
    assert [1] == [each.trial for each in data.front()]
    assert "ms a scene" in tables.front(costly).headings


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
    text = words(data)
    assert "On 4 fresh test scenes" in text
    assert "chance" in text


@pytest.mark.usefixtures("no_figures")
def test_a_damaged_run_one_without_a_checkpoint_and_an_empty_journal_leave_a_remark(
    at_home: Path,
) -> None:
    whole = report_data("toy")
    unanswered = with_answers(whole, 4, torch.device("cpu"), lambda _: None)
    assert whole.best_run is not None
    bare = replace(whole.best_run, contents=Contents())
    empty = words(replace(whole, runs={1: RunSummary.of(bare)}, best_run=bare))
    config = at_home / "mlruns" / "runs" / "toy-001" / "config.json"
    without_spares(config.parent)
    config.write_text(config.read_text(encoding="utf-8").replace("0", "1"), encoding="utf-8")

    data = report_data("toy")

    assert unanswered.accuracy is None
    assert "no fresh scenes were answered: no checkpoint lies in" in unanswered.remarks[-1]
    assert {} == dict(data.runs)
    assert any("config.json was edited" in remark for remark in data.remarks)
    assert "whose run is not in this home" in words(data)
    assert "Trial 1, whose record holds no judged epoch: only its k_loc is known here." in empty
    assert "no epoch was judged" not in empty
