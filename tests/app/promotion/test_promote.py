"""From a run to a model that others load: judged first, then written, one at a time."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from risexp.app.benchmark.methods import NETWORK, network_methods
from risexp.app.promotion import promote as module
from risexp.app.promotion.candidate import candidate_of
from risexp.app.promotion.evaluate_candidates import Evaluation, evaluate_candidates
from risexp.app.promotion.models import list_models
from risexp.app.promotion.promote import PromotionRequest, PromotionResult, promote
from risexp.app.promotion.rollback import roll_back
from risexp.app.promotion.test_set import frozen_scenes
from risexp.app.serving.resolve_model import trained
from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.evaluation.scene_scores import join, score_scenes
from risexp.registry.promotion import Step
from risexp.registry.versions import Registry
from risexp.runs.folder import find_run
from risexp.runs.journal import Journal
from risexp.runs.spec import Labels
from risexp.tracking.stores import embedded, in_environment
from tests.support.candidates import answering, kept
from tests.support.frozen_sets import ignored
from tests.support.models import frames
from tests.support.promotions import alone, evidence, state
from tests.support.uploads import artifacts_of, place

CPU = torch.device("cpu")
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
    """Whoever is judged is better than whoever is champion."""

    def judge(*given: object) -> Evaluation:
        return answering(alone() if given[2] is None else evidence())()

    monkeypatch.setattr(module, "evaluate_candidates", judge)


def asked(run: str, **more: object) -> PromotionRequest:
    return PromotionRequest(**{"run": run, "scenes": SCENES, **more})  # type: ignore[arg-type] # by name


def judge(
    wanted: PromotionRequest, reached: Callable[[Step], None] | None = None
) -> PromotionResult:
    return promote(wanted, CPU, lambda _what, _total: ignored, reached)


@pytest.fixture
def registry() -> Iterator[Registry]:
    store = embedded()
    with in_environment(store):
        yield Registry(store)


@pytest.mark.usefixtures("better")
def test_what_is_promoted_is_what_others_load(registry: Registry) -> None:
    kept("train-1")

    found = judge(asked("train-1"))

    assert found.version is not None
    assert {"champion": 1} == registry.aliases("ris-localizer")
    shipped, own = (trained(name, CPU) for name in ("models:/ris-localizer@champion", "train-1"))
    assert torch.equal(shipped.predictor(frames()).count, own.predictor(frames()).count)
    assert own.bundle.tree == shipped.bundle.tree
    tags = found.version.tags
    assert ("train-1", "3", "1.2", "") == tuple(
        tags[f"risexp.{key}"] for key in ("run", "epoch", "temperature", "previous")
    )
    assert tags["risexp.test_set"] == found.sealed.manifest.digest
    assert "better success_rate: skipped" in tags["risexp.verdicts"]
    assert "| chance | passed |" in found.version.card
    assert "## Gates" in found.version.card


@pytest.mark.usefixtures("better")
def test_the_next_one_is_judged_beside_the_champion_and_can_be_taken_back(
    registry: Registry,
) -> None:
    kept("train-1")
    kept("train-2", seed=1)
    judge(asked("train-1"))

    found = judge(asked("train-2"))

    assert "passed" == {each.gate: each.word for each in found.verdicts}["better success_rate"]
    assert {"champion": 2, "previous": 1} == registry.aliases("ris-localizer")

    roll_back("ris-localizer", "champion", None)

    assert {"champion": 1} == registry.aliases("ris-localizer")


@pytest.mark.parametrize("dry", [True, False], ids=["dry run", "failed gate"])
def test_nothing_is_changed_by_a_dry_run_or_a_failed_gate(
    dry: bool, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = kept("train-1"), kept("train-2", seed=1)
    monkeypatch.setattr(module, "evaluate_candidates", answering(alone()))
    judge(asked("train-1"))
    before = state(registry), artifacts_of(first, embedded())
    monkeypatch.setattr(
        module, "evaluate_candidates", answering(evidence(ms_ratio=1.0 if dry else 9.0))
    )

    found = judge(asked("train-2", dry_run=dry))

    assert found.version is None
    assert ([] if dry else ["time"]) == [each.gate for each in found.failed]
    assert before == (state(registry), artifacts_of(first, embedded()))
    assert not (second.path / "mlflow.json").exists()


@pytest.mark.usefixtures("better")
def test_the_second_of_two_at_once_is_told_who_is_at_it(registry: Registry) -> None:
    kept("train-1")
    kept("train-2", seed=1)
    told: list[str] = []

    def meet(_step: Step) -> None:
        for attempt in (
            lambda: judge(asked("train-2")),
            lambda: roll_back("ris-localizer", "champion", None),
        ):
            with pytest.raises(EnvironmentFailed) as caught:
                attempt()
            told.append(str(caught.value))

    judge(asked("train-1"), meet)

    assert {"champion": 1} == registry.aliases("ris-localizer")
    assert all("somebody else is promoting or rolling back (" in each for each in told)
    assert all(", process " in each and "nothing was changed" in each for each in told)


@pytest.mark.usefixtures("better")
def test_the_champion_itself_is_not_promoted_again(registry: Registry) -> None:
    kept("train-1")
    judge(asked("train-1"))
    before = state(registry)

    with pytest.raises(InvalidInput, match="is the champion of ris-localizer already: version 1"):
        judge(asked("train-1"))

    assert before == state(registry)


@pytest.mark.usefixtures("better")
def test_a_version_left_pending_is_named_until_the_next_promotion() -> None:
    kept("train-1")
    kept("train-2", seed=1)
    judge(asked("train-1"))
    store = embedded()
    with in_environment(store):
        registry = Registry(store)
        registry.create("ris-localizer", "file:///none", "", {"risexp.state": "pending"}, "")

    (before,) = list_models(None)
    judge(asked("train-2"))
    (after,) = list_models(None)

    assert (2,) == before.abandoned
    assert () == after.abandoned
    assert [3, 1] == [each.number for each in after.versions]


def test_an_untrained_network_fails_at_chance_by_the_loosest_gates() -> None:
    kept("train-1")

    found = judge(asked("train-1", scenes=250, gates="smoke", dry_run=True))

    assert ["chance"] == [each.gate for each in found.failed]


def test_a_contest_scores_what_each_answers() -> None:
    kept("train-1")
    bundle = candidate_of(None, "train-1").bundle
    sealed = frozen_scenes(bundle.config, SCENES, None, ignored)
    predictor = bundle.predictor(CPU)
    seen: list[int] = []

    found = evaluate_candidates(bundle.config, predictor, predictor, sealed, seen.append)

    method = network_methods(predictor)[NETWORK]
    expected = join([score_scenes(method(each), each.truth) for each in sealed.batches()])
    assert found.champion is not None
    for answered in (found.candidate, found.champion):
        assert torch.equal(expected.success, answered.scores.success)
        assert torch.equal(expected.hit, answered.scores.hit)
    assert found.ms_ratio is not None
    assert found.ms_ratio > 0.0
    assert 3 * SCENES == sum(seen)
    assert found.nomp.scores.hit.sum() > expected.hit.sum()


def test_a_study_offers_its_best_complete_trial(in_order: Path) -> None:
    del in_order
    run = find_run("toy-000")
    with pytest.raises(InvalidInput, match="what its guards found in epoch 3"):
        candidate_of("toy", None)
    Journal(run.journal, run.run_id).write(3, {"guard/loss": 0.0})

    found = candidate_of("toy", None)

    assert "toy-000" == found.run
    assert any("trial 0 of study toy" in each for each in found.said)
    assert found.space_sha is not None


def test_a_run_with_the_checkpoints_of_another_is_refused() -> None:
    ours, theirs = kept("train-1"), kept("train-2", seed=1)
    shutil.rmtree(ours.path / "checkpoints")
    shutil.copytree(theirs.path / "checkpoints", ours.path / "checkpoints")

    with pytest.raises(InvalidInput, match="are those of run train-2"):
        candidate_of(None, "train-1")


@pytest.mark.parametrize(("study", "run"), [(None, None), ("toy", "train-1")])
def test_one_of_study_and_run_is_named(study: str | None, run: str | None) -> None:
    with pytest.raises(InvalidInput, match="--study for its best trial, or --run"):
        candidate_of(study, run)


def test_a_run_that_is_recorded_nowhere_is_not_promoted() -> None:
    kept("train-1", labels=Labels(store="off"))

    with pytest.raises(InvalidInput, match="train-1 is recorded nowhere"):
        judge(asked("train-1"))


@pytest.mark.parametrize("alias", ["latest", "v3", "previous", "a b", ""])
def test_aliases_that_mean_something_else_are_refused(alias: str) -> None:
    with pytest.raises(InvalidInput, match="is no alias to promote to"):
        judge(asked("train-1", alias=alias))
