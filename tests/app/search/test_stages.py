"""A staged search with toy workers: the start of each stage, what it keeps, and its end."""

import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from risexp.app.search import supervisor
from risexp.app.search.search import SearchRequest, SearchResult, search
from risexp.app.search.stages import StagesResult, search_stages
from risexp.app.search.studies import StudyView
from risexp.config.layers import load_config
from risexp.errors import ConfigInvalid, DataInvalid, InvalidInput, VerificationFailed
from risexp.hpo.trials.trial_result import TrialResult
from risexp.hpo.workers.pool import WorkerSpec
from risexp.runs.folder import find_run
from risexp.space.spec import SearchSpace
from tests.support.staged_search import SPACE, STAGED, Employ, Office, StagePool, Turn, put
from tests.support.worker_pool import RecordingView

pytestmark = pytest.mark.usefixtures("at_home")


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Employ:
    """Gives searches such pools, which take the turns."""

    def employ(*turns: Turn, **ends: TrialResult) -> Office:
        results = {run.replace("_", "-"): result for run, result in ends.items()}
        shared = Office(iter(turns), [], [], results)

        def pool(specs: Sequence[WorkerSpec]) -> StagePool:
            return StagePool(shared, specs[0])

        monkeypatch.setattr(supervisor, "WorkerPool", pool)
        return shared

    return employ


def staged(request: SearchRequest = STAGED) -> tuple[StagesResult, list[str]]:
    """The result, and the sentences that were said."""
    view = RecordingView()
    return search_stages(request, view), view.sentences


def test_each_stage_is_a_study_that_begins_with_what_was_kept(office: Employ) -> None:
    hired = office()

    found, sentences = staged()

    assert ["terms-subspace", "terms-cross"] == hired.studies
    assert [2, 2] == [row.searched.table.count("complete") for row in found.rows]
    zero = find_run("terms-cross-000").config()
    assert (1.0, 0.0) == (zero.loss.subspace, zero.loss.cross)
    assert {"loss.subspace": 1.0} == found.kept
    assert ["kept", "left out"] == [
        row.verdict.sentence.partition(":")[0] for row in found.rows if row.verdict is not None
    ]
    assert any(
        each.startswith("stage subspace: kept: its best trial has k_loc -1") for each in sentences
    )
    assert ((), 0, None) == (found.left, found.exit_code, found.fault)
    document = found.as_json()
    assert document == json.loads(json.dumps(document, allow_nan=False))
    first, second = document["stages"]
    assert ("subspace", "terms-subspace", 1, {"loss.subspace": 1.0}) == tuple(
        first[name] for name in ("stage", "study", "best_beside_base", "kept")
    )
    assert {"k_loc": -1.0, "k_acc": 0.1, "success_rate": 0.1} == pytest.approx(first["moved"])
    assert {"k_loc": 1.0, "k_acc": -0.1, "success_rate": -0.1} == pytest.approx(second["moved"])
    assert {} == second["kept"]

    assert document == staged()[0].as_json()
    assert ["terms-subspace", "terms-cross"] == hired.studies, "they are not searched again"


def test_what_was_kept_is_told_as_settings_that_train_it(office: Employ) -> None:
    office()

    found, _ = staged(replace(STAGED, overrides=["data.seed=7"]))

    assert ("loss.subspace=1.0",) == found.overrides
    preset, settings = found.arguments[1], found.arguments[3::2]
    again = load_config(preset=preset, overrides=settings).config
    kept = find_run("terms-cross-000").config()
    assert kept == again
    assert (7, 0.1) == (again.data.seed, again.loss.structure_share)


def test_a_signal_ends_the_whole_and_the_same_command_goes_on(office: Employ) -> None:
    hired = office(StagePool.train, lambda _: signal.raise_signal(signal.SIGTERM))

    ended, _ = staged()
    after, _ = staged()

    assert (75, ("subspace", "cross"), {}) == (ended.exit_code, ended.left, ended.kept)
    assert 1 == len(ended.rows)
    assert ["terms-subspace", "terms-subspace", "terms-cross"] == hired.studies
    assert 4 == len(hired.trained) == len(set(hired.trained))
    assert (0, ()) == (after.exit_code, after.left)


def test_time_is_for_all_stages_together(office: Employ, monkeypatch: pytest.MonkeyPatch) -> None:
    hired, now = office(), [0.0]
    monkeypatch.setattr("risexp.app.search.stages.time.monotonic", lambda: now[0])
    limits: list[float | None] = []

    def slow(part: SearchRequest, view: StudyView) -> SearchResult:
        limits.append(part.timeout_s)
        now[0] += 40.0
        return search(replace(part, timeout_s=None), view)

    monkeypatch.setattr("risexp.app.search.stages.search", slow)

    staged(replace(STAGED, timeout_s=60.0))

    assert [60.0, 20.0] == limits
    assert 4 == len(hired.trained)


def test_a_stage_that_time_ends_has_no_verdict_and_none_comes_after_it(office: Employ) -> None:
    hired = office()

    found, _ = staged(replace(STAGED, timeout_s=0.0))

    assert (0, None, {}) == (found.exit_code, found.fault, found.kept)
    assert ["terms-subspace"] == hired.studies
    assert ("subspace", "cross") == found.left


def test_a_base_that_was_not_complete_is_a_fault(office: Employ) -> None:
    hired = office(terms_subspace_000=TrialResult("pruned", "chance"))

    found, _ = staged()

    assert VerificationFailed.exit_code == found.exit_code
    assert "stage subspace: trial 0, which the others are compared with, is pruned" in str(
        found.fault
    )
    assert ["terms-subspace"] == hired.studies


def test_a_stage_of_which_only_the_base_is_complete_keeps_nothing(office: Employ) -> None:
    office(terms_subspace_001=TrialResult("pruned", "chance"))

    found, _ = staged()

    assert {} == found.kept
    assert "no trial came to its end" in str(found.rows[0].verdict)
    assert 0.0 == find_run("terms-cross-000").config().loss.subspace


def test_a_stage_whose_start_has_changed_is_refused(
    office: Employ, monkeypatch: pytest.MonkeyPatch
) -> None:
    office()
    monkeypatch.setattr("tests.support.staged_search.HELPS", set())
    strict, _ = staged()
    loose = {"k_loc": 2.0, "k_acc": 0.2, "success_rate": 0.2}
    space = SearchSpace.model_validate(SPACE.model_dump() | {"keep": loose})

    with pytest.raises(
        InvalidInput, match=r"terms-cross was begun with loss\.subspace = 0\.0 \(now"
    ):
        staged(replace(STAGED, space=space))

    assert {} == strict.kept


def test_a_run_that_is_not_the_trials_own_gives_no_verdict(office: Employ) -> None:
    def exchange(pool: StagePool) -> None:
        put(find_run("terms-subspace-000"), {"k_loc": 1.5})
        pool.train()

    office(StagePool.train, exchange)

    with pytest.raises(DataInvalid, match=r"keeps k_loc 1\.5 and its trial ended with 5"):
        staged()


def test_what_would_end_a_later_stage_is_refused_before_the_first(
    office: Employ, monkeypatch: pytest.MonkeyPatch
) -> None:
    hired = office()
    cases: list[tuple[Mapping[str, Any], type[Exception], str]] = [
        ({"until": 3.0}, InvalidInput, "--until"),
        ({"study": "a b"}, InvalidInput, "'a b-subspace' is no name of a study"),
        ({"overrides": ["loss.cross=0.5"]}, ConfigInvalid, "terms-cross varies"),
        ({"device": "tpu"}, ConfigInvalid, "no device"),
    ]

    for change, kind, message in cases:
        with pytest.raises(kind, match=message):
            staged(replace(STAGED, **change))
    monkeypatch.setenv("RISEXP__LOSS__SUBSPACE", "0.5")
    with pytest.raises(ConfigInvalid, match="stage subspace decides: unset it"):
        staged()

    assert [] == hired.studies
