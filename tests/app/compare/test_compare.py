"""Runs side by side: the best run, its ties, differing fields, and the noise."""

import json
from pathlib import Path
from statistics import stdev

import pytest
import torch

from risexp.app.benchmark import results
from risexp.app.benchmark.accuracy import measure as accuracy
from risexp.app.benchmark.results import new_folder
from risexp.app.compare.compare import (
    Comparison,
    answer_scenes,
    best_runs,
    compare,
    read_runs,
    same_validation,
)
from risexp.app.compare.files import write_files
from risexp.app.show.run import expect_judged
from risexp.config.run import RunConfig
from risexp.errors import InvalidInput
from risexp.evaluation import ties
from risexp.hpo.store.address import embedded
from risexp.hpo.trials.trial_result import TrialResult
from risexp.runs.outcome import pruned
from risexp.space.study_spec import StudySpec
from tests.support.recorded_runs import without_spares
from tests.support.searches import Past, past, tiny
from tests.support.validated_runs import SMOKE, validated, with_network
from tests.support.worker_processes import opened

CPU = torch.device("cpu")
LR = "training.optimizer.lr"


@pytest.fixture(autouse=True)
def home(at_home: Path) -> None:
    del at_home


def compared(*names: str) -> Comparison:
    return compare(read_runs(names))


def seeded(seed: int, **more: object) -> RunConfig:
    return SMOKE.replace({"training.seed": seed, **more})


def test_runs_are_ranked_and_those_within_the_noise_are_ties() -> None:
    validated("worst", {"k_loc": 8.0, "k_acc": 0.3, "success_rate": 0.05})
    validated("good", {"k_loc": 3.1, "k_acc": 0.7})
    validated("best", {"k_loc": 3.0, "k_acc": 0.72}, SMOKE.replace({"loss.count": 0.5}))

    comparison = compared("worst", "good", "best")

    assert ["best", "good", "worst"] == [each.seen.name for each in comparison.runs]
    assert [True, True, False] == [each.tied for each in comparison.runs]
    assert {} == comparison.runs[0].differences
    assert pytest.approx(0.1) == comparison.runs[1].differences["k_loc"].value
    assert {"loss.count": (0.5, 1.0, 1.0)} == comparison.fields
    assert comparison.as_json() == json.loads(json.dumps(comparison.as_json(), allow_nan=False))


def test_runs_under_other_seeds_give_the_noise_of_seeds() -> None:
    """Those that a confirmation trains have other scenes and epochs than the runs compared."""
    validated("one", {"k_loc": 3.0})
    validated("other", {"k_loc": 3.9}, SMOKE.replace({"loss.count": 0.5}))
    alone = compared("one", "other")
    longer = {"data.seed": 7, "training.epochs": 30}
    for seed, k_loc in ((1, 2.0), (2, 4.0), (3, 3.0), (6, 3.0)):
        validated(f"seed-{seed}", {"k_loc": k_loc}, seeded(seed, **longer))
    validated("foreign", {"k_loc": 0.0}, seeded(4, **{"network.width": 48}))
    validated("given-up", {"k_loc": 9.0}, seeded(5, **longer), pruned("others are better"))

    comparison = compared("one", "other")

    spread = comparison.seeds.used
    assert spread is not None
    assert (3, 4) == (spread.freedom, spread.runs)
    assert pytest.approx((2.0 / 3.0) ** 0.5) == spread.deviation
    assert "k_loc of 4 runs" in comparison.noise[1]
    widths = [each.runs[1].differences["k_loc"].margin for each in (alone, comparison)]
    assert widths[0] < widths[1] > 3.182 * (4.0 / 3.0) ** 0.5
    assert alone.seeds.spread is None


def test_a_single_other_seed_is_left_out_and_runs_that_cannot_be_read_are_counted() -> None:
    validated("one", {"k_loc": 3.0}, seeded(1))
    validated("other", {"k_loc": 3.5}, seeded(2))
    for seed in (3, 4):
        folder = validated(f"damaged-{seed}", {"k_loc": 3.5}, seeded(seed))
        without_spares(folder.path)
        (folder.path / "config.json").write_text('{"broken\n' * 2, encoding="utf-8")
    alone = ties.recorded(*map(expect_judged, read_runs(["one", "other"])), same_scenes=True)

    comparison = compared("one", "other")

    assert alone["k_loc"].margin == comparison.runs[1].differences["k_loc"].margin
    for said in (
        "left out, as 2 runs that differ",
        "(1 degree of freedom) are too few",
        "left out, as they cannot be read: 2 of the runs here",
    ):
        assert said in comparison.noise[1]
    assert comparison.as_json()["seeds"]["used"] is False


def test_runs_of_another_home_are_set_beside_those_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them has the name of a run here, which is another one."""
    validated("one", {"k_loc": 3.0}, seeded(1))
    other = validated("other", {"k_loc": 3.5}, seeded(2)).path
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "here"))
    validated("one", {"k_loc": 4.0}, seeded(3))
    validated("other", {"k_loc": 7.0}, seeded(4))

    spread = compared("one", str(other)).seeds.spread

    assert spread is not None
    assert 3 == spread.runs
    assert pytest.approx(stdev([4.0, 3.5, 7.0])) == spread.deviation


def test_validations_are_the_same_if_law_and_number_are_and_another_law_is_marked() -> None:
    changes: dict[str, dict[str, object]] = {
        "best": {},
        "alike": {"loss.count": 0.5},
        "more": {"validation.scenes": 64},
        "redrawn": {"data.seed": 9},
        "louder": {"data.snr_db": [20.0, 30.0]},
    }
    for place, (name, change) in enumerate(changes.items()):
        validated(name, {"k_loc": 3.0 + place}, SMOKE.replace(change))
    best, *others = read_runs([*changes])

    comparison = compare([*others, best])

    alike = [run.name for run in others if same_validation(best, run)]
    assert ["alike"] == alike
    marked = {each.seen.name: each.remarks for each in comparison.runs if each.remarks}
    assert {"louder": ("data law unlike that of best",)} == marked


def test_runs_that_cannot_be_compared_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = validated("one", {}).path
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "here"))
    (tmp_path / "link").symlink_to(validated("one", {}).path)
    for names, sentence in (
        (["one"], "takes two runs or more"),
        (["one", "one"], "one is named twice"),
        (["one", str(tmp_path / "link")], "is named twice"),
        (["one", "ohne"], "there is no run 'ohne'"),
        (["one", str(there)], "are two runs of one name"),
    ):
        with pytest.raises(InvalidInput, match=sentence):
            read_runs(names)


def test_networks_answer_the_same_scenes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(accuracy, "dense_ms", lambda *_: 1.0)
    monkeypatch.setattr(results, "_FORMATS", ())
    for place, name in enumerate(("one", "other", "same")):
        with_network(name, min(place, 1))
    runs, told = read_runs(["one", "other", "same"]), list[int]()

    answers = answer_scenes(runs, (0.0, 20.0), 12, CPU, told.append)
    comparison = compare(runs, answers)

    assert ["one", "other", "same", "nomp"] == list(answers.table.rows)
    assert 2 * 12 * 5 == sum(told)
    scores = answers.table.rows["other"].mean.value, answers.table.rows["same"].mean.value
    assert scores[0] == scores[1]
    assert "12 test scenes of the law of one" in comparison.noise[0]
    alike = compare(runs[1:], answers)
    assert (0.0, True) == (alike.runs[1].differences["k_loc"].value, alike.runs[1].tied)
    assert {"k_loc", "k_acc", "success_rate"} == alike.runs[1].differences.keys()
    assert scores[0].k_loc == alike.runs[0].k_loc
    with new_folder(tmp_path / "out") as folder:
        write_files(comparison, folder)
    written = {each.name for each in (tmp_path / "out").iterdir()}
    assert {"compare.json", "accuracy.json"} <= written


def test_of_a_study_the_best_trials_that_differ_are_compared() -> None:
    ends: list[Past] = [
        ({LR: rate}, [9.0, value], TrialResult("complete", "finished", value))
        for rate, value in ((3e-3, 4.0), (1e-3, 3.0), (2e-3, 5.0), (5e-3, 1.0))
    ]
    ends.append(({LR: 4e-3}, [9.0], TrialResult("pruned", "pruned")))
    with opened(embedded()) as store:
        past(store, "toy", StudySpec.of(tiny()), ends)
    validated("toy-000", {})
    with pytest.raises(InvalidInput, match="toy has 1 complete trials with runs in this home"):
        best_runs("toy", 5)

    for number in (1, 2):
        validated(f"toy-{number:03d}", {"k_loc": 3.0})
    # The best one's run is in another home.
    assert ["toy-001", "toy-000"] == best_runs("toy", 2)
    assert ["toy-001", "toy-000", "toy-002"] == best_runs("toy", 9)
