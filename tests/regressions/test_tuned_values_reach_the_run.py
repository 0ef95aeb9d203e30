"""Museum 28: what a search had found was reset before the final training, which used other weights.

The resolved configuration is followed from a trial to its run, to the confirmation, to a
reproduction and to the promoted model.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from risexp.app.promotion import promote
from risexp.app.run.run import Run
from risexp.app.serving.resolve_model import resolve_bundle
from risexp.config.run import RunConfig
from risexp.errors import CheckpointRefused
from risexp.hpo.search.parameters import suggest
from risexp.hpo.search.samplers import build_sampler
from risexp.hpo.studies.study import SPEC, StudyRef
from risexp.runs.folder import find_run
from risexp.space.spec import SearchSpace
from tests.support.commands import Capture, document
from tests.support.promotions import alone, answering
from tests.support.references import smoke
from tests.support.searches import BLINK, LR, RATE, PoolHere, write_space
from tests.support.short_runs import short_run
from tests.support.spaces import learning, spec_of
from tests.support.studies import claimed, claimed_again, study_of

DEFAULT = 1e-3
SPACE: Mapping[str, object] = {
    "base": "smoke",
    "trials": 2,
    # With one source no count can be at chance, which would keep a run of one epoch from promotion.
    "fixed": {**BLINK, "training.epochs": 1, "data.sources_max": 1},
    "vary": {**RATE, "loss.cov": {"kind": "uniform", "low": 0.05, "high": 0.9}},
}
SEEDED = ("confirm", "reproduce", "model")
"""The stages of a confirmation, which has seeds of its own."""
SEEDS = {"training.seed", "data.seed"}


def test_the_run_of_a_trial_has_every_value_that_was_suggested() -> None:
    given = spec_of(learning(fixed={"loss.cov": 0.3}))
    study = study_of()
    trial = claimed(study, build_sampler(given, "w"))
    values = suggest(given, trial)

    # Who reproduces it has the study's facts and the trial's parameters, and nothing else.
    read = StudyRef("s", 1, "uid", 1, json.loads(json.dumps({SPEC: given.as_json()}))).spec
    again = suggest(read, claimed_again(study, trial.number, build_sampler(read, "other")))
    final = read.resolve(again)

    assert given.resolve(values).config == final.config
    assert values == {path: final.config.flat()[path] for path in values}
    assert {"trial"} == {final.origins[path] for path in values}
    assert final.config.loss.cov == 0.3


def reset_after_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant the fault: the final training puts a tuned value back to its default."""
    build = Run.build

    def reset(config: RunConfig, *given: object, **named: object) -> Run:
        return build(config.replace({LR: DEFAULT}), *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Run, "build", reset)


@pytest.mark.usefixtures("own_home")
def test_a_training_under_other_values_than_its_folder_names_keeps_no_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reset_after_loading(monkeypatch)

    with pytest.raises(CheckpointRefused, match="a run does not change its configuration"):
        short_run({LR: 5e-3})

    assert "complete" == short_run({LR: DEFAULT}).outcome.status


@pytest.fixture
def searched(
    capsys: Capture, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search of two trials, by a worker in this process."""
    assert own_home.exists()
    monkeypatch.setattr("risexp.app.search.supervisor.WorkerPool", PoolHere)
    write_space(tmp_path, "tiny", SPACE)
    monkeypatch.chdir(tmp_path)
    document(capsys, "hpo --space tiny --workers 1 --device cpu --unchecked")


def differing(stages: Mapping[str, RunConfig]) -> dict[str, set[str]]:
    """The fields of each stage that are not those of the trial, except seeds of a confirmation."""
    trial = stages["trial"].canonical().flat()
    return {
        stage: {path for path, value in config.canonical().flat().items() if value != trial[path]}
        - (SEEDS if stage in SEEDED else set())
        for stage, config in stages.items()
    }


def test_a_value_that_was_reset_is_named_at_its_stage() -> None:
    trial = smoke("frame", f"{LR}=5e-3")
    model = trial.replace({LR: DEFAULT, "training.seed": 3})

    assert {"trial": set(), "model": {LR}} == differing({"trial": trial, "model": model})
    assert {"trial": set(), "run": {LR, "training.seed"}} == differing(
        {"trial": trial, "run": model}
    )


@pytest.mark.slow
@pytest.mark.usefixtures("searched")
def test_the_configuration_of_a_trial_is_that_of_every_later_stage(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promote, "evaluate_candidates", answering(alone()))
    confirmed = document(
        capsys, "confirm --study tiny --top 1 --seeds 2 --epochs 1 --workers 1 --device cpu"
    )
    (tuned,) = (point["values"] for point in confirmed["candidates"] if point["trial"] == 1)
    run = next(
        f"tiny-confirm-{trial['number']:03d}"
        for trial in confirmed["study"]["trials"]
        if tuned.items() <= trial["values"].items()
    )
    again = document(capsys, f"reproduce {run}")
    document(capsys, f"promote --run {run} --scenes 60")
    stages = {
        "trial": spec_of(SearchSpace.model_validate({"name": "tiny", **SPACE}))
        .resolve(tuned)
        .config,
        "run": find_run("tiny-001").config(),
        "confirm": find_run(run).config(),
        "reproduce": find_run(again["again"]).config(),
        "model": resolve_bundle("models:/ris-localizer@champion").bundle.config,
    }

    assert again["same"]
    assert {stage: set() for stage in stages} == differing(stages)
    for path, value in tuned.items():
        assert {value} == {config.flat()[path] for config in stages.values()}, path
