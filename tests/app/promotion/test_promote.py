"""From a run to a registered model: judged first, then written, one promotion at a time."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from risexp.app.benchmark.methods import NETWORK, network_methods
from risexp.app.promotion import promote as module
from risexp.app.promotion.candidate import find_candidate
from risexp.app.promotion.evaluate_candidates import evaluate_candidates
from risexp.app.promotion.promote import promote, roll_back
from risexp.app.promotion.result import PromotionRequest, PromotionResult, model_card
from risexp.app.promotion.test_set import load_test_set
from risexp.app.serving.resolve_model import load_trained
from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.evaluation.scene_scores import SceneScores, score_scenes
from risexp.registry.model_registry import Registry
from risexp.registry.verdicts import Evaluation
from risexp.runs.folder import find_run
from risexp.runs.journal_writer import Journal
from risexp.runs.spec import Labels
from risexp.tracking.stores import embedded, in_environment
from tests.support.frozen_sets import ignored
from tests.support.models import CPU, frames
from tests.support.promotions import alone, answering, evidence, kept, state
from tests.support.uploads import artifacts_of, place

SCENES = 60


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.delenv("RISEXP_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    place(embedded())
    return tmp_path


@pytest.fixture
def better(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every candidate is better than the champion."""

    def evaluate(*arguments: object) -> Evaluation:
        return answering(alone() if arguments[2] is None else evidence())()

    monkeypatch.setattr(module, "evaluate_candidates", evaluate)


@pytest.fixture
def registry() -> Iterator[Registry]:
    store = embedded()
    with in_environment(store):
        yield Registry(store)


def promoted(run: str, **fields: object) -> PromotionResult:
    request = PromotionRequest(**{"run": run, "scenes": SCENES, **fields})  # type: ignore[arg-type] # by name
    return promote(request, CPU, lambda _task, _total: ignored)


@pytest.mark.usefixtures("better")
def test_others_load_the_promoted_network(registry: Registry) -> None:
    kept("train-1")

    result = promoted("train-1")

    assert result.version is not None
    assert {"champion": 1} == registry.aliases("ris-localizer")
    names = ("models:/ris-localizer@champion", "train-1")
    shipped, own = (load_trained(name, CPU) for name in names)
    assert torch.equal(shipped.predictor(frames()).count, own.predictor(frames()).count)
    assert own.bundle.tree == shipped.bundle.tree
    tags = result.version.tags
    assert ("train-1", "3", "1.2", "") == tuple(
        tags[f"risexp.{key}"] for key in ("run", "epoch", "temperature", "previous")
    )
    assert result.test_set.manifest.digest == tags["risexp.test_set"]
    assert "better success_rate: skipped" in tags["risexp.verdicts"]
    assert "| chance | passed |" in result.version.card
    assert "## Gates" in result.version.card


def test_a_dry_run_and_a_failed_gate_change_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = kept("train-1"), kept("train-2", seed=1)
    monkeypatch.setattr(module, "evaluate_candidates", answering(alone()))
    promoted("train-1")
    before = state(registry), artifacts_of(first, embedded())

    for dry_run, ms_ratio, failed in ((True, 1.0, []), (False, 9.0, ["time"])):
        monkeypatch.setattr(module, "evaluate_candidates", answering(evidence(ms_ratio=ms_ratio)))
        result = promoted("train-2", dry_run=dry_run)

        assert result.version is None
        assert failed == [verdict.gate for verdict in result.failed]
        assert before == (state(registry), artifacts_of(first, embedded()))
        assert not (second.path / "mlflow.json").exists()


@pytest.mark.usefixtures("better")
def test_the_second_of_two_promotions_is_told_which_process_runs_the_first(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept("train-1")
    kept("train-2", seed=1)
    sentences: list[str] = []

    def meet(result: PromotionResult) -> str:
        for attempt in (
            lambda: promoted("train-2"),
            lambda: roll_back("ris-localizer", "champion", None),
        ):
            with pytest.raises(EnvironmentFailed) as caught:
                attempt()
            sentences.append(str(caught.value))
        return model_card(result)

    monkeypatch.setattr(module, "model_card", meet)
    promoted("train-1")

    assert 2 == len(sentences)
    assert {"champion": 1} == registry.aliases("ris-localizer")
    assert all("another promotion or rollback is running (" in said for said in sentences)
    assert all(", process " in said and "nothing was changed" in said for said in sentences)


@pytest.mark.usefixtures("better")
def test_the_champion_itself_is_not_promoted_again(registry: Registry) -> None:
    kept("train-1")
    promoted("train-1")
    before = state(registry)

    with pytest.raises(InvalidInput, match="is the champion of ris-localizer already: version 1"):
        promoted("train-1")

    assert before == state(registry)


def test_an_untrained_network_fails_at_chance_by_the_loosest_gates() -> None:
    kept("train-1")

    result = promoted("train-1", scenes=250, gates="smoke", dry_run=True)

    assert ["chance"] == [verdict.gate for verdict in result.failed]


def test_an_evaluation_scores_the_answers_of_each_method() -> None:
    kept("train-1")
    bundle = find_candidate(None, "train-1").bundle
    test_set = load_test_set(bundle.config, SCENES, None, ignored)
    predictor = bundle.predictor(CPU)
    advanced: list[int] = []

    evaluation = evaluate_candidates(bundle.config, predictor, predictor, test_set, advanced.append)

    method = network_methods(predictor)[NETWORK]
    expected = SceneScores.join(
        [score_scenes(method(scenes), scenes.truth) for scenes in test_set.batches()]
    )
    assert evaluation.champion is not None
    for answers in (evaluation.candidate, evaluation.champion):
        assert torch.equal(expected.success, answers.scores.success)
        assert torch.equal(expected.hit, answers.scores.hit)
    assert evaluation.ms_ratio is not None
    assert evaluation.ms_ratio > 0.0
    assert 3 * SCENES == sum(advanced)
    assert evaluation.nomp.scores.hit.sum() > expected.hit.sum()


def test_a_study_offers_its_best_complete_trial(in_order: Path) -> None:
    del in_order
    run = find_run("toy-000")
    with pytest.raises(InvalidInput, match="no guard values for epoch 3"):
        find_candidate("toy", None)
    Journal(run.journal, run.run_id).write(3, {"guard/loss": 0.0})

    candidate = find_candidate("toy", None)

    assert "toy-000" == candidate.run
    assert any("trial 0 of study toy" in note for note in candidate.notes)
    assert candidate.space_sha is not None


def test_a_run_with_the_checkpoints_of_another_is_refused() -> None:
    ours, theirs = kept("train-1"), kept("train-2", seed=1)
    shutil.rmtree(ours.path / "checkpoints")
    shutil.copytree(theirs.path / "checkpoints", ours.path / "checkpoints")

    with pytest.raises(InvalidInput, match="are those of run train-2"):
        find_candidate(None, "train-1")


def test_impossible_requests_are_refused() -> None:
    for study, run in ((None, None), ("toy", "train-1")):
        with pytest.raises(InvalidInput, match="--study for its best trial, or --run"):
            find_candidate(study, run)
    for alias in ("latest", "v3", "previous", "a b", ""):
        with pytest.raises(InvalidInput, match="is no alias to promote to"):
            promoted("train-1", alias=alias)
    kept("train-1", labels=Labels(store="off"))
    with pytest.raises(InvalidInput, match="train-1 is recorded nowhere"):
        promoted("train-1")
